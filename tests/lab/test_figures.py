"""Figures of a cluster: from a real scheduler with real workers, and what their jobs took."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Event, LocalCluster
from shopfloor_jobs.request import Request
from shopfloor_lab.clusters.figures import WINDOW, Figures
from shopfloor_lab.clusters.spent import Spent
from shopfloor_lab.clusters.steady import steady
from shopfloor_lab.gpu_record import GpuRecord, month_of, months
from shopfloor_lab.gpu_record import spent as month_spent

from tests.jobs.waiting import async_wait_until

MB = 1024**2
SOON = 20.0  # seconds


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def cluster() -> AsyncIterator[LocalCluster]:
    """Two workers of one thread each in this process, with a GPU as dask's NVML would report it."""
    async with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        asynchronous=True,
        # The workers share this process, whose own memory must not make them pause.
        memory_limit=64 * 1024 * MB,
        metrics={"gpu": lambda worker: {"utilization": 40, "memory-used": 3 * MB}},
        startup_information={"gpu": lambda worker: {"memory-total": 8 * MB, "name": "A100"}},
    ) as made:
        yield made


@pytest.fixture
async def client(cluster: LocalCluster) -> AsyncIterator[Client]:
    async with Client(cluster, asynchronous=True) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def figures(cluster: LocalCluster, clock: Clock) -> Figures:
    return Figures(cluster.scheduler, clock)


def wait_for(name: str, value: int) -> int:
    Event(name).wait(SOON)
    return value


async def test_before_anything_ran_there_is_no_progress_and_no_rate(figures: Figures) -> None:
    shown = figures.report()
    assert (shown["progress"], shown["rate"]) == (None, None)
    assert (shown["cpus"], shown["results"], shown["spilled"]) == (2, 0, 0)


async def test_progress_is_of_what_runs_and_begins_anew_with_the_next_computation(
    figures: Figures, client: Client
) -> None:
    gate = await Event("gate")
    first = client.map(lambda number: number + 1, range(20), key="quick")
    await client.gather(first)
    assert figures.report()["progress"] == {
        "done": 20,
        "all": 20,
        "groups": [{"name": "quick", "done": 20, "all": 20}],
    }

    held = client.map(lambda number: wait_for("gate", number), range(5), key="held")
    summed = client.submit(sum, held, key="total")
    await async_wait_until(
        lambda: figures.report()["progress"]["all"] == 6, SOON, "the second one is counted alone"
    )
    shown = figures.report()["progress"]
    assert shown["done"] == 0
    assert shown["groups"][0] == {"name": "held", "done": 0, "all": 5}
    # What is asked for meanwhile belongs to it.
    more = client.submit(lambda: 1, key="more")
    await async_wait_until(lambda: figures.report()["progress"]["all"] == 7, SOON, "more is in it")

    await gate.set()
    assert await summed == 10 and await more == 1
    assert figures.report()["progress"]["done"] == figures.report()["progress"]["all"] == 7


async def test_what_failed_is_over_too(figures: Figures, client: Client) -> None:
    failing = client.submit(lambda: 1 / 0, key="failing")
    with pytest.raises(ZeroDivisionError):
        await failing
    assert figures.report()["progress"]["groups"] == [{"name": "failing", "done": 1, "all": 1}]


async def test_many_kinds_of_task_are_counted_all_and_named_in_part(
    figures: Figures, client: Client
) -> None:
    gate = await Event("gate")
    many = [client.submit(wait_for, "gate", 1, key=f"kind{chr(97 + n)}") for n in range(12)]
    await async_wait_until(
        lambda: (figures.report()["progress"] or {}).get("all") == 12, SOON, "all are counted"
    )
    assert len(figures.report()["progress"]["groups"]) == 8
    await gate.set()
    await client.gather(many)


async def test_the_rate_is_that_of_the_last_seconds(
    figures: Figures, client: Client, clock: Clock
) -> None:
    async def run(count: int) -> None:
        await client.gather(client.map(lambda n: n, range(count), pure=False))

    figures.report()
    await run(10)
    clock.now += 2
    assert figures.report()["rate"] == pytest.approx(5)
    clock.now += 0.1
    await run(11)
    assert figures.report()["rate"] == pytest.approx(21 / 2.1)
    for _ in range(10):
        clock.now += 2
        figures.report()
    assert figures.report()["rate"] == 0, "long ago"
    await run(WINDOW_TASKS)
    assert figures.report()["rate"] == pytest.approx(WINDOW_TASKS / WINDOW)
    clock.now += 3600
    assert figures.report()["rate"] is None, "nobody counted meanwhile"


WINDOW_TASKS = 30


async def test_asking_often_costs_no_memory(figures: Figures, clock: Clock) -> None:
    for _ in range(10_000):
        clock.now += 0.01
        figures.report()
    assert len(figures._counts) <= 2 * WINDOW + 2


