"""A cluster that follows its work, and workers that leave before their time is up: the rules, and real clusters."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs.fields import Refused
from shopfloor_lab.clusters.adapting import HOLD, Adapting
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.connection import Most
from shopfloor_lab.clusters.leaving import CAUSE, LONGEST, Leaving, least_missed, leaving

from tests.jobs.waiting import async_wait_until

from .cluster_parts import START, Person

# Real seconds would make a slow test: the rules above are tested with their own.
QUICKER = """\
import sys
if "shopfloor_lab.clusters.controller" in sys.orig_argv:
    from shopfloor_lab.clusters import adapting, leaving
    adapting.HOLD = 4.0
    leaving.LONGEST, leaving.SHARE = 55.0, 0.95
"""


@pytest.fixture
def quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "python"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(QUICKER)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_more_are_asked_for_at_once_and_fewer_only_when_fewer_were_wished_for_all_the_time():
    adapting = Adapting(1, 8)
    assert adapting.wanted(5, 0) == 5
    assert adapting.wanted(0, 1) == 5
    assert adapting.wanted(3, HOLD - 1) == 5
    assert adapting.wanted(0, HOLD + 0.5) == 3
    assert adapting.wanted(0, 2 * HOLD) == 1


@given(
    st.integers(0, 4),
    st.integers(4, 64),
    st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 200)), min_size=1),
)
def test_it_stays_between_the_limits_and_never_cancels_what_was_wished_for_lately(
    minimum: int, maximum: int, steps: list[tuple[float, int]]
):
    adapting, now, wishes = Adapting(minimum, maximum), 0.0, []
    for pause, wish in steps:
        now += pause
        wishes.append((now, wish))
        wanted = adapting.wanted(wish, now)
        lately = max(one for when, one in wishes if now - when <= HOLD)
        assert wanted == min(maximum, max(minimum, lately))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (3, "adapt"),
        ({}, "adapt"),
        ({"minimum": 1}, "adapt"),
        ({"minimum": 1, "maximum": 2, "step": 1}, "adapt"),
        ({"minimum": 1, "maximum": "2"}, "maximum"),
        ({"minimum": True, "maximum": 2}, "minimum"),
        ({"minimum": 3, "maximum": 2}, "maximum"),
        ({"minimum": 0, "maximum": 0}, "maximum"),
        ({"minimum": 0, "maximum": 65}, "maximum"),
    ],
)
def test_a_range_that_cannot_be_names_its_field(asked: Any, field: str):
    with pytest.raises(Refused) as refused:
        Adapting.check(asked, Most(64))
    assert refused.value.field == field


def test_workers_that_wait_leave_first_then_idle_ones_then_those_that_hold_the_least():
    """``workers`` have what least_missed reads of dask's WorkerState: name, processing, nbytes."""

    def worker(name: str, processing: int, nbytes: int) -> SimpleNamespace:
        return SimpleNamespace(
            name=name, processing=dict.fromkeys(range(processing)), nbytes=nbytes
        )

    connected = [
        worker("busy", 2, 0),
        worker("idle-full", 0, 9),
        worker("idle", 0, 1),
        worker("a-stranger", 0, 0),
    ]
    names = ["busy", "idle-full", "idle", "waits"]
    assert least_missed(names, connected, 4) == ["waits", "idle", "idle-full", "busy"]
    assert least_missed(names, connected, 2) == ["waits", "idle"]
    assert least_missed(names, connected, 0) == []


def test_a_worker_leaves_before_its_end_and_another_is_asked_for_before_that():
    start = {"started": 0.0, "ends": 3600.0}
    assert leaving(start, None, 3600 - 2 * LONGEST - 1) is Leaving.NOT_YET
    assert leaving(start, None, 3600 - 2 * LONGEST + 1) is Leaving.SUCCESSOR
    assert leaving(start, 86400, 3600 - LONGEST + 1) is Leaving.NOW
    short = {"started": 0.0, "ends": 300.0}
    assert leaving(short, None, 200) is Leaving.SUCCESSOR
    assert leaving(short, None, 241) is Leaving.NOW


@pytest.mark.parametrize("start", [{}, {"started": 1.0}, {"started": 1.0, "ends": None}])
def test_who_has_no_end_never_leaves(start: dict[str, Any]):
    assert leaving(start, None, 1e12) is Leaving.NOT_YET


def test_nobody_leaves_a_cluster_that_ends_first():
    assert leaving({"started": 0.0, "ends": 3600.0}, 3590.0, 3589) is Leaving.NOT_YET


async def test_a_cluster_follows_its_work_up_and_down(person: Person, quicker: None):
    lab = person.lab()
    cluster = await person.start(lab, 0)
    shown = await lab.adapt(cluster["id"], {"minimum": 0, "maximum": 2})
    assert shown["workers"]["adapt"] == {"minimum": 0, "maximum": 2}
    client = await asyncio.to_thread(connect, home=person.home)
    try:
        naps = "import time; time.sleep(3)"
        futures = client.map(exec, [naps] * 6, pure=False)
        await person.until_connected(lab, cluster["id"], 2)
        await asyncio.to_thread(client.gather, futures)
        del futures

        async def alone() -> bool:
            return (await lab.one(cluster["id"]))["workers"]["wanted"] == 0

        await async_wait_until(alone, START, "the work is done, and no worker wanted")
        await person.until_connected(lab, cluster["id"], 0)
        shown = await lab.scale(cluster["id"], 1)
        assert shown["workers"]["adapt"] is None, "a number takes the place of the range"
    finally:
        await asyncio.to_thread(client.close)


async def test_a_worker_whose_time_is_nearly_up_gives_its_results_to_the_next(
    person: Person, quicker: None
):
    lab = person.lab()
    cluster = await lab.start({"workers": 1, "request": {"time": 60}, "lasts": 3600})

    async def begun() -> bool:
        return (await lab.one(cluster["id"]))["workers"]["connected"] > 0

    await async_wait_until(begun, START, "a worker is connected")
    client = await asyncio.to_thread(connect, home=person.home)
    try:
        # Not repeatable: a result that was lost and computed anew would be another one.
        future = client.submit(random.random, pure=False)
        before = await asyncio.to_thread(future.result)

        async def succeeded() -> list[dict[str, Any]] | None:
            rows = (await lab.one(cluster["id"]))["workers"]["rows"]
            states = {row["name"]: row["state"] for row in rows}
            over = states.get("worker-1") == "ended" and states.get("worker-2") == "connected"
            return rows if over else None

        rows = await async_wait_until(succeeded, START, "worker-2 stands for worker-1")
        assert rows[0]["reason"] == CAUSE
        assert await asyncio.to_thread(future.result) == before
        assert (await lab.one(cluster["id"]))["workers"]["wanted"] == 1
    finally:
        await asyncio.to_thread(client.close)
