"""What a cluster uses and how far it is, as figures: from what dask's scheduler counts anyway, never task by task.

The controller reports them with each status (workers.py); steady.py says which are worth telling.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.scheduler import Scheduler, TaskPrefix, WorkerState

WINDOW = 10.0  # seconds of which the rate is the mean
FORGOTTEN = 60.0  # seconds after which a count is too old to make a rate with
AT_MOST_EACH = 0.5  # seconds between counts that are kept, however many ask
GROUPS = 8  # kinds of task that are named
OVER = ("memory", "erred")
UNFINISHED = ("processing", "waiting", "queued", "no-worker")


class Figures(SchedulerPlugin):
    """The figures of one ``scheduler``, which it is a plugin of; ``clock`` gives seconds that never jump."""

    name = "shopfloor-figures"

    def __init__(self, scheduler: Scheduler, clock: Callable[[], float] = time.monotonic):
        self.scheduler, self._clock = scheduler, clock
        self._counts: deque[tuple[float, int]] = deque()
        # What had been finished, by kind of task, before what runs now was asked for.
        self._before: dict[str, int] = {}
        scheduler.add_plugin(self)

    def update_graph(self, scheduler: Scheduler, **_: Any) -> None:
        """dask calls it before new tasks begin: what was idle until now begins a new computation."""
        if scheduler.is_idle:
            self._before = {one.name: finished(one) for one in scheduler.task_prefixes.values()}

    def report(self) -> dict[str, Any]:
        """Plain types: memory in bytes, ``cpu`` in per cent of one CPU, ``rate`` in tasks per second.

        ``results`` are what dask keeps in memory, ``spilled`` what it wrote to disk, and ``unmanaged`` the memory
        that it did not give away: Python, libraries, and what running functions need.
        """
        workers = list(self.scheduler.workers.values())
        memory = [one.memory for one in workers]
        gpus = {str(one.name): gpu for one in workers if (gpu := gpu_of(one))}
        return {
            "cpu": sum(one.metrics.get("cpu") or 0 for one in workers),
            "cpus": sum(one.nthreads for one in workers),
            "results": sum(one.managed for one in memory),
            "spilled": sum(one.spilled for one in memory),
            "unmanaged": sum(one.unmanaged for one in memory),
            "rate": self._rate(),
            "progress": self._progress(),
            "gpus": gpus,
        }

    def _rate(self) -> float | None:
        """Tasks that were finished per second of the last :data:`WINDOW`; None before there are two counts."""
        now, counts = self._clock(), self._counts
        count = sum(finished(one) for one in self.scheduler.task_prefixes.values())
        while len(counts) > 1 and now - counts[1][0] >= WINDOW:
            counts.popleft()
        if counts and now - counts[0][0] > FORGOTTEN:
            counts.clear()
        first = counts[0] if counts else None
        if not counts or now - counts[-1][0] >= AT_MOST_EACH:
            counts.append((now, count))
        if first is None or now - first[0] < AT_MOST_EACH:
            return None
        return (count - first[1]) / (now - first[0])

    def _progress(self) -> dict[str, Any] | None:
        """How many tasks are ``done`` of ``all`` that were asked for since nothing ran; None before there were any.

        A task that is computed again, as its result was lost, counts again. ``groups`` are the kinds of task with
        the most to do.
        """
        groups = []
        for prefix in self.scheduler.task_prefixes.values():
            done = finished(prefix) - self._before.get(prefix.name, 0)
            left = sum(prefix.states[state] for state in UNFINISHED)
            if done or left:
                groups.append({"name": prefix.name, "done": done, "all": done + left})
        if not groups:
            return None
        groups.sort(key=lambda one: (one["done"] - one["all"], -one["all"]))
        return {
            "done": sum(one["done"] for one in groups),
            "all": sum(one["all"] for one in groups),
            "groups": groups[:GROUPS],
        }


def finished(prefix: TaskPrefix) -> int:
    """How often a task of this kind was done, or failed."""
    return sum(prefix.state_counts[state] for state in OVER)


def gpu_of(worker: WorkerState) -> dict[str, Any] | None:
    """Use of a worker's GPU: ``busy`` from 0 to 1, memory in bytes, each None where it is not told; None without one.

    dask measures the first GPU that the worker may see, and ours have one at most.
    """
    now, made = worker.metrics.get("gpu"), worker.extra.get("gpu") or {}
    if not isinstance(now, dict):
        return None
    busy = now.get("utilization")
    return {
        "busy": None if busy is None else busy / 100,
        "memory": now.get("memory-used"),
        "memory_limit": made.get("memory-total"),
    }
