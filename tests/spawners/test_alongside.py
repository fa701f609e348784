"""What runs beside servers, by value, and how it is stopped: what belongs together ends together, nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from shopfloor_jobs.job import Seen, State, family_of, new_tag
from shopfloor_jobs.scheduler import Unreachable
from shopfloor_jobs.view import Pace, View
from shopfloor_spawners.alongside import Alongside, beside
from shopfloor_spawners.jobs_handler import etag_of

SERVER, KERNEL, CLUSTER, OTHER = (
    new_tag(kind) for kind in ("server", "kernel", "cluster", "cluster")
)


def seen(number: int, tag: str, state: State = State.RUNNING, index: int | None = None) -> Seen:
    job_id = str(number) if index is None else f"{number}_{index}"
    return Seen(job_id, tag, "alice", state, submitted=float(number))


def workers(number: int, cluster: str, count: int = 1) -> list[Seen]:
    tag = new_tag("worker", family_of(cluster))
    return [seen(number, tag, index=index if count > 1 else None) for index in range(count)]


class Held:
    """A scheduler with these jobs; cancelled ones are gone at the next look, with what ``goes_with`` them."""

    def __init__(self, jobs: Sequence[Seen]):
        self.jobs = list(jobs)
        self.cancelled: list[str] = []
        self.goes_with: dict[str, set[str]] = {}
        self.silent = False

    async def look(self) -> list[Seen]:
        if self.silent:
            raise Unreachable("no answer")
        return list(self.jobs)

    async def cancel(self, owner: str, ids: Sequence[str]) -> None:
        assert owner == "alice"
        if self.silent:
            raise Unreachable("no answer")
        self.cancelled += ids
        ended = set(ids).union(*(self.goes_with.get(one, set()) for one in ids))
        self.jobs = [
            replace(job, state=State.ENDED) if job.id in ended else job for job in self.jobs
        ]

    async def discard(self, owner: str, tag: str) -> None:
        pass


@pytest.fixture
async def held() -> AsyncIterator[tuple[Held, Alongside]]:
    scheduler = Held(
        [
            seen(1, SERVER),
            seen(2, KERNEL),
            seen(3, CLUSTER),
            *workers(4, CLUSTER, 2),
            *workers(5, CLUSTER),
            seen(6, OTHER),
            *workers(7, OTHER),
        ]
    )
    view = View(scheduler, Pace(calm=0.01, quick=0.01, longest=0.01))
    view.run()
    alongside = Alongside(view)
    await view.change(5)
    yield scheduler, alongside
    view._running.cancel()


def ids(alongside: Alongside) -> list[tuple[str, int]]:
    return [(one.seen.id, len(one.workers)) for one in alongside.of("alice")]


async def test_servers_are_left_out_and_workers_are_counted_with_their_own_cluster(held):
    _, alongside = held
    assert ids(alongside) == [("2", 0), ("3", 3), ("6", 1)]
    assert alongside.of("bob") == []


def test_workers_whose_cluster_is_gone_are_shown_once_for_each_cluster():
    lost = [*workers(8, CLUSTER, 2), *workers(9, CLUSTER), *workers(10, OTHER)]
    ended = replace(seen(3, CLUSTER), state=State.ENDED)
    found = beside([ended, seen(2, KERNEL), *reversed(lost)])
    assert [(one.kind, one.seen.submitted, len(one.workers)) for one in found] == [
        ("kernel", 2.0, 0),
        ("worker", 8.0, 3),
        ("worker", 10.0, 1),
    ]


def test_what_was_asked_for_in_the_same_second_keeps_its_order():
    jobs = [replace(seen(number, new_tag("kernel")), submitted=1.0) for number in (9, 10, 100)]
    assert [one.seen.id for one in beside(reversed(jobs))] == ["9", "10", "100"]


async def test_a_kernel_that_is_stopped_is_so_until_it_is_gone_and_no_longer_asked_about(held):
    scheduler, alongside = held
    [kernel, *_] = alongside.of("alice")
    assert len(alongside.kernels("alice")) == 1
    scheduler.silent = True
    assert not await alongside.stop("alice", kernel, 0.05)
    assert alongside.is_stopping("alice", kernel)
    assert alongside.kernels("alice") == []
    scheduler.silent = False
    assert await alongside.stop("alice", kernel, 30)
    assert scheduler.cancelled == ["2"]
    assert not alongside.is_stopping("alice", kernel)
    assert await alongside.find("alice", KERNEL) is None


async def test_a_clusters_workers_are_its_own_to_take_along(held):
    scheduler, alongside = held
    scheduler.goes_with["3"] = {"4_0", "4_1", "5"}
    assert await alongside.stop("alice", await alongside.find("alice", CLUSTER), 30)
    assert scheduler.cancelled == ["3"]
    assert ids(alongside) == [("2", 0), ("6", 1)]


async def test_workers_that_a_cluster_leaves_behind_are_ended_after_it(held):
    scheduler, alongside = held
    assert await alongside.stop("alice", await alongside.find("alice", CLUSTER), 30)
    assert scheduler.cancelled[0] == "3"
    assert sorted(scheduler.cancelled[1:]) == ["4_0", "4_1", "5"]
    assert ids(alongside) == [("2", 0), ("6", 1)]


async def test_workers_without_their_cluster_are_stopped_together(held):
    scheduler, alongside = held
    scheduler.jobs = [job for job in scheduler.jobs if job.tag != CLUSTER]
    await alongside.view.job("alice", CLUSTER, 0)
    [lost] = [one for one in alongside.of("alice") if one.kind == "worker"]
    assert await alongside.stop("alice", lost, 30)
    assert sorted(scheduler.cancelled) == ["4_0", "4_1", "5"]


async def test_a_page_has_a_view_that_rests_look(held):
    scheduler, alongside = held
    view = alongside.view
    view.pace = Pace(calm=0.01, longest=3600)
    await view.change(0.1)  # it rests from now on, if it did not look just then
    view._looked_at -= 3600
    scheduler.jobs.append(seen(11, new_tag("kernel")))
    await alongside.look()
    assert len(alongside.kernels("alice")) == 2


async def test_no_job_that_was_seen_is_another_answer_than_that_nobody_has_looked_yet():
    view = View(Held([]))
    alongside = Alongside(view)
    before = etag_of(alongside, "alice")
    await view.job("alice", KERNEL, 0)
    first = etag_of(alongside, "alice")
    await view.job("alice", KERNEL, 0)
    assert etag_of(alongside, "alice") == first != before


async def test_no_page_waits_for_a_scheduler_that_is_silent(held, monkeypatch):
    scheduler, alongside = held
    scheduler.silent = True
    while not alongside.view.trouble:
        await alongside.view.change(5)
    alongside.view._looked_at -= 3600
    monkeypatch.setattr("shopfloor_spawners.alongside.LOOK_WITHIN", 3600)
    alongside.view.pace = Pace(calm=3600, stalest=3600, longest=3600)
    await alongside.look()
    assert ids(alongside) == [("2", 0), ("3", 3), ("6", 1)]
