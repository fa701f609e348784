"""How a cluster's workers are kept at the wanted number: dask's real scheduler, and jobs that only stand in a list."""

from __future__ import annotations

import asyncio
import errno
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shopfloor_jobs import directory
from shopfloor_jobs.request import Request
from shopfloor_lab.clusters import controller as controlling
from shopfloor_lab.clusters.controller import Controller
from shopfloor_lab.clusters.launch import Launch
from shopfloor_lab.clusters.security import make_certificates, own_security
from shopfloor_lab.clusters.workers import Workers
from shopfloor_lab.gpu_record import GpuRecord

from tests.jobs.waiting import async_wait_until

from .test_clusters_launch import Scripted

HOUR = 3600.0


class Standing(Workers):
    """Those named in ``there`` count as connected; their jobs last until ``until`` (epoch seconds), None: for ever."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.there: set[str] = set()
        self.until: dict[str, float] = {}
        self.retired: list[set[str]] = []
        self.known.start = self._start_of

    def _connected(self) -> dict[str, Any]:
        worker = SimpleNamespace(
            last_seen=time.time() + HOUR,
            host="n1",
            metrics={},
            memory_limit=0,
            processing={},
            nbytes=0,
        )
        return dict.fromkeys(self.there, worker)

    def _start_of(self, place: Any) -> dict[str, float]:
        ends = self.until.get(place.name) if place else None
        return {"started": ends - HOUR, "ends": ends} if ends else {}

    async def retire(self, names: list[str], **_: Any) -> dict[str, Any]:
        self.retired.append(set(names))
        self.there -= set(names)
        return {name: {"name": name} for name in names}


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Standing]:
    make_certificates(tmp_path / "tls", None)
    launch = Launch(Scripted(), "alice", tmp_path, Request(), {})
    made = await Standing(
        launch, own_security(tmp_path / "tls"), "127.0.0.1", time.time() + 9 * HOUR
    )
    made.scheduler.retire_workers = made.retire
    yield made
    # Where a test has closed it already, dask may have been in the middle of something.
    closing = asyncio.ensure_future(made.close())
    await asyncio.wait({closing}, timeout=1)
    closing.cancel()


@pytest.fixture
async def kept(workers: Standing) -> AsyncIterator[Standing]:
    """Looked after, as the controller does it."""
    keeping = asyncio.create_task(workers.keep())
    workers.keeping = keeping
    yield workers
    keeping.cancel()
    await asyncio.wait({keeping})


async def four(kept: Standing) -> list[str]:
    """Four workers, all connected."""
    kept.want(4)
    await until_living(kept, 4)
    kept.there |= set(kept.worker_spec)
    return sorted(kept.worker_spec)


async def until_living(workers: Standing, count: int) -> None:
    living = workers.launch.scheduler.living
    await async_wait_until(lambda: len(living) == count, 10, f"{count} jobs live")


def look(workers: Standing) -> None:
    workers._changed.set()


def counts(workers: Standing) -> list[int]:
    return [count for _, count in workers.launch.scheduler.submissions]


async def test_those_whose_time_is_up_together_leave_together_for_one_array_of_successors(
    kept: Standing,
):
    first = await four(kept)
    kept.until = dict.fromkeys(first, time.time() + 200)
    look(kept)
    await until_living(kept, 8)
    assert counts(kept) == [4, 4]
    kept.there |= set(kept.worker_spec)
    kept.until = dict.fromkeys(first, time.time() + 60)
    look(kept)
    await until_living(kept, 4)
    # One after the other, the next one would take the results of the one before, and the last ones have no time.
    assert kept.retired == [set(first)]
    assert set(kept.worker_spec).isdisjoint(first) and len(kept.worker_spec) == 4


@pytest.mark.parametrize("wanted", [5, 3])
async def test_another_number_in_the_last_minutes_is_kept_when_the_old_ones_have_left(
    kept: Standing, wanted: int
):
    first = await four(kept)
    kept.until = dict.fromkeys(first, time.time() + 200)
    look(kept)
    await until_living(kept, 8)
    kept.want(wanted)
    await until_living(kept, min(4, wanted) + wanted)
    kept.there |= set(kept.worker_spec)
    kept.until = dict.fromkeys(first, time.time() + 60)
    look(kept)
    await async_wait_until(lambda: not kept.there & set(first), 10, "the old ones have left")
    await until_living(kept, wanted)
    assert len(kept.worker_spec) == wanted


async def test_a_home_that_is_away_for_a_moment_ends_nothing(
    kept: Standing, monkeypatch: pytest.MonkeyPatch
):
    await four(kept)
    del kept.known.start
    away = itertools.count()

    def start_record(*_: Any) -> None:
        next(away)
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(directory, "start_record", start_record)
    kept._look_at = 0
    look(kept)
    await async_wait_until(lambda: next(away) > 4, 10, "it was asked")
    assert not kept.keeping.done()


async def test_whatever_goes_wrong_in_a_look_is_told_and_the_next_one_heals_it(
    kept: Standing, monkeypatch: pytest.MonkeyPatch
):
    await four(kept)
    follow = kept._follow_the_work
    monkeypatch.setattr(kept, "_follow_the_work", lambda: follow(1))
    look(kept)
    await async_wait_until(
        lambda: "cannot be looked after" in kept.report()["problem"], 10, "it is told"
    )
    assert len(kept.launch.scheduler.living) == 4 and not kept.keeping.done()
    monkeypatch.undo()
    await async_wait_until(lambda: not kept.report()["problem"], 10, "all is well again")


async def test_one_that_could_not_leave_is_no_longer_told_of_when_it_has(kept: Standing):
    first = await four(kept)
    kept.want(1)
    kept._stuck = {first[0], "worker-99"}
    assert kept.report()["problem"] == f"{first[0]} stays: no other worker can take its results"
    kept.there.discard(first[0])
    assert not kept.report()["problem"]


@pytest.mark.parametrize("turns", range(6))
async def test_what_was_asked_for_in_the_moment_of_the_end_does_not_live_on(
    workers: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
):
    monkeypatch.setattr(controlling, "PATIENCE", 1.0)
    keeping = asyncio.create_task(workers.keep())
    workers.want(3)
    for _ in range(turns):
        await asyncio.sleep(0)
    record = GpuRecord(tmp_path, "cluster", "", 0)
    ending = SimpleNamespace(
        path=tmp_path, cause="You stopped it.", record=record, _give_back=_nothing
    )
    ending._leave_cause = lambda: Controller._leave_cause(ending)
    (tmp_path / "connection.json").write_text("{}")
    await Controller._close(ending, workers, keeping, None)
    await async_wait_until(lambda: workers.launch.at_rest, 20, "all is answered")
    assert workers.launch.scheduler.living == {}
    assert not (tmp_path / "tls").exists() and not (tmp_path / "connection.json").exists()
    assert "You stopped it." in (tmp_path / "ended.json").read_text()


async def test_the_end_cancels_each_job_once(kept: Standing, monkeypatch: pytest.MonkeyPatch):
    await four(kept)
    scheduler = kept.launch.scheduler
    cancel = scheduler.cancel

    async def slowly(owner: str, ids: list[str]) -> None:
        await cancel(owner, ids)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(scheduler, "cancel", slowly)
    await kept.cancel_all()
    await async_wait_until(lambda: kept.launch.at_rest, 20, "all is answered")
    assert [len(ids) for ids in kept.launch.scheduler.cancelled] == [4]


async def _nothing() -> None:
    pass
