"""GPU-seconds that a person's jobs held and used, kept in the home when the jobs are gone, by month and project.

There is a small file for each job and month, which this job alone writes: nodes cannot append to one file over NFS.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from pathlib import Path

from shopfloor_jobs.directory import read_json, write_json

WRITE_SECONDS = 60.0  # what a job that is killed loses
KEPT = 13  # months, this one included
MONTH = re.compile(r"\d{4}-\d{2}")
KINDS = ("held", "used", "unknown")

log = logging.getLogger("shopfloor.gpu_time")


class GpuRecord:
    """Of what is called ``name``, unlike any other, for a project, which may be without a name.

    ``unknown`` are the GPU-seconds of ``held`` of which nobody knows whether they were used.
    """

    def __init__(self, home: Path, name: str, project: str, now: float):
        self._home, self._name, self._project = home, name, project
        self._months: dict[str, dict[str, float]] = {}
        self._written = now

    def add(self, now: float, held: float, used: float = 0.0, unknown: float = 0.0) -> None:
        """These GPU-seconds have passed; ``now`` in epoch seconds."""
        month = self._months.setdefault(month_of(now), dict.fromkeys(KINDS, 0.0))
        for kind, seconds in zip(KINDS, (held, used, unknown), strict=True):
            month[kind] += seconds

    def total(self) -> dict[str, float]:
        """GPU-seconds by kind."""
        return {
            kind: round(sum(month[kind] for month in self._months.values()), 1) for kind in KINDS
        }

    def is_due(self, now: float) -> bool:
        """Whether it is time to write again."""
        return bool(self._months) and now - self._written >= WRITE_SECONDS

    def write(self, now: float) -> None:
        """Keep what was counted so far; a home that cannot be written costs the record, not the job."""
        self._written = now
        try:
            for month, seconds in list(self._months.items()):
                folder = _root(self._home) / month
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _drop_old(self._home)
                write_json(folder / f"{self._name}.json", {"project": self._project, **seconds})
        except OSError as error:
            log.warning("How long the GPUs were held is not kept: %s", error)


def month_of(now: float) -> str:
    """The month of a time in epoch seconds, by this machine's clock: ``2026-11``."""
    return time.strftime("%Y-%m", time.localtime(now))


def months(home: Path) -> list[str]:
    """The months of which something is kept, such as ``2026-11``, the newest first. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(filter(MONTH.fullmatch, (one.name for one in _root(home).iterdir())))[::-1]
    return []


def spent(home: Path, month: str) -> dict[str, dict[str, float]]:
    """GPU-seconds by kind in a month by this person's jobs, by project. Raises OSError."""
    found: dict[str, dict[str, float]] = {}
    for path in (_root(home) / month).glob("*.json"):
        try:
            record = read_json(path) or {}
            project = str(record["project"])
            # One of an earlier version says nothing of what is unknown.
            seconds = {kind: float({"unknown": 0, **record}[kind]) for kind in KINDS}
        except (KeyError, TypeError, ValueError):
            continue  # no record of ours
        total = found.setdefault(project, dict.fromkeys(KINDS, 0.0))
        for kind, value in seconds.items():
            total[kind] += value
    return found


def _drop_old(home: Path) -> None:
    for month in months(home)[KEPT:]:
        shutil.rmtree(_root(home) / month, ignore_errors=True)


def _root(home: Path) -> Path:
    return home / ".local" / "share" / "shopfloor" / "gpu-time"
