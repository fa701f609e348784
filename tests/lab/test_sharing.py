"""A cluster that is shown to others, from its controller through the hub to another person's Lab; no file is opened."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.connection import SHARE
from shopfloor_lab.clusters.sharing import Sharing
from shopfloor_lab.hub import Hub, HubRefused, NoHub

from tests.cases import Case, end_case, local_case
from tests.jobs.waiting import async_wait_until, wait_until

from .cluster_parts import START, Person
from .lab_server import LabServer

HOUR = {"people": ["bob"], "seconds": 3600}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    groups = '[[groups]]\nname = "vision"\nmembers = ["alice", "bob"]\n'
    made = local_case(tmp_path_factory.mktemp("hub"), extra=groups)
    yield made
    end_case(made)


@pytest.fixture(scope="module")
def tokens(case: Case) -> dict[str, str]:
    return {name: case.hub.add_user(name) for name in ("alice", "bob", "carol")}


def environment(case: Case, token: str) -> dict[str, str]:
    """What a server's job would have of the hub."""
    return {"JUPYTERHUB_API_URL": f"{case.hub.url}/hub/api", "JUPYTERHUB_API_TOKEN": token}


@pytest.fixture
def people(
    case: Case, tokens: dict[str, str], person: Person, tmp_path: Path
) -> dict[str, Sharing]:
    """Each person's Lab server; only alice has clusters."""
    others = Person(tmp_path / "others")
    return {
        name: Sharing((person if name == "alice" else others).lab(), Hub(environment(case, token)))
        for name, token in tokens.items()
    }


@pytest.fixture
async def cluster(person: Person, people: dict[str, Sharing]) -> AsyncIterator[str]:
    started = await person.start(people["alice"].clusters, 1)
    yield started["id"]
    for sharing in people.values():
        if sharing._telling:
            sharing._telling.cancel()
    await people["alice"].hub.ask("DELETE", f"shares/{started['id']}")


async def seen(sharing: Sharing, cluster: str) -> dict[str, Any] | None:
    """What somebody sees of alice's cluster; None for nothing. The list says the same, before or after."""

    async def is_listed() -> bool:
        return any(one["cluster"] == cluster for one in (await sharing.shown_to_me())["shared"])

    listed = await is_listed()
    try:
        shown = await sharing.look("alice", cluster)
    except HubRefused as refused:
        assert refused.status == 404 and not listed
        return None
    assert listed or await is_listed()
    return shown


async def test_others_see_state_progress_and_figures_and_nothing_else(
    person: Person, people: dict[str, Sharing], cluster: str
) -> None:
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    assert (await alice.one(cluster)) == {"share": None, "teams": ["vision"]}
    assert await seen(bob, cluster) is None, "by default nobody sees it"
    client = await asyncio.to_thread(connect, home=person.home)
    try:
        futures = client.map(abs, range(-10, 0))
        assert await asyncio.to_thread(client.gather, futures) == list(range(10, 0, -1))
        answer = await alice.share(cluster, {"teams": ["vision"], "seconds": 3600})
        assert answer["share"]["teams"] == ["vision"] and answer["share"]["problem"] is None

        shown = await seen(bob, cluster)
        assert shown is not None and await seen(carol, cluster) is None
        view = shown["view"]
        assert (view["name"], view["state"]) == ("cluster-1", "running")
        groups = [{"name": "abs", "done": 10, "all": 10}]
        assert view["figures"]["progress"] == {"done": 10, "all": 10, "groups": groups}
        assert view["tasks"]["memory"] == 10
        (row,) = view["workers"]["rows"]
        assert (row["name"], row["state"]) == ("worker-1", "connected")
        assert [point["memory"] for point in view["history"]] == [view["memory"]]
        # What leaves Lab is held against what the hub passes on: the hub is not trusted with more.
        text = json.dumps([shown, await alice._view(cluster, alice._told[cluster])])
        for secret in (str(person.home), "tls://", "127.0.0.1", ".pem", ".key", '"log"'):
            assert secret not in text
    finally:
        await asyncio.to_thread(client.close)

    # It goes on by itself, sooner while somebody looks, and says who did.
    told = shown["told"]

    async def later() -> bool:
        again = await seen(bob, cluster)
        return again is not None and again["told"] > told and len(again["view"]["history"]) > 1

    await async_wait_until(later, START, "there is more to see")
    (looked,) = (await alice.one(cluster))["share"]["looked"]
    assert looked["name"] == "bob"

    await alice.take_back(cluster)
    assert await seen(bob, cluster) is None
    assert (await alice.one(cluster))["share"] is None
    assert not (person.directory(cluster) / SHARE).exists()


async def test_it_outlives_lab_and_hub_and_ends_with_the_cluster(
    case: Case, person: Person, people: dict[str, Sharing], cluster: str, tokens: dict[str, str]
) -> None:
    alice, bob = people["alice"], people["bob"]
    await alice.share(cluster, HOUR)
    assert (person.directory(cluster) / SHARE).stat().st_mode & 0o777 == 0o600
    assert alice._telling is not None
    alice._telling.cancel()

    await asyncio.to_thread(case.hub.kill_hub)
    with pytest.raises(NoHub):
        await bob.shown_to_me()
    await asyncio.to_thread(case.hub.start_hub)
    assert await seen(bob, cluster) is None, "the hub keeps nothing"
    again = Sharing(person.lab(), Hub(environment(case, tokens["alice"])))
    await again.begin()
    await async_wait_until(lambda: seen(bob, cluster), START, "another Lab of alice's goes on")

    await again.clusters.end(cluster)

    async def over() -> bool:
        shown = await seen(bob, cluster)
        return shown is not None and shown["view"]["state"] == "ended"

    await async_wait_until(over, START, "bob sees that it ended")
    assert (await seen(bob, cluster))["view"]["cause"] == "You stopped it."
    await async_wait_until(
        lambda: not (person.directory(cluster) / SHARE).exists(), START, "nothing is shown any more"
    )
    assert again._telling is not None
    await asyncio.wait_for(again._telling, START)


