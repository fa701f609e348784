"""What goes wrong on a real Dask cluster arrives in its status: code that does each of it, on the local scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from distributed import Client
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.listing import Clusters
from shopfloor_lab.clusters.troubles import NEXT, SHORT_TASKS

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person

MB = 1024**2
MEMORY = 640 * MB  # of a worker's job; 512 MB of it are dask's
SOON = 30  # seconds within which a heartbeat brought it

HOLD = """
from distributed import Event
hoard = bytearray({size})
Event("told").wait()
"""
KEEP = """
import builtins
builtins.kept = bytearray({size})
"""
EATS = """
import time
hoard = []
while True:
    hoard.append(b"x" * 20_000_000)
    time.sleep(0.02)
"""


class Watched:
    """A cluster of one worker, and a client of it."""

    def __init__(self, lab: Clusters, cluster: str, client: Client):
        self.lab, self.cluster, self.client = lab, cluster, client

    async def troubles(self) -> dict[str, dict[str, Any]]:
        return {one["kind"]: one for one in (await self.lab.one(self.cluster))["troubles"]}

    async def until_told(self, kind: str) -> str:
        async def told() -> dict[str, Any] | None:
            return (await self.troubles()).get(kind)

        one = await async_wait_until(told, SOON, f"{kind} is told", 0.05)
        assert one["next"] == NEXT[kind] and one["since"] > 0
        return one["text"]

    async def run(self, code: str, **options: Any) -> Any:
        return await asyncio.to_thread(
            self.client.submit, exec, code, {}, pure=False, retries=0, **options
        )


@pytest.fixture
async def watched(person: Person, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    # Clocks and counts that are made for a day's work.
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__MEMORY__RECENT_TO_OLD_TIME", "1s")
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    lab = person.lab()
    cluster = await person.start(lab, 1, request={"memory": MEMORY})
    client = await asyncio.to_thread(connect, home=person.home)
    yield Watched(lab, cluster["id"], client)
    await asyncio.to_thread(client.close)


async def test_orders_that_carry_data_and_tasks_that_are_too_short_are_told(watched: Watched):
    client = watched.client
    assert await asyncio.to_thread(client.submit(len, [1]).result) == 1
    assert await watched.troubles() == {}, "nothing is wrong yet"
    short = await asyncio.to_thread(client.map, abs, range(3 * SHORT_TASKS), pure=False)
    assert "'abs'" in await watched.until_told("short-tasks")
    await asyncio.to_thread(client.cancel, short)
    with pytest.warns(UserWarning, match="large graph"):
        await asyncio.to_thread(client.submit, len, b"x" * 12_000_000)
    words = await watched.until_told("large-graph")
    assert words.startswith("Your code sent 11.4 MB along with its tasks ('len')")


async def test_results_on_disk_and_a_worker_that_pauses_are_told(watched: Watched):
    results = [
        await asyncio.to_thread(watched.client.submit, bytes, 60 * MB, pure=False)
        for _ in range(12)
    ]
    assert "worker-1 keeps" in await watched.until_told("spilling")
    await asyncio.to_thread(watched.client.cancel, results)
    holds = await watched.run(HOLD.format(size=420 * MB))
    assert await watched.until_told("paused") == (
        "Nothing is computed: the memory of every worker is full."
    )
    await asyncio.to_thread(watched.client.cancel, holds)


async def test_memory_that_is_no_result_and_pauses_a_worker_is_told_until_a_restart_frees_it(
    watched: Watched,
):
    await asyncio.to_thread((await watched.run(KEEP.format(size=370 * MB))).result)
    words = await watched.until_told("unmanaged")
    assert words.startswith("worker-1 holds memory that is no result of a task")
    # Nothing can be written to disk that would make room, so that is told as well, with what helps.
    await watched.until_told("paused")
    assert "client.restart()" in (await watched.troubles())["paused"]["next"]
    await asyncio.to_thread(watched.client.restart)

    async def gone() -> bool:
        return not {"unmanaged", "paused"} & set(await watched.troubles())

    await async_wait_until(gone, SOON, "it is no longer told", 0.5)


async def test_a_worker_that_ran_out_of_memory_and_the_task_it_died_of_are_told(
    watched: Watched, person: Person
):
    eats = await watched.run(EATS)
    words = await watched.until_told("given-up")
    assert words.startswith("The task 'exec' was given up")
    error = await asyncio.to_thread(eats.exception)
    assert type(error).__name__ == "KilledWorker"
    assert (await watched.until_told("out-of-memory")).startswith("worker-1 used more memory")
    shown = await person.until_connected(watched.lab, watched.cluster, 1)
    assert [one["kind"] for one in shown["troubles"]][:2] == ["given-up", "out-of-memory"]
