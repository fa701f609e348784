"""What is gathered for troubles.py from a real dask scheduler in this process, and how long it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import dask
import pytest
from distributed import Client, Event, Scheduler, Worker
from shopfloor_lab.clusters.presence import Presence
from shopfloor_lab.clusters.replacing import Replacing
from shopfloor_lab.clusters.troubles import LARGE_GRAPH, RECENT
from shopfloor_lab.clusters.watching import LINGERS, Watching

from tests.jobs.waiting import async_wait_until

SOON = 10


@dataclass
class Watched:
    scheduler: Scheduler
    worker: Worker
    client: Client
    watching: Watching
    now: float = 1000.0

    def kinds(self, over: Any = ()) -> list[str]:
        return [one["kind"] for one in self.watching.report(over)]


@asynccontextmanager
async def watched(allowed_failures: int = 3) -> AsyncIterator[Watched]:
    settings = {"distributed.scheduler.allowed-failures": allowed_failures}
    with dask.config.set(settings):
        async with (
            Scheduler(dashboard=False, port=0, protocol="inproc://") as scheduler,
            Worker(scheduler.address, dashboard=False, name="worker-1") as worker,
            Client(scheduler.address, asynchronous=True) as client,
        ):
            presence = Presence(asyncio.Event(), Replacing())
            here = Watched(scheduler, worker, client, None)  # type: ignore[arg-type]
            here.watching = Watching(scheduler, presence, clock=lambda: here.now)
            scheduler.add_plugin(presence, name="presence")
            scheduler.add_plugin(here.watching, name="watching")
            yield here


def waits(name: str) -> None:
    Event(name).wait()


async def test_an_order_that_carries_data_is_told_for_as_long_as_it_is_recent():
    async with watched() as here:
        with pytest.warns(UserWarning, match="large graph"):
            assert await here.client.submit(len, b"x" * (LARGE_GRAPH + 1)) == LARGE_GRAPH + 1
        [told] = here.watching.report()
        assert (told["kind"], told["since"]) == ("large-graph", 1000.0)
        here.now += RECENT - 1
        assert here.watching.report() == [told], "since when does not move"
        here.now += 1 + LINGERS
        assert here.kinds() == []


async def test_what_was_there_at_the_last_look_is_told_a_little_longer_so_that_it_can_be_read():
    async with watched() as here:
        over = [{"name": "worker-7", "reason": "ran out of memory: asked 1 GB"}]
        here.watching.presence.left["worker-7"] = here.now
        assert here.kinds(over) == ["out-of-memory"]
        here.now += LINGERS - 1
        assert here.kinds() == ["out-of-memory"]
        here.now += 1
        assert here.kinds() == []
        other = [{"name": "worker-7", "reason": "ran out of time"}]
        assert here.kinds(other) == []


@pytest.mark.parametrize(("allowed", "told"), [(0, ["given-up"]), (1, [])])
async def test_a_task_that_died_with_its_worker_is_told_once_it_is_given_up(
    allowed: int, told: list[str]
):
    async with watched(allowed) as here:
        future = here.client.submit(waits, "died", key="train-1")
        await async_wait_until(lambda: here.worker.state.executing_count, SOON, "it runs")
        await here.scheduler.remove_worker(here.worker.address, stimulus_id="died", expected=False)
        assert here.kinds() == told
        if told:
            assert "'train'" in here.watching.report()[0]["text"]
        await Event("died", client=here.client).set()
        del future


async def test_a_worker_that_was_let_go_gives_no_task_up():
    async with watched(0) as here:
        future = here.client.submit(waits, "let go", key="train-1")
        await async_wait_until(lambda: here.worker.state.executing_count, SOON, "it runs")
        await here.scheduler.remove_worker(here.worker.address, stimulus_id="let go", expected=True)
        assert here.kinds() == []
        await Event("let go", client=here.client).set()
        del future