async def test_another_lab_of_the_same_person_cannot_bring_back_what_was_taken_back(
    case: Case, person: Person, people: dict[str, Sharing], cluster: str, tokens: dict[str, str]
) -> None:
    alice, bob = people["alice"], people["bob"]
    await alice.share(cluster, HOUR)
    old = (person.directory(cluster) / SHARE).read_text()
    other = Sharing(person.lab(), Hub(environment(case, tokens["alice"])))
    await other.begin()
    await async_wait_until(lambda: other._told[cluster].next, START, "it has told once")
    await alice.take_back(cluster)
    other._told[cluster].next = 0.0
    other._changed.set()
    await async_wait_until(lambda: not other._told, START, "it sees that the record is gone")
    # As a home looks on another node that has not heard of it yet.
    (person.directory(cluster) / SHARE).write_text(old)
    await other.begin()
    await async_wait_until(
        lambda: not (person.directory(cluster) / SHARE).exists(), START, "it hears of it"
    )
    assert await seen(bob, cluster) is None


async def test_what_the_hub_refuses_leaves_nothing_behind(
    person: Person, people: dict[str, Sharing], cluster: str
) -> None:
    alice = people["alice"]
    for body, field in (
        ({"people": ["nobody-here"], "seconds": 60}, "people"),
        ({"teams": ["others"], "seconds": 60}, "teams"),
        ({"people": ["bob"]}, "seconds"),
    ):
        with pytest.raises(HubRefused) as refused:
            await alice.share(cluster, body)
        assert (refused.value.status, refused.value.field) == (400, field)
    assert not (person.directory(cluster) / SHARE).exists()
    assert (await alice.one(cluster))["share"] is None
    for method in (people["bob"].one, people["bob"].take_back):
        with pytest.raises(LookupError):  # it is no cluster of bob's
            await method(cluster)


@pytest.fixture
def labs(case: Case, tokens: dict[str, str], tmp_path: Path) -> Iterator[dict[str, LabServer]]:
    """Real Lab servers of alice, bob and carol, each with a home of their own."""
    running = {}
    try:
        for name, token in tokens.items():
            (home := tmp_path / name).mkdir(mode=0o700)
            running[name] = LabServer(home, home, **environment(case, token))
        yield running
    finally:
        for server in running.values():
            server.stop()
        case.cancel_all()


def test_every_route_as_the_owner_as_one_who_may_see_it_and_as_another(
    labs: dict[str, LabServer],
) -> None:
    alice, bob, carol = (labs[name] for name in ("alice", "bob", "carol"))
    started = alice.ask("POST", "clusters", {"workers": 0, "request": {"memory": "512M"}})
    assert started.status_code == 201, started.text
    path = f"clusters/{started.json()['id']}/share"
    shared = f"shared/alice/{started.json()['id']}"
    try:
        put = alice.ask("PUT", path, HOUR)
        assert put.status_code == 200 and put.json()["share"]["people"] == ["bob"]
        assert alice.ask("GET", path).json()["share"]["people"] == ["bob"]
        assert bob.ask("GET", shared).json()["view"]["name"] == "cluster-1"
        assert [one["owner"] for one in bob.ask("GET", "shared").json()["shared"]] == ["alice"]
        assert carol.ask("GET", "shared").json() == {"shared": []}
        for server, method, where, status in (
            (carol, "GET", shared, 404),
            (bob, "GET", path, 404),
            (bob, "DELETE", path, 404),
            (bob, "PUT", path, 404),
            (alice, "GET", "clusters/nothing/share", 404),
            (bob, "GET", f"{shared.replace('alice/', 'alice%2F')}%23/x", 404),
        ):
            answer = server.ask(method, where, HOUR if method == "PUT" else None)
            assert (answer.status_code, where) == (status, where)
            assert answer.json()["message"]
        wrong = alice.ask("PUT", path, {**HOUR, "people": ["nobody-here"]})
        assert (wrong.status_code, wrong.json()["field"]) == (400, "people")
        wrong = alice.ask("PUT", path, {**HOUR, "forever": True})
        assert (wrong.status_code, wrong.json()["field"]) == (400, "forever")
        for method, where in (("GET", path), ("PUT", path), ("DELETE", path), ("GET", "shared")):
            headers = {"Authorization": "token wrong"}
            assert alice.ask(method, where, headers=headers).status_code == 403, (method, where)
        assert alice.ask("DELETE", path).status_code == 204
        assert bob.ask("GET", shared).status_code == 404
        assert wait_until(lambda: bob.ask("GET", "shared").json() == {"shared": []}, 5, "empty")
    finally:
        alice.ask("DELETE", f"clusters/{started.json()['id']}")


def test_without_a_hub_nothing_is_shown_and_it_says_so(tmp_path: Path) -> None:
    os.environ.pop("JUPYTERHUB_API_URL", None)
    server = LabServer(tmp_path, tmp_path)
    try:
        answer = server.ask("GET", "shared")
        assert answer.status_code == 503
        assert "not started by Shopfloor's hub" in answer.json()["message"]
    finally:
        server.stop()
