"""What people see of each worker: one row with one state, from what dask, the scheduler and the job's records say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from shopfloor_jobs.job import Seen, State

SILENT_AFTER = 20.0  # seconds without a heartbeat; dask's workers send one each second or so


class WorkerState(str, Enum):
    """LOST: it was connected, and its job runs as far as is known. FAILED: it ended before it was connected."""

    REQUESTED = "requested"
    SUBMITTED = "submitted"
    PENDING = "pending"
    STARTING = "starting"
    CONNECTED = "connected"
    LOST = "lost"
    FAILED = "failed"
    ENDED = "ended"


OVER = (WorkerState.FAILED, WorkerState.ENDED)


@dataclass(frozen=True)
class Dask:
    """What dask's scheduler knows of a connected worker: memory in bytes, CPU in percent of a core.

    ``heard`` is when its last heartbeat came, in epoch seconds.
    """

    heard: float
    host: str = ""
    memory: int | None = None
    memory_limit: int | None = None
    cpu: float | None = None


@dataclass(frozen=True)
class Facts:
    """All that is known of one worker.

    ``refusal`` is why it was not submitted, ``left`` when dask lost it (epoch seconds, None if it is connected or
    never was), ``start`` and ``exit`` the records of its job's runner.
    """

    name: str
    submitted: bool = False
    refusal: str = ""
    seen: Seen | None = None
    dask: Dask | None = None
    left: float | None = None
    connected_once: bool = False
    restarts: int = 0
    restarted_for: str = ""
    start: Mapping[str, Any] = field(default_factory=dict)
    exit: Mapping[str, Any] = field(default_factory=dict)


def state_of(facts: Facts, now: float) -> WorkerState:
    """The one state of a worker; ``now`` in epoch seconds."""
    if facts.refusal:
        return WorkerState.FAILED
    if facts.dask is not None:
        silent = now - facts.dask.heard > SILENT_AFTER
        return WorkerState.LOST if silent else WorkerState.CONNECTED
    if facts.exit or (facts.seen is not None and not facts.seen.alive):
        return WorkerState.ENDED if facts.connected_once else WorkerState.FAILED
    waits = facts.seen is not None and facts.seen.state is State.PENDING
    if waits:
        return WorkerState.PENDING  # also one whose node failed: its job waits again
    if facts.connected_once:
        return WorkerState.LOST
    if facts.seen is None or facts.seen.state is State.SUBMITTED:
        known = facts.submitted or facts.seen is not None
        return WorkerState.SUBMITTED if known else WorkerState.REQUESTED
    return WorkerState.STARTING


def cause_of(facts: Facts) -> str:
    """Why a worker is no more, in words: its own runner knows best, then the scheduler."""
    seen = facts.seen.cause if facts.seen else ""
    return facts.refusal or str(facts.exit.get("cause") or "") or seen or "ended"


def _restarted(facts: Facts) -> str:
    if not facts.restarts:
        return ""
    times = "once" if facts.restarts == 1 else f"{facts.restarts} times"
    return f"started again {times}: {facts.restarted_for}"


def row(facts: Facts, now: float, tries: int = 1, log: str = "") -> dict[str, Any]:
    """The row as the panel gets it, plain types only; times in epoch seconds.

    ``since`` is since when a lost one is silent. ``tries`` counts the workers that stood in this place, this one
    included. ``log`` are the last lines of one that is over.
    """
    state, seen, dask = state_of(facts, now), facts.seen, facts.dask
    waits, over = state is WorkerState.PENDING, state in OVER
    since = None
    if state is WorkerState.LOST:
        since = dask.heard if dask else facts.left
    return {
        "name": facts.name,
        "state": state.value,
        "reason": (
            cause_of(facts) if over else seen.reason if seen and waits else _restarted(facts)
        )
        or None,
        "expected": seen.expected if seen and waits else None,
        "place": seen.place if seen and waits else None,
        "since": since,
        "node": (seen.node if seen else "")
        or facts.start.get("host")
        or (dask.host if dask else "")
        or None,
        "job_id": (seen.id if seen else "") or facts.start.get("job_id") or None,
        "exit": facts.exit.get("code") if over else None,
        "log": (log or facts.exit.get("tail") or None) if over else None,
        "tries": tries,
        "memory": dask.memory if dask else None,
        "memory_limit": dask.memory_limit if dask else None,
        "cpu": dask.cpu if dask else None,
        "gpus": facts.start.get("cuda_visible_devices") or None,
    }
