"""The watch with a clock of the test's own: what was not seen, what must be asked for, and an end that moves."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_events import EventLogger
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.request import Request
from shopfloor_lab.session.given import Given
from shopfloor_lab.session.measuring import Measuring
from shopfloor_lab.session.use import Use
from shopfloor_lab.session.watch import Watch
from shopfloor_lab.session.work import Work, answers
from zmq import ZMQError

from tests.jobs.waiting import async_wait_until

RULE = Rule(after=7200, warning=600)
HOUR = 3600
LOG = logging.getLogger(__name__)


class WithoutKernels:
    """A server in which nothing runs; its settings name no terminals."""

    def __init__(self) -> None:
        self.event_logger = EventLogger()
        self.kernel_manager = SimpleNamespace(list_kernel_ids=list)
        self.web_app = SimpleNamespace(settings={})


class NothingRuns:
    """A meter of a job in which no program runs, whatever other tests have running on this machine."""

    def read(self) -> Use:
        return Use(0.0, 1, 0, 1, (), None, None, {})


class Watched:
    """A watch of such a server after its first look; ``now`` is what its clock shows, ``clusters`` what Dask has."""

    def __init__(self, path: Path):
        self.now = 1000.0
        self.clusters: Callable[[], list[dict[str, Any]]] = list
        self.emitted: list[dict[str, Any]] = []
        self.ended = 0
        ends = time.time() + 2 * HOUR
        job = Given(path, 0, "tag", Request(time=4 * HOUR), ends, ends, RULE, False)
        self.work = Work(WithoutKernels(), self._list)  # type: ignore[arg-type]
        self.watch = Watch(
            job,
            self.work,
            Measuring(NothingRuns(), LOG),
            self.emitted.append,
            self._end,
            LOG,
            lambda: self.now,
        )

    async def after(self, seconds: float, every: float = 10) -> str:
        """Look as often as the watch does for so long; the state that it comes to."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + every)
            await self.watch.look()
        return self.watch.describe()["idle"]["state"]

    async def _list(self) -> list[dict[str, Any]]:
        return self.clusters()

    def _end(self) -> None:
        self.ended += 1


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr("shopfloor_jobs.idle.LOOK_SECONDS", 50.0)
    one = Watched(tmp_path)
    await one.watch.look()
    return one


async def test_time_in_which_the_server_stood_still_is_no_idle_time(watched: Watched):
    assert await watched.after(6500, every=50) == "active"
    assert await watched.after(9 * HOUR, every=9 * HOUR) == "active"
    assert await watched.after(6590, every=50) == "active"
    assert await watched.after(50, every=50) == "warned"


def cluster(processing: int) -> list[dict[str, Any]]:
    return [{"name": "flights", "tasks": {"processing": processing}}]


async def test_a_dask_cluster_that_computes_is_work_and_one_that_waits_is_not(watched: Watched):
    watched.clusters = lambda: cluster(processing=3)
    assert await watched.after(5 * HOUR, every=50) == "active"
    watched.clusters = lambda: cluster(processing=0)
    assert await watched.after(2 * HOUR + 700, every=50) == "expired"


async def test_clusters_that_cannot_be_seen_end_nothing(watched: Watched):
    def unreadable() -> list[dict[str, Any]]:
        raise OSError("Stale file handle")

    watched.clusters = unreadable
    assert await watched.after(5 * HOUR, every=50) == "active"


async def test_the_end_is_told_to_the_pages_before_it_comes_and_its_cause_is_left(
    watched: Watched, tmp_path: Path
):
    assert await watched.after(7150, every=50) == "warned"
    assert watched.ended == 0
    watched.now += 60
    await watched.watch.run()
    assert watched.emitted[-1]["idle"]["state"] == "expired" and watched.ended == 1
    left = json.loads((tmp_path / "ending-0.json").read_text())
    assert left == {"cause": "ended after 2 h without work"}


async def test_an_idle_job_whose_directory_is_gone_ends_all_the_same(
    watched: Watched, tmp_path: Path
):
    await asyncio.to_thread(tmp_path.rmdir)
    await watched.after(7150, every=50)
    watched.now += 60
    await watched.watch.run()
    assert watched.ended == 1


async def test_pages_hear_at_once_that_the_end_moved(watched: Watched):
    running = asyncio.create_task(watched.watch.run())
    await async_wait_until(lambda: watched.emitted, 20, "the first look is told")
    assert 2 * HOUR - 10 < watched.emitted[-1]["time"]["left"] <= 2 * HOUR
    watched.watch.move_end(time.time() + 100)
    await async_wait_until(lambda: len(watched.emitted) > 1, 20, "the second is")
    assert 90 < watched.emitted[-1]["time"]["left"] <= 100
    assert watched.emitted[-1]["time"]["warning"] == 300
    running.cancel()


async def test_pages_are_told_when_the_last_moments_begin_and_when_they_are_over(watched: Watched):
    assert await watched.after(7150, every=50) == "warned"
    assert watched.watch.describe()["idle"]["left"] == 50
    assert watched.watch.next_look() == 40
    await watched.after(40, every=40)
    assert watched.watch.describe()["idle"]["left"] == watched.watch.final
    assert watched.watch.next_look() == 10


async def test_a_kernel_that_has_no_ports_yet_is_not_free_and_a_dead_one_keeps_nothing():
    def no_ports() -> None:
        raise ZMQError(22)

    assert not await answers(SimpleNamespace(connect_shell=no_ports))
    assert await answers(SimpleNamespace(connect_shell=no_ports, execution_state="dead"))
