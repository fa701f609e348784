"""GPU-seconds that a job holds and uses: counted by the job itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from shopfloor_lab.gpu_record import GpuRecord

from .given import Given
from .gpus import Gpu

STOOD_STILL = 300.0  # seconds since the last look of which nobody knows what was computed


class GpuTime:
    """Counts from the job's start on; ``clock`` gives epoch seconds. Held is what was asked for, times time."""

    def __init__(self, given: Given, home: Path, clock: Callable[[], float] = time.time):
        self._clock = clock
        self._count = given.request.gpus * given.request.nodes
        self._until, self._seen = given.began, False
        # A job that was requeued begins anew, and its first node's time was held all the same.
        name = f"{given.tag}-{int(given.began)}"
        self._record = GpuRecord(home, name, given.project, clock())

    def note(self, gpus: Iterable[Gpu]) -> None:
        """What the GPUs do now, they have done since the last time; writes now and then, which may take its time.

        Of those on other nodes, and of one that does not say how busy it is, it is not known.
        """
        if not self._count:
            return
        now = self._clock()
        seconds = max(0.0, now - self._until)
        known = [gpu.busy for gpu in gpus if gpu.busy is not None][: self._count]
        if not self._seen or seconds > STOOD_STILL:
            known = []
        self._until, self._seen = now, True
        silent = self._count - len(known)
        self._record.add(now, self._count * seconds, sum(known) * seconds, silent * seconds)
        if self._record.is_due(now):
            self.write()

    def report(self) -> dict[str, float]:
        """GPU-seconds ``held``, ``used``, and ``unknown``: held, and nobody knows whether they were used."""
        return self._record.total()

    def write(self) -> None:
        """Keep what was counted so far."""
        self._record.write(self._clock())
