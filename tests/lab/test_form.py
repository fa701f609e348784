"""What the start form of a cluster is told: limits of workers, outlook, job scripts, and presets of one's own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs.caps import Cap
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Job
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_lab import outlooks
from shopfloor_lab.clusters import form
from shopfloor_lab.clusters.form import _lines, for_workers
from shopfloor_lab.clusters.kernels import Kernels
from shopfloor_lab.clusters.planning import worker_request
from shopfloor_lab.clusters.presets import MOST, Presets
from shopfloor_lab.hub import Hub

from .cluster_parts import GB, TOKEN, Person, offer_of
from .kernel_parts import make_environment, spec
from .lab_server import HUB_TOKEN, LabServer, OfferingHub

OUTLOOK = {
    "hardware": "1 CPU, 1 GB for 1 h",
    "cost": "",
    "rate": "",
    "too_dear": False,
    "start": {"kind": "now", "at": 1.0, "asked": None, "why": ""},
    "free": True,
    "room": 3,
    "rooms": {"small": "free now"},
    "instead": [],
}


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    someone = Person(tmp_path_factory.mktemp("form") / "state")
    yield someone
    asyncio.run(someone.scheduler.stop_all())


@pytest.fixture(scope="module")
def hub(person: Person) -> Iterator[OfferingHub]:
    offering = OfferingHub(person.offer.to_json())
    yield offering
    offering.answers.set()
    offering.close()


@pytest.fixture(scope="module")
def lab(person: Person, hub: OfferingHub) -> Iterator[LabServer]:
    files = person.home / "files"
    files.mkdir()
    server = LabServer(
        person.home, files, JUPYTERHUB_API_URL=hub.url, JUPYTERHUB_API_TOKEN=HUB_TOKEN
    )
    yield server
    server.stop()


def gpu_offer(tmp_path: Path) -> Offer:
    """With a preset of four GPUs, one of half the least memory, and one that the site disabled."""
    offer = offer_of(tmp_path, gpus=4)
    (partition,) = offer.partitions
    presets = (
        *offer.presets,
        Preset("gpu", "One GPU", Request(memory=GB, gpus=1, time=3600).to_json()),
        Preset("whole", "Whole node", Request(memory=GB, gpus=4, time=3600).to_json()),
        Preset("tiny", "Tiny", Request(memory=GB // 4, time=3600).to_json()),
        Preset("off", "Off", Request(memory=GB).to_json(), "It is closed."),
    )
    partition = replace(partition, gpu_types={"a100": 4})
    return replace(offer, partitions=(partition,), presets=presets)


def test_the_form_offers_what_a_worker_can_be(tmp_path: Path) -> None:
    shown = for_workers(gpu_offer(tmp_path))
    disabled = {one["name"]: one["disabled"] for one in shown["presets"]}
    assert disabled["small"] is None and disabled["gpu"] is None
    assert "each GPU has a worker of its own" in disabled["whole"]
    assert "Memory: at least 512 MB" in disabled["tiny"]
    assert disabled["off"] == "It is closed."
    assert shown["limits"]["gpus"] == {"min": 0, "max": 1}
    assert shown["limits"]["workers"] == {"min": 0, "max": 128}
    assert shown["limits"]["memory"]["min"] == 512 * 1024**2
    assert {"nodes", "environment"}.isdisjoint(field["name"] for field in shown["fields"])
    assert for_workers(offer_of(tmp_path))["limits"]["gpus"]["max"] == 0


def test_more_than_one_gpu_for_a_worker_is_refused_in_words(tmp_path: Path) -> None:
    offer = gpu_offer(tmp_path)
    assert worker_request(offer, {"gpus": 1}).gpus == 1
    with pytest.raises(Refused, match="gpus: 2 is not possible: 1: each GPU has a worker"):
        worker_request(offer, {"gpus": 2})


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["sbatch", "--mem=4M", "/a b/script"], "sbatch \\\n  --mem=4M \\\n  '/a b/script'"),
        (["python", "-m", "x", "--tls", "f"], "python \\\n  -m x \\\n  --tls f"),
        (["p", "-IS", "--no", "x", "y"], "p \\\n  -IS \\\n  --no x \\\n  y"),
        (["p", "$(rm -rf ~)", "a;b"], "p \\\n  '$(rm -rf ~)' \\\n  'a;b'"),
    ],
)
def test_a_command_is_shown_as_it_could_be_typed(command: list[str], text: str) -> None:
    assert _lines(command) == text


def test_the_form_opens_with_one_answer(lab: LabServer) -> None:
    shown = lab.ask("GET", "form").json()
    assert set(shown) == {"offer", "kernels", "presets"}
    assert shown["offer"]["limits"]["workers"]["max"] == 128
    assert [one["name"] for one in shown["kernels"]] == ["python3"]


def test_the_outlook_is_the_hubs_for_all_workers(lab: LabServer, hub: OfferingHub) -> None:
    asked = time.time() - 40
    hub.outlook = 200, {**OUTLOOK, "start": {**OUTLOOK["start"], "asked": asked}}
    answer = lab.ask("POST", "form/outlook", {"workers": 4, "request": {"memory": "2G"}})
    assert answer.status_code == 200, answer.text
    question = hub.questions[-1]
    assert question["count"] == 4
    assert question["user_options"]["memory"] == 2 * GB
    start = answer.json()["start"]
    assert set(start) == {"kind", "at", "why", "ago"} and 39 < start["ago"] < 60
    assert answer.json()["rooms"] == {"small": "free now"}


def test_a_hub_that_is_slow_or_asked_too_much_leaves_what_was_known(
    lab: LabServer, hub: OfferingHub
) -> None:
    body = {"workers": 2, "request": {"cpus": 2}}
    hub.outlook = 200, {**OUTLOOK, "start": {**OUTLOOK["start"], "asked": time.time()}}
    assert lab.ask("POST", "form/outlook", body).json()["start"]["kind"] == "now"
    hub.outlook = 429, {"status": 429, "message": "more than 6 questions at once"}
    again = lab.ask("POST", "form/outlook", body).json()
    assert again["start"]["kind"] == "unknown" and again["start"]["at"] == 1.0
    assert again["start"]["why"] == "more than 6 questions at once"
    assert again["room"] == 3 and again["start"]["ago"] >= 0
    new = lab.ask("POST", "form/outlook", {"workers": 3}).json()
    assert new["start"] == {**new["start"], "kind": "unknown", "at": None, "ago": None}
    assert set(new) == {*OUTLOOK, "cap"} and new["cap"] is None


def test_a_hub_that_hangs_is_waited_for_but_not_for_long(
    person: Person, hub: OfferingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlooks, "WITHIN", 0.2)
    environment = {"JUPYTERHUB_API_URL": hub.url, "JUPYTERHUB_API_TOKEN": HUB_TOKEN}
    asking = form.Form(person.lab(), Hub(environment))
    capped = replace(person.offer, caps=(Cap("cpus", 3, "Project vision"),))
    monkeypatch.setattr(asking.clusters, "offer", lambda: asyncio.sleep(0, capped))
    hub.answers.clear()
    began = time.monotonic()
    try:
        answer = asyncio.run(asking.outlook({"workers": 1}))
    finally:
        waited = time.monotonic() - began
        hub.answers.set()
    assert waited < 10
    assert answer["start"]["kind"] == "unknown" and answer["start"]["why"]
    assert answer["cap"] == "Project vision may have 3 CPUs at once."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"workers": 129}, "workers"),
        ({"workers": "2"}, "workers"),
        ({"request": {"cpus": 3}}, "cpus"),
        ({"request": {"gpus": 1}}, "gpus"),
        ({"request": {"color": 1}}, "color"),
        ({"request": 3}, "options"),
        ({"kernel": "python3"}, "kernel"),
        ([], "body"),
    ],
)
def test_an_outlook_on_what_cannot_be_had_is_a_400_that_names_the_field(
    lab: LabServer, hub: OfferingHub, body: Any, field: str
) -> None:
    asked = len(hub.questions)
    answer = lab.ask("POST", "form/outlook", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert len(hub.questions) == asked


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"workers": -1}, "workers"),
        ({"name": "a\nb"}, "name"),
        ({"request": {"memory": "1M"}}, "memory"),
        ({"kernel": "nope"}, "kernel"),
        ({"notebook": "nope"}, "notebook"),
        ({"script": "rm"}, "script"),
    ],
)
def test_a_script_of_what_cannot_be_started_is_a_400_that_names_the_field(
    lab: LabServer, body: Any, field: str
) -> None:
    answer = lab.ask("POST", "form/script", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize("first", [1, 0], ids=["with the cluster", "by the cluster"])
async def test_the_jobs_that_are_shown_are_those_that_are_submitted(
    tmp_path: Path, first: int
) -> None:
    """Held against what the runner was really started with, in another environment than Lab's."""
    person = Person(tmp_path / "state")
    lab = person.lab()
    other = spec(make_environment(tmp_path / "other"), env={"SECRET": TOKEN})

    async def specs() -> dict[str, Any]:
        return {"other": {"resource_dir": "", "spec": other}}

    lab.planner.kernels = Kernels(os.environ, specs, lambda: "other")
    body = {"workers": first, "name": "mine", "request": {"memory": "768M", "time": "30m"}}
    try:
        shown = await form.Form(lab, Hub({})).script(body)
        assert await lab.list() == [] and person.processes_of_jobs() == []
        made = await person.start(lab, **body)
        if not first:
            await lab.scale(made["id"], 1)
            await person.until_connected(lab, made["id"], 1)
        jobs = person.directory(made["id"]).parent
        submitted = {one.name.split("-")[1]: one for one in jobs.glob("shopfloor-*")}
        started = {
            one.cmdline()[3].rsplit("/", 1)[1]: one.cmdline() for one in person.processes_of_jobs()
        }
        assert TOKEN not in json.dumps(shown)
        assert [one["what"] for one in shown["jobs"]] == ["worker", "cluster"]
        for job in shown["jobs"]:
            path = submitted[job["what"]]
            record = Job.from_json(json.loads((path / "request.json").read_text()))
            assert anonymous(job["command"]) == anonymous(_lines(record.command))
            assert anonymous(job["submit"]) == anonymous(_lines(started[path.name]))
        await lab.end(made["id"])
    finally:
        await person.scheduler.stop_all()


