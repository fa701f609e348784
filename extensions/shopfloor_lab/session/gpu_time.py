"""GPU-seconds that a job holds and uses: counted by the job itself, and kept in the person's home when it is gone.

There is a small file for each job and month, which this job alone writes: nodes cannot append to one file over NFS.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from shopfloor_jobs.directory import read_json, write_json

from .given import Given
from .gpus import Gpu

WRITE_SECONDS = 60.0  # what a job that is killed loses
KEPT = 13  # months, this one included
MONTH = re.compile(r"\d{4}-\d{2}")

log = logging.getLogger("shopfloor.gpu_time")


class GpuTime:
    """Counts from the job's start on; ``clock`` gives epoch seconds. Held is what was asked for, times time."""

    def __init__(self, given: Given, home: Path, clock: Callable[[], float] = time.time):
        self._given, self._home, self._clock = given, home, clock
        self._count = given.request.gpus * given.request.nodes
        self._until, self._seen = given.began, False
        self._months: dict[str, dict[str, float]] = {}
        self._written = clock()

    def note(self, gpus: Iterable[Gpu]) -> None:
        """What the GPUs do now, they have done since the last time; writes now and then, which may take its time."""
        if not self._count:
            return
        now = self._clock()
        seconds = max(0.0, now - self._until)
        busy = sum(gpu.busy or 0.0 for gpu in gpus) if self._seen else 0.0
        self._until, self._seen = now, True
        month = self._months.setdefault(_month(now), {"held": 0.0, "used": 0.0})
        month["held"] += self._count * seconds
        month["used"] += busy * seconds
        if now - self._written >= WRITE_SECONDS:
            self.write()

    def report(self) -> dict[str, float]:
        """GPU-seconds ``held`` and ``used``; what a GPU does that does not say how busy it is counts as nothing."""
        return {
            kind: round(sum(month[kind] for month in self._months.values()), 1)
            for kind in ("held", "used")
        }

    def write(self) -> None:
        """Keep what was counted so far; a home that cannot be written costs the record, not the job."""
        self._written = self._clock()
        try:
            for month, seconds in self._months.items():
                folder = _root(self._home) / month
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, parents=True)
                    _drop_old(self._home)
                # A job that was requeued begins anew, and its first node's time was held all the same.
                path = folder / f"{self._given.tag}-{int(self._given.began)}.json"
                write_json(path, {"project": self._given.request.account, **seconds})
        except OSError as error:
            log.warning("How long the GPUs were held is not kept: %s", error)


def months(home: Path) -> list[str]:
    """The months of which something is kept, such as ``2026-11``, the newest first. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(filter(MONTH.fullmatch, (one.name for one in _root(home).iterdir())))[::-1]
    return []


def spent(home: Path, month: str) -> dict[str, dict[str, float]]:
    """GPU-seconds ``held`` and ``used`` in a month by this person's jobs, by project. Raises OSError."""
    found: dict[str, dict[str, float]] = {}
    for path in (_root(home) / month).glob("*.json"):
        try:
            record = read_json(path) or {}
            project, seconds = str(record["project"]), {}
            for kind in ("held", "used"):
                seconds[kind] = float(record[kind])
        except (KeyError, TypeError, ValueError):
            continue  # no record of ours
        total = found.setdefault(project, {"held": 0.0, "used": 0.0})
        for kind, value in seconds.items():
            total[kind] += value
    return found


def _drop_old(home: Path) -> None:
    for month in months(home)[KEPT:]:
        shutil.rmtree(_root(home) / month, ignore_errors=True)


def _root(home: Path) -> Path:
    return home / ".local" / "share" / "shopfloor" / "gpu-time"


def _month(now: float) -> str:
    return time.strftime("%Y-%m", time.localtime(now))
