"""Why a worker's process was started again, from dask's event of it and from the last lines of its log."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from shopfloor_lab.clusters.presence import OVER_BUDGET, TOO_MUCH_MEMORY, Presence
from shopfloor_lab.clusters.replacing import Replacing

BEFORE, AFTER = "tls://10.0.0.1:4001", "tls://10.0.0.1:4002"
TERMINATED = (
    "distributed.nanny.memory - WARNING - Worker {address} (pid=71) exceeded 95% memory budget. Restarting...\n"
    "distributed.nanny - INFO - Worker process {pid} was killed by signal 15\n"
    "distributed.nanny - WARNING - Restarting worker\n"
)


@pytest.fixture
def presence() -> Presence:
    made = Presence(asyncio.Event(), Replacing())
    comes(made, BEFORE)
    return made


def comes(presence: Presence, address: str) -> None:
    there = SimpleNamespace(workers={address: SimpleNamespace(name="worker-1")})
    presence.add_worker(there, address)


def goes(presence: Presence) -> None:
    presence.remove_worker(None, BEFORE)


def uses_too_much(presence: Presence) -> None:
    presence.log_event(OVER_BUDGET, {"worker": BEFORE})


def test_a_worker_that_used_too_much_is_told_by_dasks_event(presence: Presence):
    uses_too_much(presence)
    goes(presence)
    comes(presence, AFTER)
    assert presence.why == {"worker-1": TOO_MUCH_MEMORY}
    assert presence.restarts == {"worker-1": 1} and not presence.unexplained


def test_it_is_told_all_the_same_where_the_event_comes_after_the_worker_went(presence: Presence):
    """They come by two connections."""
    goes(presence)
    uses_too_much(presence)
    comes(presence, AFTER)
    assert presence.unexplained == {"worker-1"}
    presence.explain("worker-1", TERMINATED.format(address=BEFORE, pid=71))
    assert presence.why == {"worker-1": TOO_MUCH_MEMORY}
    assert presence.restarts == {"worker-1": 1} and "worker-1" in presence.out_of_memory


def test_another_end_of_a_worker_that_used_too_much_once_is_no_lack_of_memory(presence: Presence):
    goes(presence)
    comes(presence, AFTER)
    presence.explain("worker-1", TERMINATED.format(address=BEFORE, pid=72))
    assert presence.why == {"worker-1": "its process was killed by signal 15"}
    assert presence.out_of_memory == {}
