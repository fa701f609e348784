"""Looks at the server's job every few seconds: tells its pages, and ends the server when the idle rule says so."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shopfloor_jobs.directory import leave_cause
from shopfloor_jobs.idle import State
from shopfloor_jobs.time_left import time_left
from shopfloor_jobs.within import set_within

from .given import Given
from .judging import Judging
from .measuring import Measuring
from .use import Use
from .work import Sign, Work

FINAL_SECONDS = 10.0  # before the end, in which pages save what is not saved


class Watch:
    """Applies the two rules of shopfloor_jobs, time left and idle, to the job that this server is.

    ``emit`` takes each new description; ``end`` stops the server. ``clock`` gives seconds that never jump.
    """

    def __init__(
        self,
        given: Given,
        work: Work,
        measuring: Measuring,
        emit: Callable[[dict[str, Any]], Any],
        end: Callable[[], Any],
        log: logging.Logger | logging.LoggerAdapter[Any],
        clock: Callable[[], float] = time.monotonic,
    ):
        self.given, self._work, self._measuring = given, work, measuring
        self._emit, self._end, self._log, self._clock = emit, end, log, clock
        self._stops = given.stops
        self._pause = given.rule.pause
        self.final = min(FINAL_SECONDS, given.rule.warning / 4)
        self._judging = Judging(given.rule, clock)
        self._use: Use | None = None
        self._sooner = asyncio.Event()
        self.looked = asyncio.Event()

    async def run(self) -> None:
        """Look until the server is to end."""
        while True:
            await self.look()
            self.looked.set()
            self._emit(self.describe())
            if self._judging.idle.state is State.EXPIRED:
                self._expire()  # nothing is awaited since it was judged
                return
            if await set_within(self._sooner, self.next_look()):
                self._sooner.clear()

    def keep(self) -> None:
        """A person wants the server, or does something in it."""
        self._work.touch()
        self._sooner.set()

    def move_end(self, stops: float) -> None:
        """The scheduler changed when the job is asked to end (seconds since the epoch of this node's clock)."""
        self._stops = stops
        self._sooner.set()

    async def look(self) -> None:
        """Measure, and judge whether the server works."""
        self._use = await self._measuring.read(self._pause)
        self._note(self._work.signs(self._use))
        before, idle = self._judging.idle, self._judging.judge()
        if idle.state is not before.state and idle.state in (State.WARNED, State.EXPIRED):
            # A countdown that need not have begun is a nuisance, an end that need not have been a loss.
            self._note(await self._work.slow_signs())
            self._note(self._work.signs(self._use))
            idle = self._judging.judge()
        if idle.state is not before.state:
            self._log.info(self._judging.evidence(idle, self._work.signs(self._use)))
        self._judging.idle = idle

    def describe(self) -> dict[str, Any]:
        """What a page shows, in durations only: a browser's clock may be wrong."""
        left = time_left(self._stops, time.time(), self.given.request.time)
        ends_in = self._judging.left
        return {
            "job": self.given.tag,
            "node": os.uname().nodename,
            "request": self.given.request.to_json(),
            "interval": self._pause,
            "time": {"left": left.seconds, "warning": left.warning},
            "use": self._use.to_json() if self._use else None,
            "memory_ends": "server" if self.given.kept_by_runner else "kernel",
            "idle": {
                "state": self._judging.idle.state.value,
                "after": self.given.rule.after,
                "quiet": self._judging.quiet,
                "left": None if ends_in is None else max(0.0, ends_in),
                "final": self.final,
            },
        }

    def next_look(self) -> float:
        """Seconds until something may have changed, or a page must be told something.

        When the last moments begin, pages are told then: a browser hardly runs the timers of hidden tabs.
        """
        coming = time_left(self._stops, time.time(), self.given.request.time).next_warning
        due = [self._pause, *([coming] if coming else [])]
        if (left := self._judging.left) is not None:
            due += [left, *([left - self.final] if left > self.final else [])]
        return max(0.05, min(due))

    def _note(self, signs: list[Sign]) -> None:
        if (left := self._judging.left) is not None and left <= self.final:
            self._judging.ignore(self._work.saves())
        self._judging.note(signs)

    def _expire(self) -> None:
        try:
            leave_cause(Path(self.given.directory), self.given.index, self.given.rule.cause)
        except OSError as error:
            self._log.warning("Why this server ends cannot be written down: %s", error)
        self._end()
