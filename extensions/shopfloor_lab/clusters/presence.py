"""When dask's workers came and went, and why one's process was started again; a plugin of the scheduler's."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from .replacing import Replacing

OVER_BUDGET = (
    "worker-restart-memory"  # dask's event of a worker that its nanny ended for its memory
)
# What its nanny writes of a worker's process: that it ends it for its memory, and that it has ended.
EXCEEDED = re.compile(r"\(pid=(\d+)\) exceeded \d+% memory budget")
KILLED = re.compile(r"Worker process (\d+) was killed by signal (\d+)")
TOO_MUCH_MEMORY = "it used more memory than a worker may"


class Presence(SchedulerPlugin):
    """Sets ``changed``, and tells ``replacing``, when a worker comes or goes, and notes when.

    ``since`` and ``left`` are epoch seconds by name: of the last time that it came, and that it went. ``restarts``
    counts by name how often the nanny had to start a worker's process again inside its job, ``why`` says for what,
    and ``out_of_memory`` when (epoch seconds) one came again that most likely had too little memory.
    """

    def __init__(self, changed: asyncio.Event, replacing: Replacing):
        self.changed, self.replacing = changed, replacing
        self.since: dict[str, float] = {}
        self.left: dict[str, float] = {}
        self.restarts: dict[str, int] = {}
        self.why: dict[str, str] = {}
        self.out_of_memory: dict[str, float] = {}
        self.unexplained: set[str] = set()
        self._names: dict[str, str] = {}
        self._over_budget: set[str] = set()

    def stayed(self, name: str) -> float | None:
        """Seconds that a worker was connected; None for one that never was."""
        if name not in self.since:
            return None
        return max(0.0, self.left.get(name, time.time()) - self.since[name])

    def explain(self, name: str, log: str) -> None:
        """Take from the last lines of a worker that came again why its process had ended; a restart has no reason."""
        self.unexplained.discard(name)
        if killed := KILLED.findall(log):
            pid, signal = killed[-1]
            # Dask's event of it comes by another connection than the worker's end, which it may be behind.
            exceeded = pid in EXCEEDED.findall(log)
            why = TOO_MUCH_MEMORY if exceeded else f"its process was killed by signal {signal}"
            if exceeded or signal == "9":
                self.out_of_memory[name] = time.time()
            if signal == "9" and not exceeded:
                why = f"{why}, most often for lack of memory"
            self._restarted(name, why)

    def add_worker(self, scheduler: Any, worker: str) -> None:
        name = str(scheduler.workers[worker].name)
        self._names[worker] = name
        if name in self._over_budget:
            self._over_budget.discard(name)
            self.out_of_memory[name] = time.time()
            self._restarted(name, TOO_MUCH_MEMORY)
        elif name in self.since:
            self.unexplained.add(name)
        self.since[name] = time.time()
        self.left.pop(name, None)
        self.replacing.connected()
        self.changed.set()

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        if name := self._names.pop(worker, ""):
            self.left[name] = time.time()
        self.changed.set()

    def log_event(self, topic: str, msg: Any) -> None:
        if topic != OVER_BUDGET or not isinstance(msg, dict):
            return
        if name := self._names.get(str(msg.get("worker"))):
            self._over_budget.add(name)

    def _restarted(self, name: str, why: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        self.why[name] = why
