"""What Home says of kernels and clusters, by value: state, place and number of workers, in the words of Lab's panel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shopfloor_hub.moments import moment
from shopfloor_hub.pages_jobs import Row, row
from shopfloor_jobs.job import Seen, State
from shopfloor_spawners.alongside import Beside

WAITS = Seen(
    "17",
    "shopfloor-cluster-0123456789abcdef",
    "alice",
    State.PENDING,
    reason="others are before it",
    detail="Priority",
    place=3,
    expected=2000.0,
)
RUNS = replace(WAITS, state=State.RUNNING, reason="", detail="RUNNING", node="gpu01", ends=9000.0)


def shown(seen: Seen, kind: str = "kernel", stopping: bool = False, *workers: Seen) -> Row:
    return row(Beside(kind, seen.tag, seen, workers), "alice", stopping)


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (replace(WAITS, state=State.SUBMITTED, reason=""), "Asked"),
        (WAITS, "Waiting: others are before it"),
        (replace(RUNS, state=State.STARTING, node=""), "Starting"),
        (RUNS, "Running on gpu01"),
    ],
)
def test_its_state_is_said_as_in_the_panel(seen: Seen, line: str):
    assert shown(seen).line == line


def test_one_that_waits_for_its_turn_has_a_place_and_an_expected_start():
    assert (shown(WAITS).place, shown(WAITS).expected) == (3, moment(2000.0))
    assert (shown(RUNS).place, shown(RUNS).expected) == (None, None)
    assert shown(RUNS).ends == moment(9000.0)


def test_a_place_is_not_told_where_it_means_nothing():
    held = replace(WAITS, detail="JobHeldAdmin", reason="an administrator holds it", expected=None)
    assert (shown(held).place, shown(held).expected) == (None, None)


def test_one_that_is_being_stopped_says_only_that():
    told = shown(WAITS, "kernel", True)
    assert (told.state, told.line, told.place) == ("stopping", "Stopping…", None)


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        ((), "0 workers"),
        ((RUNS,), "1 worker"),
        ((RUNS, RUNS, RUNS), "3 workers"),
        ((RUNS, WAITS, WAITS), "3 workers, 2 waiting"),
    ],
)
def test_a_cluster_tells_the_number_of_its_workers(workers: tuple[Seen, ...], words: str):
    told = shown(RUNS, "cluster", False, *workers)
    assert (told.title, told.more) == ("Dask cluster", words)


def test_jobs_of_other_kinds_are_shown_too():
    assert shown(RUNS, "run").title == "Run"
    assert shown(RUNS, "newest").title == "Job"
