"""A server's pages are told which clusters end soon, and why: while there are some, and once when there is none."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from jupyter_events import EventLogger
from shopfloor_lab.clusters.ending_events import EVENT, SCHEMA, EndingEvents, next_look, warned

from tests.jobs.waiting import async_wait_until

ENDS = 1_800_000_000.0
NOW = ENDS - 3600
KNOWN = {"id": "c1", "name": "flights"}
WARNED = {**KNOWN, "why": "idle", "ends": ENDS, "mark": 0}


def cluster(
    ends: float | None = ENDS, state: str = "running", after: float = 7200
) -> dict[str, Any]:
    idle = {"after": after, "ends": ends}
    return {**KNOWN, "state": state, "idle": idle, "started": None, "ends": None}


def timed(left: float, given: float = 7200) -> dict[str, Any]:
    """One that works, with so many seconds left at NOW of those it was given."""
    return {**cluster(None), "started": NOW + left - given, "ends": NOW + left}


class Lab:
    """A server's clusters as a test says, and what its pages are told by jupyter_server's own events."""

    def __init__(self, pause: float = 60):
        self.clusters: list[dict[str, Any]] | Exception = []
        self.told: list[Any] = []
        events = EventLogger()
        events.register_event_schema(SCHEMA)
        events.add_listener(schema_id=EVENT, listener=self._hear)
        self.events = EndingEvents(
            self._look,
            lambda clusters: events.emit(schema_id=EVENT, data={"clusters": clusters}),
            logging.getLogger("test"),
            pause,
        )

    async def look(self, clusters: list[dict[str, Any]] | OSError) -> float:
        self.clusters = clusters
        pause = await self.events.look()
        await asyncio.sleep(0)  # listeners are tasks
        return pause

    async def _look(self) -> list[dict[str, Any]]:
        if isinstance(self.clusters, Exception):
            raise self.clusters
        return self.clusters

    async def _hear(self, logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        self.told.append(data["clusters"])


async def test_a_warned_cluster_is_told_at_each_look_and_once_that_it_is_no_more():
    lab = Lab()
    await lab.look([cluster(None)])
    assert lab.told == []
    await lab.look([cluster()])
    await lab.look([cluster()])
    assert lab.told == [[WARNED], [WARNED]]
    await lab.look([cluster(None)])
    await lab.look([])
    assert lab.told == [[WARNED], [WARNED], []]


async def test_a_home_that_cannot_be_read_takes_no_warning_back():
    lab = Lab()
    await lab.look([cluster()])
    assert await lab.look(OSError("stale file handle")) == 60
    assert lab.told == [[WARNED]]
    await lab.look([])
    assert lab.told == [[WARNED], []]


@pytest.mark.parametrize("state", ["submitted", "pending", "starting", "ended"])
def test_only_what_runs_is_warned_of(state: str):
    assert warned([cluster(state=state)], NOW) == []
    assert warned([{**timed(60), "state": state}], NOW) == []
    assert warned([{**cluster(), "idle": None}], NOW) == []
    assert warned([cluster()], NOW) == [WARNED]


@pytest.mark.parametrize(
    ("left", "given", "mark"),
    [(901, 7200, None), (900, 7200, 900), (301, 7200, 900), (300, 7200, 300), (0, 7200, 300),
     (31, 60, None), (30, 60, 30), (15, 60, 15)],
)  # fmt: skip
def test_of_its_time_it_is_warned_by_the_rule_of_all_jobs(
    left: float, given: float, mark: float | None
):
    told = {**KNOWN, "why": "time", "ends": NOW + left, "mark": mark}
    assert warned([timed(left, given)], NOW) == ([told] if mark else [])


def test_one_that_is_idle_and_whose_time_is_up_is_told_of_both():
    both = {**timed(60), "idle": {"after": 7200, "ends": ENDS}}
    assert [one["why"] for one in warned([both], NOW)] == ["idle", "time"]


def test_a_short_rule_is_looked_at_more_often():
    def look(*clusters: dict[str, Any]) -> float:
        return next_look(clusters, 30, NOW)

    assert look() == 30
    assert look(cluster(after=7200)) == 30
    assert look(cluster(after=7200), cluster(after=40)) == 2
    assert look(cluster(after=1)) == 0.2
    assert look(cluster(after=40, state="ended")) == 30
    assert look({**cluster(state="pending"), "idle": None}) == 5
    assert look(timed(910)) == 10, "pages are told at the mark"
    assert look(timed(100)) == 30


async def test_it_goes_on_by_itself():
    lab = Lab(pause=0.01)
    lab.clusters = [cluster(after=0.1)]
    lab.events.begin()
    await async_wait_until(lambda: len(lab.told) >= 2, 10, "it was told twice")


async def test_it_goes_on_whatever_a_cluster_answered():
    lab = Lab(pause=0.01)
    lab.clusters = RuntimeError("what a controller raised")
    lab.events.begin()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lab.clusters = [cluster(after=0.1)]
    await async_wait_until(lambda: lab.told, 10, "it was told")
