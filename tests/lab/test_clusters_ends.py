"""Clusters of whose end no runner of theirs tells: they have a cause all the same, and keep it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Seen, State
from shopfloor_lab.clusters.connection import Plan
from shopfloor_lab.clusters.listing import STOPPING, Clusters
from shopfloor_lab.clusters.state import Sight

from .cluster_parts import Person

TAG = "shopfloor-cluster-0123456789abcdef"


@pytest.fixture
async def waiting(person: Person) -> Clusters:
    """A Lab with a cluster whose job waits in the queue."""
    lab = person.lab()
    made = await lab.planner.plan({"workers": 2})
    person.directory(TAG).mkdir(parents=True, mode=0o700)
    replace(made.plan, name="flights").write(person.directory(TAG))
    return lab


async def test_one_that_is_stopped_before_it_began_says_so_at_once(waiting: Clusters):
    assert (await waiting.one(TAG))["state"] == "submitted"
    began = time.monotonic()
    await waiting.end(TAG)
    assert time.monotonic() - began < STOPPING
    ended = await waiting.one(TAG)
    assert (ended["state"], ended["cause"]) == ("ended", "You stopped it.")


@pytest.mark.parametrize("minutes", [0, 5], ids=["never began", "its node was lost"])
async def test_what_the_scheduler_said_of_its_end_is_told_when_that_has_forgotten_it(
    person: Person, waiting: Clusters, monkeypatch: pytest.MonkeyPatch, minutes: int
):
    if minutes:
        (person.directory(TAG) / "start-0.json").write_text('{"host": "n1", "started": 1.0}')
    over = time.time() - 60 * minutes
    seen = Seen("7", TAG, "alice", State.ENDED, cause="Cancelled at 14:02 by trainer", ends=over)
    said = [Sight(seen=seen), Sight(gone=True), Sight(gone=True)]

    async def sight(*_: object) -> Sight:
        return said.pop(0)

    monkeypatch.setattr(waiting._sights, "of", sight)
    for _ in range(3):
        cluster = await waiting.one(TAG)
        assert (cluster["state"], cluster["cause"]) == ("ended", "Cancelled at 14:02 by trainer")


async def test_of_two_that_are_started_at_once_the_second_one_counts_the_first(person: Person):
    lab = person.lab()
    made = await asyncio.gather(*(lab.start({"workers": 0}) for _ in range(2)))
    assert sorted(one["name"] for one in made) == ["cluster-1", "cluster-2"]


async def test_a_number_that_was_not_allowed_when_it_began_is_refused_by_name(
    person: Person, waiting: Clusters
):
    plan = Plan.read(person.directory(TAG))
    replace(plan, most=4).write(person.directory(TAG))
    with pytest.raises(Refused, match="workers: 5 is not possible: from 0 to 4"):
        await waiting.scale(TAG, 5)
