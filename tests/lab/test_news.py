"""The one look at a person's clusters that serves all open panels: when it is made, and what each panel is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.clusters.news import News, Reader, changes
from shopfloor_lab.clusters.steady import steady

from tests.jobs.waiting import async_wait_until

MB = 1024**2
SOON = 5.0  # seconds


def cluster(ident: str = "c1", **given: Any) -> dict[str, Any]:
    return {"id": ident, "state": "running", "memory": 0, "workers": {"rows": []}, **given}


class Machine:
    """Clusters that change when the test says so; a look takes until ``go`` is set, and may fail."""

    def __init__(self) -> None:
        self.clusters: list[dict[str, Any]] = [cluster()]
        self.looks = 0
        self.error: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def look(self) -> list[dict[str, Any]]:
        self.looks += 1
        seen = [dict(one) for one in self.clusters]
        await self.go.wait()
        if self.error:
            raise self.error
        return seen


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def news(machine: Machine) -> AsyncIterator[News]:
    made = News(machine.look, Path("/home/alice"), pause=0.02)
    yield made
    await async_wait_until(lambda: made._looking is None, SOON, "nobody looks for nobody")


async def test_nobody_looks_while_nobody_reads_and_one_look_serves_all(
    machine: Machine, news: News
) -> None:
    with news.read() as one, news.read() as other:
        assert machine.looks == 0
        told = [await reader.next(SOON) for reader in (one, other)]
        assert machine.looks == 1
        assert told[0] == told[1]
        assert told[0] == {**told[0], "kind": "all", "clusters": [cluster()]}
        assert abs(told[0]["server_time"] - time.time()) < 10
    await async_wait_until(lambda: news.edition is None, SOON, "what was seen is forgotten")
    looks = machine.looks
    with news.read() as again:
        machine.clusters = []
        assert (await again.next(SOON))["clusters"] == []
    assert machine.looks > looks


async def test_after_the_first_time_only_what_changed_is_told(machine: Machine, news: News) -> None:
    machine.clusters = [cluster("c2"), cluster("c1")]
    with news.read() as reader:
        await reader.next(SOON)
        assert await reader.next(0.1) is None, "told though nothing changed"
        machine.clusters = [cluster("c2"), cluster("c1", memory=101 * MB)]
        await until_told(reader, "memory", 101 * MB)
        machine.clusters = [cluster("c2"), cluster("c1", memory=103 * MB)]
        assert await reader.next(0.1) is None, "told though nobody would see it"
        machine.clusters = [cluster("c2"), cluster("c1")]
        await until_told(reader, "memory", 0)
        machine.clusters = [cluster("c2"), cluster("c1", state="ended")]
        assert without_time(await reader.next(SOON)) == {
            "kind": "changed",
            "clusters": [{"id": "c1", "state": "ended"}],
        }
        machine.clusters = [cluster("c3"), cluster("c2")]
        assert without_time(await reader.next(SOON)) == {
            "kind": "changed",
            "clusters": [cluster("c3")],
            "ids": ["c3", "c2"],
        }


async def test_whoever_reads_late_hears_of_all_that_happened_meanwhile_at_once(
    machine: Machine, news: News
) -> None:
    with news.read() as slow, news.read() as quick:
        await slow.next(SOON)
        await quick.next(SOON)
        for state in ("starting", "pending"):
            machine.clusters = [cluster(state=state)]
            await until_told(quick, "state", state)
        machine.clusters = [cluster(state="pending", memory=100 * MB)]
        await until_told(quick, "memory", 100 * MB)
        assert without_time(await slow.next(SOON)) == {
            "kind": "changed",
            "clusters": [{"id": "c1", "state": "pending", "memory": 100 * MB}],
        }


async def test_an_order_is_looked_after_at_once_and_told_even_where_it_changed_nothing(
    machine: Machine,
) -> None:
    news = News(machine.look, Path("/home/alice"), pause=3600)
    with news.read() as reader:
        first = await reader.next(SOON)
        news.look_now()
        second = await reader.next(SOON)
        assert without_time(second) == {"kind": "changed", "clusters": []}
        assert second["server_time"] > first["server_time"]
        assert await reader.next(0.1) is None, "told twice"
    await async_wait_until(lambda: news._looking is None, SOON, "it ends before its pause is over")


async def test_what_was_seen_before_an_order_does_not_pass_for_what_came_of_it(
    machine: Machine,
) -> None:
    news = News(machine.look, Path("/home/alice"), pause=3600)
    machine.go.clear()
    with news.read() as reader:
        await async_wait_until(lambda: machine.looks == 1, SOON, "a look began")
        machine.clusters = [cluster(state="ended")]
        ordered = time.time()
        news.look_now()
        machine.go.set()
        first = await reader.next(SOON)
        assert first["clusters"][0]["state"] == "running" and first["server_time"] <= ordered
        second = await reader.next(SOON)
        assert second["clusters"] == [{"id": "c1", "state": "ended"}]
        assert second["server_time"] >= ordered


async def test_many_orders_cause_few_looks(machine: Machine) -> None:
    news = News(machine.look, Path("/home/alice"), pause=3600)
    with news.read() as reader:
        await reader.next(SOON)
        for _ in range(100):
            news.look_now()
            await asyncio.sleep(0)
        await reader.next(SOON)
        assert await reader.next(0.5) is None
    assert machine.looks <= 3


async def test_a_home_that_cannot_be_read_is_said_and_everything_told_again_afterwards(
    machine: Machine, news: News
) -> None:
    with news.read() as reader:
        await reader.next(SOON)
        machine.error = PermissionError(13, "Permission denied", "/home/alice/.local")
        told = await reader.next(SOON)
        assert told["kind"] == "trouble" and "Permission denied" in told["message"]
        assert await reader.next(0.1) is None, "said twice"
        machine.error = None
        assert (await reader.next(SOON))["kind"] == "all"


async def test_looks_that_hang_make_no_news(machine: Machine, news: News) -> None:
    with news.read() as reader:
        assert not news.is_current
        await reader.next(SOON)
        assert news.is_current
        news._done -= 3600
        assert not news.is_current


async def test_an_error_in_the_looks_reaches_every_reader_and_the_next_one_looks_anew(
    machine: Machine,
) -> None:
    news = News(machine.look, Path("/home/alice"), pause=0.02)
    with news.read() as one, news.read() as other:
        machine.error = RuntimeError("a defect")
        for reader in (one, other):
            with pytest.raises(RuntimeError, match="a defect"):
                await reader.next(SOON)
            assert reader.left
    machine.error = None
    with news.read() as reader:
        assert (await reader.next(SOON))["kind"] == "all"


async def test_who_leaves_hears_no_more_at_once(news: News) -> None:
    with news.read() as reader:
        await reader.next(SOON)
        waiting = asyncio.create_task(reader.next(3600))
        await asyncio.sleep(0)
        reader.leave()
        assert await asyncio.wait_for(waiting, SOON) is None


def without_time(told: dict[str, Any] | None) -> dict[str, Any]:
    assert told is not None and told["server_time"] > 0
    return {name: value for name, value in told.items() if name != "server_time"}


async def until_told(reader: Reader, field: str, value: Any) -> None:
    while (told := await reader.next(SOON)) is not None:
        if any(one.get(field) == value for one in told["clusters"]):
            return
    raise AssertionError(f"{field} was never told to be {value!r}")


def test_a_field_that_is_gone_or_new_is_a_change() -> None:
    assert changes([cluster()], [cluster(name="a")]) == {"clusters": [{"id": "c1", "name": "a"}]}
    assert changes([], []) == {"clusters": []}
    assert changes([cluster()], []) == {"clusters": [], "ids": []}


def row(**given: Any) -> dict[str, Any]:
    return {"name": "worker-1", "state": "connected", "memory": 200 * MB, "cpu": 2.0, **given}


def test_of_the_same_workers_only_what_is_another_is_told() -> None:
    def seen(*rows: dict[str, Any], **given: Any) -> list[dict[str, Any]]:
        return [cluster(workers={"wanted": 2, "rows": list(rows)}, **given)]

    two = row(name="worker-2")
    before = seen(row(), two)
    after = seen(row(), row(name="worker-2", cpu=99.0), memory=5)
    assert changes(before, after)["clusters"] == [
        {"id": "c1", "memory": 5, "rows": [{"name": "worker-2", "cpu": 99.0}]}
    ]
    for other in (seen(row()), seen(two, row()), seen(row(), two, row(name="worker-3"))):
        assert changes(before, other)["clusters"] == [{"id": "c1", "workers": other[0]["workers"]}]
    wanted = [{**before[0], "workers": {"wanted": 3, "rows": [row(cpu=50.0), two]}}]
    assert changes(before, wanted)["clusters"] == [{"id": "c1", "workers": wanted[0]["workers"]}]
    assert changes([], before)["clusters"] == before


def test_figures_that_nobody_would_read_differently_stay_as_they_were_told() -> None:
    before = [cluster(memory=400 * MB, workers={"rows": [row()]}, tasks={"memory": 4})]
    after = [cluster(memory=403 * MB, workers={"rows": [row(memory=205 * MB, cpu=4.0)]})]
    after[0]["tasks"] = {"memory": 5}
    held = steady(before, after)
    assert held == [{**before[0], "tasks": {"memory": 5}}], "a number of results is no memory"


@pytest.mark.parametrize("cpu", [0.0, 2.0, 6.0, 8.0])
def test_the_blips_of_an_idle_worker_are_not_told(cpu: float) -> None:
    """dask measures half a second, in ticks of 10 ms: some of an idle worker's are 6 or 8 per cent."""
    rest = [cluster(workers={"rows": [row(cpu=0.0)]}, figures={"cpu": 0.0})]
    blip = [cluster(workers={"rows": [row(cpu=cpu)]}, figures={"cpu": cpu})]
    assert steady(rest, blip) == rest
    work = [cluster(workers={"rows": [row(cpu=14.0)]}, figures={"cpu": 14.0})]
    assert steady(rest, work) == work


def test_small_steps_add_up_to_something_that_is_told() -> None:
    told = [cluster(memory=400 * MB)]
    for memory in range(400, 440, 4):
        told = steady(told, [cluster(memory=memory * MB)])
    assert abs(told[0]["memory"] - 436 * MB) <= 16 * MB
    assert told[0]["memory"] != 400 * MB


def test_nothing_is_never_told_for_something_nor_one_worker_for_another() -> None:
    def shown(memory: int) -> list[dict[str, Any]]:
        return [cluster(memory=memory)]

    assert steady(shown(MB), shown(0))[0]["memory"] == 0
    assert steady(shown(0), shown(MB))[0]["memory"] == MB
    rows = {"rows": [row(name="worker-2", memory=201 * MB), row(cpu=None, memory=None)]}
    (after,) = steady([cluster(workers={"rows": [row()]})], [cluster(workers=rows)])
    assert after["workers"] == rows
