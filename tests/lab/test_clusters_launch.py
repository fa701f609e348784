"""How a cluster's workers are submitted and cancelled: as few commands as possible, and no job that nobody means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from shopfloor_jobs.job import Job, Seen, State, are_family, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import NothingNew, SubmitRefused, Unreachable
from shopfloor_lab.clusters import launch as launching
from shopfloor_lab.clusters.connection import read_workers
from shopfloor_lab.clusters.known import Known
from shopfloor_lab.clusters.launch import Launch, Place

from tests.jobs.waiting import async_wait_until


class Scripted:
    """A scheduler that takes at most ``most`` workers, and whose answers can be held or lost."""

    def __init__(self, most: int = 1000):
        self.most, self.taken = most, 0
        self.submissions: list[tuple[Job, int]] = []
        self.cancelled: list[list[str]] = []
        self.living: dict[str, Seen] = {}
        self.answers = asyncio.Event()
        self.answers.set()
        self.lost = False

    async def submit(self, job: Job, count: int = 1) -> list[str]:
        self.submissions.append((job, count))
        await self.answers.wait()
        if self.taken + count > self.most:
            raise SubmitRefused(f"at most {self.most} jobs")
        if self.lost and self.living:
            raise Unreachable("no answer")
        self.taken += count
        number = len(self.submissions)
        ids = [str(number)] if count == 1 else [f"{number}_{index}" for index in range(count)]
        self.living.update({id: Seen(id, job.tag, "alice", State.PENDING) for id in ids})
        if self.lost:
            raise Unreachable("no answer")
        return ids

    async def cancel(self, owner: str, ids: Sequence[str]) -> None:
        self.cancelled.append(list(ids))
        for id in ids:
            self.living.pop(id, None)

    async def look(self) -> list[Seen]:
        return list(self.living.values())


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(Scripted(), "alice", tmp_path, Request(), {})


def command(names: Sequence[str]) -> list[str]:
    return ["work", ",".join(names)]


def submit(launch: Launch, count: int) -> list[Place]:
    return [launch.submit(f"worker-{number}", command) for number in range(1, count + 1)]


async def answered(places: Sequence[Place]) -> None:
    def all_are() -> bool:
        return all(place.id or place.refusal for place in places)

    await async_wait_until(all_are, 20, "all are answered")


async def test_a_hundred_workers_are_one_array_with_a_name_for_each_copy(launch: Launch):
    places = submit(launch, 100)
    await answered(places)
    [(job, count)] = launch.scheduler.submissions
    assert count == 100
    assert job.command[1].split(",") == [f"worker-{number}" for number in range(1, 101)]
    assert [place.id for place in places] == [f"1_{index}" for index in range(100)]
    assert read_workers(launch.directory) == {job.tag: job.command[1].split(",")}


async def test_workers_bear_the_mark_of_their_cluster_in_their_name(tmp_path: Path):
    clusters = [new_tag("cluster") for _ in range(2)]
    launch = Launch(Scripted(), "alice", tmp_path / clusters[0], Request(), {})
    launch.directory.mkdir()
    await answered(submit(launch, 1))
    await answered(submit(launch, 2))
    tags = [job.tag for job, _ in launch.scheduler.submissions]
    assert len(set(tags)) == 2
    assert [[are_family(tag, one) for one in clusters] for tag in tags] == [[True, False]] * 2


async def test_of_an_array_that_is_refused_what_is_within_the_limit_is_had(launch: Launch):
    launch.scheduler.most = 2
    places = submit(launch, 4)
    await answered(places)
    assert [bool(place.id) for place in places] == [True, True, False, False]
    assert {place.refusal for place in places[2:]} == {"at most 2 jobs"}
    counts = [count for _, count in launch.scheduler.submissions]
    assert counts == [4, 1, 1, 1], "who is refused once is not asked for again"


async def test_workers_given_up_together_are_cancelled_together_and_once(launch: Launch):
    places = submit(launch, 8)
    await answered(places)
    for place in [*places[:5], *places[:2]]:
        launch.give_up(place)
    await async_wait_until(lambda: launch.at_rest, 20, "all is answered")
    assert launch.scheduler.cancelled == [[f"1_{index}" for index in range(5)]]


async def test_what_is_given_up_before_it_is_sent_is_never_submitted(launch: Launch):
    places = submit(launch, 3)
    launch.give_up(places[1])
    await answered([places[0], places[2]])
    [(job, _)] = launch.scheduler.submissions
    assert job.command[1] == "worker-1,worker-3"


async def test_what_is_given_up_while_it_is_on_its_way_is_cancelled_when_its_id_is_known(
    launch: Launch,
):
    launch.scheduler.answers.clear()
    places = submit(launch, 2)
    await async_wait_until(lambda: launch.scheduler.submissions, 20, "it is on its way")
    launch.give_up(places[0])
    assert not launch.at_rest
    launch.scheduler.answers.set()
    await async_wait_until(lambda: launch.at_rest, 20, "all is answered")
    assert launch.scheduler.cancelled == [["1_0"]]


async def test_a_submission_that_nobody_answered_is_found_or_cancelled(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(launching, "TRIES", 1)
    launch.scheduler.lost = True
    kept, dropped = submit(launch, 2)
    await answered([kept, dropped])
    assert kept.refusal == dropped.refusal == "no answer"
    known = Known(launch)
    await known.look([kept])
    assert (kept.id, kept.refusal) == ("1_0", "")
    await async_wait_until(lambda: launch.at_rest, 20, "all is answered")
    assert launch.scheduler.cancelled == [["1_1"]], "no worker stands for it any more"


async def test_what_is_still_on_its_way_is_not_taken_for_one_that_nobody_means(launch: Launch):
    submit_answer = launch.scheduler.answers
    place = submit(launch, 1)[0]
    await answered([place])
    submit_answer.clear()
    more = launch.submit("worker-2", command)
    await async_wait_until(lambda: len(launch.scheduler.submissions) == 2, 20, "it is on its way")
    early = Seen("2", more.tag, "alice", State.PENDING)
    launch.scheduler.living["2"] = early
    await Known(launch).look([place])
    assert launch.scheduler.cancelled == [] and launch.owed == set()
    submit_answer.set()
    await answered([more])
    assert more.id == "2"


@pytest.mark.parametrize(
    ("state", "connected", "known_to_have_ended"),
    [
        (State.ENDED, False, True),
        # Its runner's note is there some seconds before the scheduler shows the end.
        (State.RUNNING, False, True),
        (State.RUNNING, True, False),
        # Its node failed; what it noted there is of the run before.
        (State.PENDING, False, False),
    ],
)
async def test_the_runners_note_is_believed_where_it_can_only_be_of_this_run(
    launch: Launch, state: State, connected: bool, known_to_have_ended: bool
):
    [place] = submit(launch, 1)
    await answered([place])
    launch.scheduler.living["1"] = Seen("1", place.tag, "alice", state, started=1.0)
    path = launch.directory.parent / place.tag
    path.mkdir()
    (path / "exit-0.json").write_text('{"code": 1, "cause": "it broke"}')
    known = Known(launch)
    await known.look([place], {place.name} if connected else ())
    assert bool(known.exit(place)) is known_to_have_ended


@pytest.mark.parametrize("connected", [True, False])
async def test_where_a_connected_worker_runs_is_known_though_the_hub_still_shows_it_waiting(
    launch: Launch, connected: bool
):
    [place] = submit(launch, 1)
    await answered([place])
    path = launch.directory.parent / place.tag
    path.mkdir()
    (path / "start-0.json").write_text('{"host": "gpu07"}')
    known = Known(launch)
    await known.look([place], {place.name} if connected else ())
    assert known.seen(place).state is State.PENDING
    assert known.start(place) == ({"host": "gpu07"} if connected else {})


async def test_a_hub_that_has_nothing_new_says_so_and_records_are_read_all_the_same(
    launch: Launch,
):
    class Hub:
        async def look(self) -> list[Seen]:
            if self.answers:
                return self.answers.pop()
            raise NothingNew

    [place] = submit(launch, 1)
    await answered([place])
    hub = Hub()
    hub.answers = [[Seen("1", place.tag, "alice", State.RUNNING, started=1.0)]]
    known = Known(launch, hub)
    await known.look([place])
    path = launch.directory.parent / place.tag
    path.mkdir()
    (path / "exit-0.json").write_text('{"code": 1, "cause": "it broke"}')
    await known.look([place])
    assert known.exit(place) == {"code": 1, "cause": "it broke"}
    assert known.silence == ""
