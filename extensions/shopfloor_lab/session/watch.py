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
from shopfloor_jobs.idle import Idle, State, judge
from shopfloor_jobs.time_left import time_left
from shopfloor_jobs.within import set_within

from .given import Given
from .use import Meter, Use
from .work import Sign, Work

LOOK_SECONDS = 10.0
FINAL_SECONDS = 10.0  # before the end, in which pages save what is not saved
STOOD_STILL = 60.0  # seconds beyond a pause after which this process did not run, so it saw no work


class Watch:
    """Applies the two rules of shopfloor_jobs, time left and idle, to the job that this server is.

    ``emit`` takes each new description; ``end`` stops the server. ``clock`` gives seconds that never jump.
    """

    def __init__(
        self,
        given: Given,
        work: Work,
        meter: Meter,
        emit: Callable[[dict[str, Any]], Any],
        end: Callable[[], Any],
        log: logging.Logger | logging.LoggerAdapter[Any],
        clock: Callable[[], float] = time.monotonic,
    ):
        self.given, self._work, self._meter = given, work, meter
        self._emit, self._end, self._log, self._clock = emit, end, log, clock
        self._stops = given.stops
        self._pause = min(LOOK_SECONDS, max(0.2, given.rule.warning / 10))
        self.final = min(FINAL_SECONDS, given.rule.warning / 4)
        self._stamps: dict[str, Any] = {}
        self._last_work = self._looked = self._clock()
        self._idle = Idle(State.OFF)
        self._use: Use | None = None
        self._measuring: asyncio.Task[Use] | None = None
        self._sooner = asyncio.Event()
        self.looked = asyncio.Event()

    async def run(self) -> None:
        """Look until the server is to end."""
        while True:
            await self.look()
            self.looked.set()
            self._emit(self.describe())
            if self._idle.state is State.EXPIRED:
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
        await self._measure()
        self._note(self._work.signs(self._use))
        idle = self._judge()
        if idle.state is not self._idle.state and idle.state in (State.WARNED, State.EXPIRED):
            # A countdown that need not have begun is a nuisance, an end that need not have been a loss.
            self._note(await self._work.slow_signs())
            self._note(self._work.signs(self._use))
            idle = self._judge()
        self._log_change(idle)
        self._idle = idle

    def describe(self) -> dict[str, Any]:
        """What a page shows, in durations only: a browser's clock may be wrong."""
        left = time_left(self._stops, time.time(), self.given.request.time)
        now = self._clock()
        ends = self._idle.ends
        return {
            "job": self.given.tag,
            "node": os.uname().nodename,
            "request": self.given.request.to_json(),
            "interval": self._pause,
            "time": {"left": left.seconds, "warning": left.warning},
            "use": self._use.to_json() if self._use else None,
            "memory_ends": "server" if self.given.kept_by_runner else "kernel",
            "idle": {
                "state": self._idle.state.value,
                "after": self.given.rule.after,
                "quiet": now - self._last_work,
                "left": None if ends is None else max(0.0, ends - now),
                "final": self.final,
            },
        }

    def next_look(self) -> float:
        """Seconds until something may have changed, or a page must be told something.

        When the last moments begin, pages are told then: a browser hardly runs the timers of hidden tabs.
        """
        coming = time_left(self._stops, time.time(), self.given.request.time).next_warning
        due = [self._pause, *([coming] if coming else [])]
        if self._idle.ends is not None:
            left = self._idle.ends - self._clock()
            due += [left, *([left - self.final] if left > self.final else [])]
        return max(0.05, min(due))

    async def _measure(self) -> None:
        """Read the meter; one that hangs (a home directory whose server is away) delays nothing else."""
        if self._measuring is None:
            self._measuring = asyncio.create_task(asyncio.to_thread(self._meter.read))
        done, _ = await asyncio.wait([self._measuring], timeout=self._pause)
        if not done:
            self._use = None
            return
        task, self._measuring = self._measuring, None
        try:
            self._use = task.result()
        except OSError as error:
            self._use = None
            self._log.warning("What this job uses cannot be read: %s", error)

    def _note(self, signs: list[Sign]) -> None:
        """Take down what worked since the last look."""
        if self._is_final():
            self._stamps["files"] = self._work.saves().stamp
        for sign in signs:
            if sign.busy or self._stamps.get(sign.what) != sign.stamp:
                self._last_work = self._clock()
            if sign.stamp is not None:
                self._stamps[sign.what] = sign.stamp

    def _is_final(self) -> bool:
        return self._idle.ends is not None and self._idle.ends - self._clock() <= self.final

    def _judge(self) -> Idle:
        now = self._clock()
        if now - self._looked > self._pause + STOOD_STILL:
            self._last_work = now
        self._looked = now
        return judge(self.given.rule, self._last_work, now, self._idle)

    def _log_change(self, idle: Idle) -> None:
        if idle.state is self._idle.state:
            return
        signs = "; ".join(map(str, self._work.signs(self._use)))
        quiet = self._clock() - self._last_work
        self._log.info(
            "Idle rule: %s after %.0f s without work (%s)", idle.state.value, quiet, signs
        )

    def _expire(self) -> None:
        try:
            leave_cause(Path(self.given.directory), self.given.index, self.given.rule.cause)
        except OSError as error:
            self._log.warning("Why this server ends cannot be written down: %s", error)
        self._end()
