"""A cluster's first workers are asked for with its own job: adopted, never doubled, gone where there is no cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import dask
import pytest
from shopfloor_jobs import directory
from shopfloor_jobs.job import Seen, State, new_tag
from shopfloor_jobs.local import Local
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import NothingNew
from shopfloor_lab.clusters import first
from shopfloor_lab.clusters.adopting import SHOWS_WITHIN, Adopting
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.command import AWAITING
from shopfloor_lab.clusters.connection import First, read_workers
from shopfloor_lab.clusters.known import Known
from shopfloor_lab.clusters.launch import Launch
from shopfloor_lab.hub import NoHub

from tests.jobs.waiting import async_wait_until

from .cluster_parts import START, Person
from .test_clusters_launch import Scripted, answered, submit

TAG = new_tag("worker")
NAMES = ("worker-1", "worker-2")
TIME = 1000.0


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """The job directory of a cluster whose first two workers Lab asked for."""
    path = tmp_path / new_tag("cluster")
    path.mkdir()
    First(TAG, NAMES).write(path)
    return path


def launch_of(cluster: Path) -> Launch:
    """The controller that begins now."""
    return Launch(Scripted(), "alice", cluster, Request(), {})


def asked(launch: Launch) -> list[str]:
    return [job.command[1] for job, _ in launch.scheduler.submissions]


async def test_who_was_asked_for_is_adopted_and_the_numbers_go_on(cluster: Path):
    First(TAG, NAMES, ("7_0", "7_1")).write(cluster)
    launch = launch_of(cluster)
    places = submit(launch, 3)
    assert [(place.tag, place.id) for place in places[:2]] == [(TAG, "7_0"), (TAG, "7_1")]
    await answered(places)
    assert asked(launch) == ["worker-3"]
    assert read_workers(cluster)[TAG] == list(NAMES), "whoever clears up later must know them"


async def test_a_single_one_is_no_array(cluster: Path):
    First(TAG, NAMES[:1], ("7",)).write(cluster)
    [place] = submit(launch_of(cluster), 1)
    assert (place.id, place.index) == ("7", 0)
    assert read_workers(cluster) == {TAG: ["worker-1"]}, (
        "also where Lab's note of them was cleared away"
    )


async def test_what_lab_notes_only_after_the_cluster_began_is_read_at_the_next_look(cluster: Path):
    launch = launch_of(cluster)
    places = submit(launch, 2)
    known = Known(launch)
    await known.look(places)
    assert [place.id for place in places] == ["", ""] and not launch.at_rest
    First(TAG, NAMES, ("7_0", "7_1")).write(cluster)
    await known.look(places)
    assert [place.id for place in places] == ["7_0", "7_1"] and launch.at_rest
    assert asked(launch) == []


async def test_a_note_that_cannot_be_read_at_the_moment_is_read_at_the_next_look(cluster: Path):
    launch = launch_of(cluster)
    places = submit(launch, 2)
    known, note = Known(launch), cluster / First.file
    note.unlink()
    note.mkdir()
    await known.look(places)
    assert not launch.at_rest and asked(launch) == []
    note.rmdir()
    First(TAG, NAMES, ("7_0", "7_1")).write(cluster)
    await known.look(places)
    assert [place.id for place in places] == ["7_0", "7_1"]


async def test_it_is_read_also_while_the_hub_has_nothing_new(cluster: Path):
    class Hub:
        async def look(self) -> list[Seen]:
            raise NothingNew

    launch = launch_of(cluster)
    places = submit(launch, 2)
    First(TAG, NAMES, ("7_0", "7_1")).write(cluster)
    await Known(launch, Hub()).look(places)
    assert [place.id for place in places] == ["7_0", "7_1"]


async def test_what_lab_was_killed_before_it_noted_is_found_at_the_scheduler(cluster: Path):
    launch = launch_of(cluster)
    places = submit(launch, 2)
    for index in range(2):
        seen = Seen(f"7_{index}", TAG, "alice", State.PENDING)
        launch.scheduler.living[seen.id] = seen
    await Known(launch).look(places)
    assert [place.id for place in places] == ["7_0", "7_1"] and launch.at_rest
    assert asked(launch) == [] and launch.scheduler.cancelled == []


@pytest.mark.parametrize("before", [True, False], ids=["before it began", "after it began"])
async def test_what_the_scheduler_refused_lab_is_asked_for_anew_for_its_words(
    cluster: Path, before: bool
):
    refused = First(TAG, NAMES, refused="at most 1 job")
    if before:
        refused.write(cluster)
    launch = launch_of(cluster)
    launch.scheduler.most = 1
    places = submit(launch, 2)
    if not before:
        refused.write(cluster)
        await Known(launch).look(places)
    await answered(places)
    assert asked(launch) == ["worker-1,worker-2", "worker-1", "worker-2"]
    assert places[0].id and places[1].refusal == "at most 1 jobs"


async def test_one_that_never_shows_is_asked_for_anew_and_cancelled_if_it_comes_after_all(
    cluster: Path, monkeypatch: pytest.MonkeyPatch
):
    now = [TIME]
    launch = launch_of(cluster)
    launch._adopting = Adopting(cluster, lambda: now[0])
    places = submit(launch, 2)
    known = Known(launch)
    await known.look(places)
    now[0] += SHOWS_WITHIN + 1
    await known.look(places)
    await answered(places)
    assert asked(launch) == ["worker-1,worker-2"]
    assert TAG not in {place.tag for place in places}
    for index in range(2):
        late = Seen(f"9_{index}", TAG, "alice", State.RUNNING)
        launch.scheduler.living[late.id] = late
    await known.look(places)
    await async_wait_until(lambda: launch.at_rest, 20, "all is answered")
    assert launch.scheduler.cancelled == [["9_0", "9_1"]]
    assert len(launch.scheduler.living) == 2, "as many as are wanted, and no more"


async def test_one_that_is_given_up_before_its_id_is_known_is_cancelled_then(cluster: Path):
    launch = launch_of(cluster)
    places = submit(launch, 2)
    launch.give_up(places[1])
    First(TAG, NAMES, ("7_0", "7_1")).write(cluster)
    await launch.last_answers()
    await async_wait_until(lambda: launch.at_rest, 20, "all is answered")
    assert launch.scheduler.cancelled == [["7_1"]]


async def test_one_that_ended_before_the_cluster_began_is_asked_for_anew(cluster: Path):
    First(TAG, NAMES, ("7_0", "7_1")).write(cluster)
    job = cluster.parent / TAG
    job.mkdir()
    directory.write_json(job / "exit-1.json", {"code": 1, "cause": "the cluster waited"})
    launch = launch_of(cluster)
    places = submit(launch, 2)
    await answered(places)
    assert (places[0].tag, places[1].tag == TAG) == (TAG, False)
    assert asked(launch) == ["worker-2"]


# The whole, on this machine


def jobs_of(person: Person, cluster: str) -> list[Path]:
    path = person.directory(cluster)
    return [path.parent / tag for tag in read_workers(path)]


async def test_a_cluster_has_the_workers_that_lab_asked_for_and_no_others(person: Person):
    lab = person.lab()
    cluster = await person.start(lab, 2)
    [job] = jobs_of(person, cluster["id"])
    told = First.read(person.directory(cluster["id"]))
    assert (told.tag, list(told.names)) == (job.name, list(NAMES))
    rows = cluster["workers"]["rows"]
    assert [row["name"] for row in rows] == list(NAMES)
    assert sorted(row["job_id"] for row in rows) == sorted(told.ids)
    assert len(person.commands(AWAITING)) == 2
    await lab.scale(cluster["id"], 3)
    more = await person.until_connected(lab, cluster["id"], 3)
    assert [row["name"] for row in more["workers"]["rows"]] == [*NAMES, "worker-3"]
    assert len(person.commands("dask_worker")) == 3
    await lab.end(cluster["id"])
    await async_wait_until(lambda: not person.processes(), 20, "nothing of it runs")


# What a task finds on its worker, whose process dask's nanny forked or spawned.
SURROUNDINGS = (
    "(hash('a key'), dict(__import__('os').environ),"
    " 'shopfloor_lab.clusters.forked' in __import__('sys').modules)"
)


async def test_workers_hash_alike_and_have_what_distributed_sets_however_they_began(person: Person):
    lab = person.lab()
    made = await person.start(lab, 1)
    await lab.scale(made["id"], 2)
    await person.until_connected(lab, made["id"], 2)
    client = await asyncio.to_thread(connect, home=person.home)
    try:
        told = await asyncio.to_thread(client.run, eval, SURROUNDINGS)
    finally:
        await asyncio.to_thread(client.close)
    # By address, whose order is chance.
    later, early = sorted(told.values(), key=lambda one: one[2])
    assert (early[2], later[2]) == (True, False), "who is forked draws anew, see forked.py"
    assert early[0] == later[0]
    for name, value in dask.config.get("distributed.nanny.pre-spawn-environ").items():
        assert early[1][name] == later[1][name] == str(value)


async def test_the_smallest_number_of_an_adaptive_cluster_is_asked_for_so_too(person: Person):
    lab = person.lab()
    made = await lab.start({"adapt": {"minimum": 1, "maximum": 2}})
    await person.until_connected(lab, made["id"], 1)
    [job] = jobs_of(person, made["id"])
    assert First.read(person.directory(made["id"])).tag == job.name


async def test_workers_that_are_refused_say_why_and_none_is_left(person: Person, tmp_path: Path):
    lab = person.lab()
    scheduler = Local(state=str(person.state))
    free = (await scheduler.describe()).nodes[0].free_memory
    asked = {"memory": f"{free * 2 // 3 // 2**20}M"}
    made = await lab.start({"workers": 2, "request": asked})

    async def refused() -> dict[str, Any] | None:
        now = await lab.one(made["id"])
        failed = [row for row in now["workers"]["rows"] if row["state"] == "failed"]
        return now if failed and now["workers"]["connected"] == 1 else None

    now = await async_wait_until(refused, START, "one is refused, one connected", 0.05)
    assert "memory" in now["reason"]
    assert len(person.commands("dask_worker")) == 1


async def test_the_cluster_whose_lab_was_killed_in_between_is_known_and_leaves_nothing(
    person: Person,
):
    lab = person.lab()
    made = await lab.planner.plan({"name": "half", "workers": 1})
    path = directory.directory_of(person.home, made.job.tag)
    path.mkdir(mode=0o700, parents=True)
    made.plan.write(path)
    job, note = await first.announce(made, person.home)
    await person.scheduler.submit(made.job)

    async def waits_for_it() -> bool:
        one = await lab.one(path.name)
        shown = [(row["name"], row["state"]) for row in one["workers"]["rows"]]
        return one["state"] == "running" and shown == [("worker-1", "requested")]

    await async_wait_until(waits_for_it, START, "it runs, and has its first worker asked for")
    # Its submission had been on its way after all.
    await person.scheduler.submit(job)
    settled = await person.until_connected(lab, path.name, 1)
    assert settled["workers"]["rows"][0]["name"] == note.names[0]
    await lab.end(path.name)
    await async_wait_until(lambda: not person.processes(), 20, "nothing of it runs")


async def test_workers_without_a_cluster_are_cancelled_at_the_next_look(person: Person):
    lab = person.lab()
    made = await lab.planner.plan({"name": "lone", "workers": 1})
    path = directory.directory_of(person.home, made.job.tag)
    path.mkdir(mode=0o700, parents=True)
    made.plan.write(path)
    job, note = await first.announce(made, person.home)
    await first.ask_for(person.scheduler, job, note, path)
    assert len(First.read(path).ids) == 1
    await lab.end(path.name)
    await async_wait_until(lambda: not person.processes(), 20, "nothing of it runs")


class Says:
    """A hub that says how much room there is."""

    def __init__(self, answer: Any):
        self.answer, self.questions = answer, []

    async def post(self, path: str, body: Any, within: float) -> Any:
        self.questions.append((path, body["estimate"]))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"room": 3}, True),
        ({"room": 0}, False),
        ({"room": None}, False),
        ({}, False),
        (NoHub("away"), False),
    ],
)
async def test_on_slurm_it_is_done_only_where_the_cluster_itself_is_expected_to_begin(
    person: Person, answer: Any, expected: bool
):
    made = await person.lab().planner.plan({"name": "c", "workers": 1})
    made.offer.scheduler["type"] = "slurm"
    hub = Says(answer)
    assert await first.together(made, hub) is expected
    assert hub.questions == [("outlook", False)]
