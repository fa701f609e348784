"""One state for each worker, from everything that may be known of it at once; and when one that is over is replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_lab.clusters.replacing import MOST, SETTLED, Replacing
from shopfloor_lab.clusters.rows import SILENT_AFTER, Dask, Facts, row, state_of

NOW = 10_000.0
NOTHING = Facts("worker-1")
HEARD = Dask(heard=NOW - 1, host="cpu01", memory=100, memory_limit=1000, cpu=7.0)


def seen(state: State, **more: Any) -> Seen:
    return Seen("17", "shopfloor-worker-0123456789abcdef", "alice", state, **more)


PENDING = seen(State.PENDING, reason="others are before it", expected=NOW + 600, place=3)
RUNNING, OVER = seen(State.RUNNING, node="cpu01"), seen(State.ENDED, cause="out of memory")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (NOTHING, "requested"),
        (replace(NOTHING, submitted=True), "submitted"),
        (replace(NOTHING, submitted=True), "submitted"),
        (replace(NOTHING, seen=seen(State.SUBMITTED)), "submitted"),
        (replace(NOTHING, submitted=True, seen=PENDING), "pending"),
        (replace(NOTHING, submitted=True, seen=RUNNING), "starting"),
        (replace(NOTHING, seen=seen(State.STARTING)), "starting"),
        (replace(NOTHING, seen=RUNNING, dask=HEARD, connected_once=True), "connected"),
        # Dask knows before the scheduler does.
        (replace(NOTHING, seen=PENDING, dask=HEARD, connected_once=True), "connected"),
        (replace(NOTHING, seen=RUNNING, connected_once=True, left=NOW - 9), "lost"),
        # Its node failed and the job waits for another.
        (replace(NOTHING, seen=PENDING, connected_once=True, left=NOW - 9), "pending"),
        (replace(NOTHING, refusal="Invalid account"), "failed"),
        (replace(NOTHING, submitted=True, seen=OVER), "failed"),
        (replace(NOTHING, seen=OVER, connected_once=True, left=NOW - 9), "ended"),
        (replace(NOTHING, seen=RUNNING, exit={"code": 1}), "failed"),
    ],
)
def test_a_worker_has_the_one_state_that_follows_from_what_is_known(facts: Facts, state: str):
    assert state_of(facts, NOW).value == state


def test_a_worker_that_sends_no_heartbeat_is_lost_since_the_last_one():
    silent = replace(HEARD, heard=NOW - SILENT_AFTER - 1)
    told = row(replace(NOTHING, seen=RUNNING, dask=silent, connected_once=True), NOW)
    assert (told["state"], told["since"], told["node"]) == ("lost", silent.heard, "cpu01")
    assert row(replace(NOTHING, dask=HEARD), NOW)["since"] is None


def test_a_row_that_waits_says_why_its_place_and_when():
    told = row(replace(NOTHING, submitted=True, seen=PENDING), NOW)
    assert (told["reason"], told["place"]) == ("others are before it", 3)
    assert (told["expected"], told["job_id"]) == (NOW + 600, "17")
    assert told["exit"] is told["log"] is None


def test_a_row_that_is_over_says_why_with_its_exit_code_and_last_lines():
    facts = replace(NOTHING, seen=OVER, exit={"code": 137, "cause": "it ran out of memory"})
    told = row(facts, NOW, tries=2, log="MemoryError")
    assert (told["reason"], told["exit"], told["log"]) == (
        "it ran out of memory",
        137,
        "MemoryError",
    )
    assert (told["tries"], told["place"], told["expected"]) == (2, None, None)
    assert row(replace(facts, exit={}), NOW)["reason"] == "out of memory"


def test_one_place_gets_a_bounded_number_of_workers():
    replacing, tries, stood = Replacing(), 1, 1
    while tries := replacing.successor("worker", "out of memory", tries, 5.0, refused=False):
        replacing.connected()
        stood += 1
    assert stood == MOST
    assert "out of memory" in replacing.gave_up


def test_who_worked_for_a_while_is_replaced_as_if_it_were_the_first():
    assert Replacing().successor("worker-9", "its node failed", MOST, SETTLED, False) == 1


def test_software_that_cannot_start_is_not_tried_by_every_one_of_many():
    replacing = Replacing()
    tried = [replacing.successor(f"worker-{n}", "exit code 1", 1, None, False) for n in range(64)]
    assert sum(map(bool, tried)) == MOST - 1
    assert replacing.gave_up == "64 workers in a row did not start: exit code 1"
    replacing.begin()
    assert replacing.gave_up == "" and replacing.successor("worker-65", "x", 1, None, False) == 2


def test_what_was_refused_is_not_asked_again():
    replacing = Replacing()
    assert replacing.successor("worker-1", "Invalid account", 1, None, refused=True) == 0
    assert replacing.gave_up == "worker-1 was refused: Invalid account"
