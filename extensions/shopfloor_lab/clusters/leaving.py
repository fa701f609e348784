"""Which workers leave, and when: those that are missed least, and each before its time is up, so that its results
move on while they can; workers.py does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

LONGEST = 120.0  # seconds before its end in which a worker leaves
SHARE = 0.2  # of its time that this takes at most: one that has five minutes works for four of them
CAUSE = "its time was up, so it gave its results to the others"


def least_missed(names: Iterable[str], workers: Iterable[Any], count: int) -> list[str]:
    """So many of these names: of workers that still wait first, then of idle ones, and of those that hold the least.

    ``workers`` are the connected ones as dask's scheduler has them (distributed.scheduler.WorkerState).
    """
    held = {one.name: (1 + bool(one.processing), one.nbytes) for one in workers}
    return sorted(names, key=lambda name: held.get(name, (0, 0)))[:count]


class Leaving(Enum):
    """What a worker's end asks for: nothing yet, that another one be asked for, or that it leaves."""

    NOT_YET = 0
    SUCCESSOR = 1
    NOW = 2


def leaving(start: Mapping[str, Any], cluster_ends: float | None, now: float) -> Leaving:
    """From the start record of a worker's job; times in epoch seconds, None for a cluster without an end.

    A cluster that ends before its worker takes that along, and nobody need leave.
    """
    begun, ends = start.get("started"), start.get("ends")
    if begun is None or ends is None or (cluster_ends is not None and cluster_ends <= ends):
        return Leaving.NOT_YET
    before = min(LONGEST, SHARE * (ends - begun))
    if now >= ends - before:
        return Leaving.NOW
    # Another one waits for its place and starts in as long again.
    return Leaving.SUCCESSOR if now >= ends - 2 * before else Leaving.NOT_YET
