"""Whether a cluster works, and when one that does not is to end: the rule of shopfloor_jobs, for dask's scheduler.

Open notebooks and results that are only held are no work; the controller asks here every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shopfloor_jobs.idle import Idle, Rule, State, judge


class Idling:
    """Judges one cluster; ``clock`` gives seconds that never jump."""

    def __init__(self, rule: Rule, clock: Callable[[], float] = time.monotonic):
        self.rule, self._clock = rule, clock
        self._last_work = clock()
        self._transitions: int | None = None
        self._idle = Idle(State.OFF)
        self._ends: float | None = None

    @property
    def quiet(self) -> float:
        """Seconds since it worked."""
        return self._clock() - self._last_work

    def touch(self) -> None:
        """A person did something with it."""
        self._last_work = self._clock()
        self._judge()

    def look(self, transitions: int, busy: bool) -> State:
        """``transitions`` counts what dask's tasks went through so far; ``busy`` is whether some run now, or the first
        workers are still on their way."""
        if busy or transitions != self._transitions:
            self._last_work = self._clock()
        self._transitions = transitions
        return self._judge()

    def to_json(self) -> dict[str, Any] | None:
        """``after`` is the rule's, in seconds; ``ends`` is when it ends unless it works (epoch seconds), None while it
        is not warned. None where nothing ends it."""
        if self._idle.state is State.OFF:
            return None
        return {"after": self.rule.after, "ends": self._ends}

    def _judge(self) -> State:
        before, now = self._idle, self._clock()
        self._idle = judge(self.rule, self._last_work, now, before)
        if self._idle.ends != before.ends:
            # Once, for what is computed anew at each look would never be twice the same.
            ends = self._idle.ends
            self._ends = None if ends is None else round(time.time() + ends - now)
        return self._idle.state
