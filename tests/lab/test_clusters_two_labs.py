"""Clusters whose scheduler runs beside one of a person's Lab servers: what another one makes of them, and their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.offer import ClusterTerms
from shopfloor_jobs.request import Request
from shopfloor_lab.clusters.connection import TLS
from shopfloor_lab.clusters.listing import Clusters
from shopfloor_lab.clusters.state import ENDED_WITH_LAB, SILENT
from shopfloor_lab.errors import Conflict

from tests.jobs.waiting import async_wait_until, wait_until

from .cluster_parts import GB, START, Person
from .lab_server import HUB_TOKEN, LabServer, OfferingHub

REQUEST = {"memory": GB * 3 // 4, "cpus": 1, "time": 1800}


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    one = Person(tmp_path / "state")
    one.offer = replace(one.offer, clusters=ClusterTerms(beside_lab=True))
    yield one


class Labs:
    """Two Lab servers, each with a runtime directory and the tag of a job of its own."""

    def __init__(self, person: Person, patch: pytest.MonkeyPatch, folder: Path):
        self.tags = [new_tag("server"), new_tag("server")]
        self.both: list[Clusters] = []
        for tag in self.tags:
            patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / tag))
            patch.setenv("SHOPFLOOR_TAG", tag)
            self.both.append(person.lab())


@pytest.fixture
def labs(person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Labs]:
    labs = Labs(person, monkeypatch, tmp_path)
    yield labs
    for lab in labs.both:
        lab.end_with_lab()
    wait_until(lambda: not person.processes(), 30, "nothing of it runs")


async def beside_a_server(person: Person, labs: Labs) -> tuple[str, dict[str, Any], psutil.Process]:
    """The id of the first Lab server's own job, a cluster beside it, and the process of that cluster's scheduler."""
    job = Job(labs.tags[0], "alice", "server", Request(cpus=1, time=600), ("sleep", "300"))
    [server] = await person.scheduler.submit(job)
    made = await person.start(labs.both[0], 1, request=REQUEST)
    [controller] = person.commands("clusters.controller")
    return server, made, controller


async def test_another_lab_takes_it_for_living_as_long_as_the_labs_job_lives(
    person: Person, labs: Labs
):
    other = labs.both[1]
    server, made, controller = await beside_a_server(person, labs)
    controller.suspend()  # too busy to answer
    try:
        for _ in range(3):
            assert (await other.one(made["id"], max_age=0))["state"] == "running"
    finally:
        controller.resume()
    assert (person.directory(made["id"]) / TLS).exists()
    await person.until_connected(other, made["id"], 1)

    controller.kill()
    await person.scheduler.cancel("alice", [server])

    async def over() -> dict[str, Any] | None:
        now = await other.one(made["id"], max_age=0)
        return now if now["state"] == "ended" else None

    ended = await async_wait_until(over, START, "the other Lab sees that it ended")
    assert ended["cause"] == ENDED_WITH_LAB or "signal 9" in ended["cause"]


async def test_another_lab_stops_it(person: Person, labs: Labs):
    mine, other = labs.both
    made = await person.start(mine, 1, request=REQUEST)
    await other.end(made["id"])
    assert (await mine.one(made["id"], max_age=0))["cause"] == "You stopped it."


async def test_another_lab_says_that_it_does_not_answer_and_does_not_stop_half_of_it(
    person: Person, labs: Labs
):
    mine, other = labs.both
    server, made, controller = await beside_a_server(person, labs)
    controller.suspend()
    try:
        assert (await other.one(made["id"], max_age=0))["reason"] == SILENT
        with pytest.raises(Conflict, match="beside another Lab server of yours"):
            await other.end(made["id"])
        assert len(person.commands("dask_worker")) == 1
    finally:
        controller.resume()
        await person.scheduler.cancel("alice", [server])
    await person.until_connected(mine, made["id"], 1)


async def test_who_started_nothing_ends_nothing(person: Person, labs: Labs):
    """Another Jupyter server in Lab's own terminal has the same runtime directory."""
    mine, same = labs.both[1], person.lab()
    made = await person.start(mine, 1, request=REQUEST)
    same.end_with_lab()
    await person.until_connected(mine, made["id"], 1)


def test_a_lab_that_ends_takes_along_what_runs_beside_it(person: Person):
    files = person.home / "files"
    files.mkdir()
    with contextlib.closing(OfferingHub(person.offer.to_json())) as hub:
        lab = LabServer(
            person.home,
            files,
            JUPYTERHUB_API_URL=hub.url,
            JUPYTERHUB_API_TOKEN=HUB_TOKEN,
            SHOPFLOOR_TAG=new_tag("server"),
        )
        try:
            made = lab.ask("POST", "clusters", {"workers": 1, "request": REQUEST}).json()["id"]

            def connected() -> bool:
                [shown] = lab.ask("GET", "clusters").json()["clusters"]
                return shown["workers"]["connected"] == 1

            wait_until(connected, START, "its worker is connected")
        finally:
            lab.stop()
    wait_until(lambda: not person.processes(), 15, "neither scheduler nor worker runs on")
    left = [name for name in ("connection.json", TLS) if (person.directory(made) / name).exists()]
    assert left == []
