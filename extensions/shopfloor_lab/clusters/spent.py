"""What the jobs of a cluster's workers took so far of what a project pays for; workers.py notes which of them run."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from shopfloor_jobs.request import Request

from shopfloor_lab.gpu_record import GpuRecord


class Spent:
    """``request`` is that of each worker's job; ``clock`` gives epoch seconds.

    ``record`` is what the person's month is added up from, which counts GPUs along; nobody knows whether a worker used
    its own.
    """

    def __init__(
        self,
        request: Request,
        clock: Callable[[], float] = time.time,
        record: GpuRecord | None = None,
    ):
        self.request, self._clock, self._record = request, clock, record
        self._until: dict[Hashable, float] = {}
        self.seconds = 0.0

    def note(self, running: Mapping[Hashable, float]) -> None:
        """These jobs run now, each since then (epoch seconds); what ended since the last time ended then."""
        now, before = self._clock(), self.seconds
        for job, started in running.items():
            # One that was requeued has begun anew, and the time between was nobody's.
            since = max(started, self._until.get(job, started))
            self.seconds += max(0.0, now - since)
            self._until[job] = max(now, since)
        held = (self.seconds - before) * self.request.gpus
        if self._record and held:
            self._record.add(now, held, unknown=held)

    def report(self) -> dict[str, Any]:
        """Whole CPU-seconds and GPU-seconds; the second is what the start form tells the cost in."""
        return {
            "cpu_seconds": round(self.seconds * self.request.cpus),
            "gpu_seconds": round(self.seconds * self.request.gpus),
        }