def anonymous(text: str) -> str:
    """Without the digits of tags and the address, which are new each time."""
    text = re.sub(r"shopfloor-[a-z]+-[0-9a-f]{16}", "TAG", text)
    return re.sub(r"tls://\S+", "ADDRESS", text)


def test_ones_own_preset_is_kept_shown_and_deleted(lab: LabServer, person: Person) -> None:
    body = {"request": {"cpus": 2, "memory": "2G"}}
    saved = lab.ask("PUT", "form/presets/My%20big%20one", body)
    assert saved.status_code == 200, saved.text
    (shown,) = lab.ask("GET", "form").json()["presets"]
    assert shown == saved.json()
    assert set(shown) == {"name", "label", "hardware", "request", "disabled"}
    assert (shown["name"], shown["disabled"]) == ("My big one", None)
    assert shown["hardware"].startswith("2 CPUs, 2 GB") and shown["request"]["memory"] == 2 * GB
    kept = person.home / ".local/share/shopfloor/presets.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (
        lab.ask("PUT", "form/presets/My%20big%20one", {"request": {"cpus": 1}}).status_code == 200
    )
    (again,) = lab.ask("GET", "form").json()["presets"]
    assert again["request"]["cpus"] == 1
    assert lab.ask("DELETE", "form/presets/My%20big%20one").status_code == 204
    assert lab.ask("GET", "form").json()["presets"] == []
    assert lab.ask("DELETE", "form/presets/My%20big%20one").status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("x" * 41, {"request": {}}, "name"),
        ("a%0ab", {"request": {}}, "name"),
        ("..%2fx", {"request": {}}, "name"),
        ("a", {"request": {"cpus": 99}}, "cpus"),
        ("a", {"request": {"cups": 1}}, "cups"),
        ("a", {"request": None}, "options"),
        ("a", {}, "body"),
        ("a", {"request": {}, "more": 1}, "body"),
    ],
)
def test_a_preset_that_cannot_be_is_a_400_that_names_the_field(
    lab: LabServer, name: str, body: Any, field: str
) -> None:
    answer = lab.ask("PUT", f"form/presets/{name}", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert lab.ask("GET", "form").json()["presets"] == []


async def test_a_preset_that_is_offered_no_more_is_shown_with_the_reason(tmp_path: Path) -> None:
    offer = offer_of(tmp_path / "state")

    async def get() -> Offer:
        return offer

    presets = Presets(tmp_path, get)
    await presets.save("two", {"cpus": 2})
    await presets.save("one", {"cpus": 1})
    offer = offer_of(tmp_path / "state", cpus=1)
    two, one = await presets.list()
    assert (two["name"], one["disabled"]) == ("two", None)
    assert two["disabled"].startswith("CPUs: at most 1") and two["request"]["cpus"] == 2
    offer = replace(offer, partitions=(Partition("other", "", {"cpus": 4}),))
    assert ["one of other" in shown["disabled"] for shown in await presets.list()] == [True, True]


@pytest.mark.parametrize("text", ["", "[]", '{"presets": [1]}', "{", '{"presets": {"a": 3}}'])
async def test_a_file_of_presets_that_somebody_changed_stops_nothing(
    tmp_path: Path, text: str
) -> None:
    async def get() -> Offer:
        return offer_of(tmp_path / "state")

    presets = Presets(tmp_path, get)
    presets.file.parent.mkdir(parents=True)
    presets.file.write_text(text)
    assert all(one["disabled"] for one in await presets.list())
    assert (await presets.save("b", {"cpus": 1}))["disabled"] is None


async def test_there_is_room_for_many_presets_but_not_for_any_number(tmp_path: Path) -> None:
    async def get() -> Offer:
        return offer_of(tmp_path / "state")

    presets = Presets(tmp_path, get)
    await asyncio.gather(*(presets.save(f"p{number}", {"cpus": 1}) for number in range(MOST)))
    assert len(await presets.list()) == MOST
    with pytest.raises(Refused, match="delete one"):
        await presets.save("more", {"cpus": 1})
    await presets.save("p3", {"cpus": 2})


def test_presets_that_cannot_be_written_say_why(lab: LabServer, person: Person) -> None:
    place = person.home / ".local/share/shopfloor/presets.json"
    place.unlink(missing_ok=True)
    place.mkdir()
    try:
        answer = lab.ask("PUT", "form/presets/mine", {"request": {}})
        assert answer.status_code == 503 and "cannot be written" in answer.json()["message"]
    finally:
        place.rmdir()