async def test_memory_is_told_apart_by_whose_it_is(figures: Figures, client: Client) -> None:
    assert figures.report()["unmanaged"] > 0
    held = client.submit(lambda: b"x" * (20 * MB), key="held")
    assert len(await held) == 20 * MB
    shown = figures.report()
    assert 20 * MB <= shown["results"] < 21 * MB
    del held
    await async_wait_until(lambda: figures.report()["results"] == 0, SOON, "it is let go")


async def test_what_was_written_to_disk_is_told() -> None:
    # The workers share this process, whose own memory is none of their results.
    limits = {"target": 0.1, "spill": False, "pause": False}
    with dask.config.set({f"distributed.worker.memory.{one}": at for one, at in limits.items()}):
        small = LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            asynchronous=True,
            memory_limit=100 * MB,
        )
        async with small, Client(small, asynchronous=True) as client:
            figures = Figures(small.scheduler)
            many = client.map(lambda n: os.urandom(4 * MB), range(8), key="many", pure=False)
            await asyncio.wait_for(client.gather(client.map(len, many)), SOON)
            await async_wait_until(
                lambda: figures.report()["spilled"] >= 20 * MB, SOON, "most of it is on disk"
            )
            assert figures.report()["results"] <= 12 * MB


async def test_a_gpu_is_told_where_dask_measures_one(figures: Figures) -> None:
    await async_wait_until(lambda: len(figures.report()["gpus"]) == 2, SOON, "both have reported")
    assert figures.report()["gpus"]["0"] == {
        "busy": 0.4,
        "memory": 3 * MB,
        "memory_limit": 8 * MB,
    }


async def test_reporting_looks_at_no_task(figures: Figures, client: Client) -> None:
    futures = client.map(lambda n: n, range(3000), key="many")
    await client.gather(futures)

    class NoTasks(dict):  # type: ignore[type-arg]
        def _looked(self, *_: Any) -> Any:
            raise AssertionError("the tasks were looked at")

        __iter__ = items = values = keys = _looked

    scheduler = figures.scheduler
    tasks = scheduler.tasks
    scheduler.tasks = NoTasks(tasks)
    try:
        assert figures.report()["progress"]["done"] == 3000
    finally:
        scheduler.tasks = tasks


def test_jobs_are_paid_for_while_they_run(clock: Clock) -> None:
    spent = Spent(Request(cpus=4, gpus=1), clock)
    assert spent.report() == {"cpu_seconds": 0, "gpu_seconds": 0}
    spent.note({"a": 990.0, "b": 995.0})
    assert spent.report()["gpu_seconds"] == 15
    clock.now += 10
    spent.note({"a": 990.0})
    assert spent.report() == {"cpu_seconds": 100, "gpu_seconds": 25}
    # Not seen for a while and seen again, it ran; requeued, it did not.
    clock.now += 10
    spent.note({})
    clock.now += 10
    spent.note({"a": 990.0})
    assert spent.report()["gpu_seconds"] == 45
    spent.note({"a": clock.now + 5})
    clock.now += 6
    spent.note({"a": clock.now - 1})
    assert spent.report()["gpu_seconds"] == 46


def test_gpus_of_workers_are_in_the_month_and_nobody_knows_how_busy_they_were(
    clock: Clock, tmp_path: Path
) -> None:
    record = GpuRecord(tmp_path, "shopfloor-cluster-1", "vision", clock.now)
    spent = Spent(Request(cpus=4, gpus=2), clock, record)
    spent.note({"a": 990.0})
    record.write(clock.now)
    held = {"held": 20.0, "used": 0.0, "unknown": 20.0}
    assert months(tmp_path) == [month_of(clock.now)]
    assert month_spent(tmp_path, month_of(clock.now)) == {"vision": held}


def test_a_clock_that_is_set_back_takes_nothing_away(clock: Clock) -> None:
    spent = Spent(Request(cpus=1, gpus=1), clock)
    spent.note({"a": 990.0})
    clock.now -= 600
    spent.note({"a": 990.0})
    clock.now += 601
    spent.note({"a": 990.0})
    assert spent.report()["gpu_seconds"] == 11


def test_figures_of_an_idle_cluster_are_told_once() -> None:
    def seen(**given: Any) -> list[dict[str, Any]]:
        gpus = {"worker-1": {"busy": 0.02, "memory": given.pop("gpu", 100 * MB)}}
        shown = {"cpu": 3.0, "unmanaged": 300 * MB, "rate": 0.0, "progress": None, "gpus": gpus}
        return [{"id": "c1", "figures": {**shown, **given}, "spent": {"gpu_seconds": 7200.0}}]

    told = seen()
    assert steady(told, seen(cpu=6.0, unmanaged=303 * MB, gpu=101 * MB)) == told
    assert steady(told, seen(gpu=200 * MB)) == seen(gpu=200 * MB)
    assert steady(told, seen(rate=0.05)) == seen(rate=0.05), "something is not nothing"
