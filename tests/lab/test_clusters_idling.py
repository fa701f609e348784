"""A cluster that computes nothing is warned of and ends; one that computes, or that somebody wants, does not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from shopfloor_jobs.caps import Cap
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.idle import Rule, State
from shopfloor_jobs.offer import ClusterTerms
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.idling import Idling
from shopfloor_lab.clusters.listing import Clusters
from shopfloor_lab.errors import Conflict

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person

HOUR = 3600


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def idling(clock: Clock) -> Idling:
    return Idling(Rule(after=2 * HOUR, warning=600), clock)


def test_a_cluster_in_which_nothing_happens_is_warned_and_then_ends(idling: Idling, clock: Clock):
    assert idling.look(7, busy=False) is State.ACTIVE
    assert idling.to_json() == {"after": 2 * HOUR, "ends": None}
    clock.now += 2 * HOUR - 600
    assert idling.look(7, busy=False) is State.WARNED
    shown = idling.to_json()
    assert shown["ends"] == pytest.approx(time.time() + 600, abs=2)
    clock.now += 599
    assert idling.look(7, busy=False) is State.WARNED
    assert idling.to_json() == shown  # what is sent to panels does not change with each look
    clock.now += 1
    assert idling.look(7, busy=False) is State.EXPIRED


@pytest.mark.parametrize("sign", ["a task ran meanwhile", "a task runs", "a person's hand"])
def test_whatever_works_takes_the_warning_back(idling: Idling, clock: Clock, sign: str):
    idling.look(7, busy=False)
    clock.now += 2 * HOUR - 1
    assert idling.look(7, busy=False) is State.WARNED
    if sign == "a person's hand":
        idling.touch()
    else:
        idling.look(8 if sign == "a task ran meanwhile" else 7, busy=sign == "a task runs")
    assert idling.to_json() == {"after": 2 * HOUR, "ends": None}
    assert idling.quiet == 0


def test_what_nobody_looked_at_for_hours_is_warned_before_it_ends(idling: Idling, clock: Clock):
    idling.look(7, busy=False)
    clock.now += 9 * HOUR
    assert idling.look(7, busy=False) is State.WARNED
    clock.now += 599
    assert idling.look(7, busy=False) is State.WARNED


def test_without_a_rule_nothing_is_said(clock: Clock):
    idling = Idling(Rule(), clock)
    clock.now += 1000 * HOUR
    assert idling.look(7, busy=False) is State.OFF
    assert idling.to_json() is None


# Real clusters


@pytest.fixture
def lab(person: Person) -> Clusters:
    # The warning leaves time to see it on a busy machine.
    person.offer = replace(
        person.offer, clusters=ClusterTerms(workers=3, at_once=1, idle=Rule(6, 3))
    )
    return person.lab()


async def test_a_real_cluster_is_warned_of_kept_at_work_and_ended_in_the_rules_words(
    person: Person, lab: Clusters
) -> None:
    cluster = (await person.start(lab, 1))["id"]

    async def warned() -> bool:
        now = await lab.one(cluster)
        assert now["state"] == "running", now
        return now["idle"]["ends"] is not None

    await async_wait_until(warned, 20, "its end is announced", 0.05)
    assert (await lab.keep(cluster))["idle"] == {"after": 6, "ends": None}

    def compute() -> None:
        with connect(home=person.home) as client:
            client.submit(time.sleep, 8).result()  # longer than the rule gives

    await asyncio.to_thread(compute)
    assert (await lab.one(cluster))["state"] == "running"

    async def ended() -> str:
        now = await lab.one(cluster)
        return now["cause"] if now["state"] == "ended" else ""

    cause = await async_wait_until(ended, 30, "it has ended", 0.05)
    assert cause == "ended after 6 s without work"
    await async_wait_until(lambda: not person.processes(), 20, "no process is left")


async def test_what_the_scheduler_lets_nobody_have_at_once_is_not_asked_for(
    person: Person, lab: Clusters
) -> None:
    # One for the cluster's own job, which has one CPU.
    person.offer = replace(person.offer, caps=(Cap("cpus", 3, "Project vision"),))
    lab = person.lab()
    why = "workers: 3 is not possible: from 0 to 2: Project vision may have 3 CPUs at once"
    with pytest.raises(Refused, match=why):
        await lab.start({"workers": 3})
    cluster = (await lab.start({"workers": 0}))["id"]
    with pytest.raises(Refused, match=why):
        await lab.scale(cluster, 3)
    with pytest.raises(Refused, match="maximum: 3 is not possible: from 0 to 2: Project vision"):
        await lab.adapt(cluster, {"minimum": 0, "maximum": 3})
    with pytest.raises(Refused, match="from 0 to 1: Project vision"):
        await lab.start({"workers": 2, "request": {"cpus": 2}})
    await lab.end(cluster)


async def test_the_sites_limits_hold_and_are_named(person: Person, lab: Clusters) -> None:
    cluster = await lab.start({"workers": 0, "name": "first"})
    with pytest.raises(Conflict, match="You have 1 cluster, and 1 at a time is the limit here"):
        await lab.start({"workers": 1})
    for ask in (
        lab.scale(cluster["id"], 4),
        lab.adapt(cluster["id"], {"minimum": 0, "maximum": 4}),
        lab.start({"workers": 4}),
    ):
        with pytest.raises(Refused, match="from 0 to 3"):
            await ask
    await lab.end(cluster["id"])
