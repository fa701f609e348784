"""Gathers in the controller what troubles.py judges: what dask's scheduler knows, and some events."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dask.utils import key_split
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.utils import nbytes

from .presence import Presence
from .troubles import SHORT_TASKS, Facts, GivenUp, Group, Load, Sent, Trouble, troubles

LINGERS = 15.0  # seconds for which a trouble is still told that was not there at the last look
KEPT = 1000  # orders and lost tasks, the newest


class Watching(SchedulerPlugin):
    """Watches the orders that clients send and the tasks that die with workers; the rest is read when it is asked for.

    Nothing here runs for each task: what costs is one look at every worker and every group of tasks.
    """

    def __init__(self, scheduler: Any, presence: Presence, clock: Callable[[], float] = time.time):
        self.scheduler, self.presence, self.clock = scheduler, presence, clock
        self._sent: deque[Sent] = deque(maxlen=KEPT)
        self._given_up: deque[GivenUp] = deque(maxlen=KEPT)
        self._dying: Iterable[Any] = ()
        # By kind: since when it is told, when it was last seen, and as what.
        self._told: dict[str, tuple[float, float, Trouble]] = {}
        self._weigh_orders()

    def look(self, over: Iterable[Mapping[str, Any]] = ()) -> None:
        """Note what is wrong now; ``over`` are the rows of workers whose jobs ended.

        To be called every few seconds: since when something is so is when it was first seen.
        """
        now = self.clock()
        for trouble in troubles(self._facts(over), now):
            since = self._told.get(trouble.kind, (now,))[0]
            self._told[trouble.kind] = (since, now, trouble)
        self._told = {kind: told for kind, told in self._told.items() if now - told[1] < LINGERS}

    def report(self, over: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
        """What is wrong now or was a moment ago, in words, the worst first; ``since`` in epoch seconds."""
        self.look(over)
        return [
            {**trouble.to_json(), "since": since}
            for since, _, trouble in sorted(self._told.values(), key=lambda told: told[2].rank)
        ]

    def log_event(self, topic: str, msg: Any) -> None:
        # Told before the tasks of a worker that is gone are given up or begun anew.
        if topic == "all" and isinstance(msg, dict) and msg.get("action") == "remove-worker":
            self._dying = msg.get("processing-tasks", ())

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        dead = [
            key for key in self._dying if (task := scheduler.tasks.get(key)) and _given_up(task)
        ]
        self._dying = ()
        names = [key_split(key) for key in dead]
        for name in dict.fromkeys(names):
            self._given_up.append(GivenUp(self.clock(), name, names.count(name)))

    def _weigh_orders(self) -> None:
        """Look at the size of each order on its way to dask's scheduler, which itself keeps no count of it."""
        handlers = self.scheduler.stream_handlers
        update_graph = handlers["update-graph"]

        async def weighed(**order: Any) -> None:
            self._sent.append(Sent(self.clock(), size_of(order), _task(order)))
            await update_graph(**order)

        handlers["update-graph"] = weighed

    def _facts(self, over: Iterable[Mapping[str, Any]]) -> Facts:
        presence, scheduler = self.presence, self.scheduler
        ended = {
            row["name"]: presence.left[row["name"]]
            for row in over
            if row["name"] in presence.left and "memory" in (row["reason"] or "")
        }
        return Facts(
            loads=[_load(worker) for worker in scheduler.workers.values()],
            out_of_memory={**presence.out_of_memory, **ended},
            given_up=self._given_up,
            sent=self._sent,
            tasks=len(scheduler.tasks),
            groups=[
                _group(group)
                for group in scheduler.task_groups.values()
                if len(group) >= SHORT_TASKS
            ],
        )


def size_of(order: Mapping[str, Any]) -> int:
    """Bytes of the serialized tasks that a client sent: what its own warning of large graphs counts."""
    return sum(nbytes(frame) for value in order.values() for frame in getattr(value, "frames", ()))


def _task(order: Mapping[str, Any]) -> str:
    return key_split(next(iter(order.get("keys") or ()), ""))


def _given_up(task: Any) -> bool:
    return task.state == "erred" and task.suspicious > 0


def _load(worker: Any) -> Load:
    memory = worker.memory
    return Load(
        name=str(worker.name),
        limit=worker.memory_limit or 0,
        unmanaged=memory.unmanaged_old,
        spilled=memory.spilled,
        paused=worker.status is Status.paused,
    )


def _group(group: Any) -> Group:
    states = group.states
    done = states["memory"] + states["released"] + states["forgotten"] + states["erred"]
    return Group(group.prefix.name, len(group), done, group.all_durations["compute"])
