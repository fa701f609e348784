"""Holds what was seen of a job's work against the idle rule of shopfloor_jobs; whatever watches a job asks here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from shopfloor_jobs.idle import Idle, Rule, State, judge

from .work import Sign

STOOD_STILL = 60.0  # seconds beyond a pause after which this process did not run, so it saw no work


class Judging:
    """Judges one job, which is looked at every :attr:`Rule.pause` seconds; ``clock`` gives seconds that never jump."""

    def __init__(self, rule: Rule, clock: Callable[[], float] = time.monotonic):
        self.rule, self._clock = rule, clock
        self._stamps: dict[str, Any] = {}
        self._last_work = self._looked = clock()
        self.idle = Idle(State.OFF)

    @property
    def quiet(self) -> float:
        """Seconds since it worked."""
        return self._clock() - self._last_work

    @property
    def left(self) -> float | None:
        """Seconds until it ends unless it works, below zero when that is over; None while it is not warned."""
        return None if self.idle.ends is None else self.idle.ends - self._clock()

    def ignore(self, sign: Sign) -> None:
        """What happened there until now was no work."""
        self._stamps[sign.what] = sign.stamp

    def note(self, signs: Iterable[Sign]) -> None:
        """Take down what worked since the last look."""
        for sign in signs:
            if sign.busy or self._stamps.get(sign.what) != sign.stamp:
                self._last_work = self._clock()
            if sign.stamp is not None:
                self._stamps[sign.what] = sign.stamp

    def judge(self) -> Idle:
        """What the rule says now; it counts once it is :attr:`idle`."""
        now = self._clock()
        if now - self._looked > self.rule.pause + STOOD_STILL:
            self._last_work = now
        self._looked = now
        return judge(self.rule, self._last_work, now, self.idle)

    def evidence(self, idle: Idle, signs: Iterable[Sign]) -> str:
        """For the log: what is judged, and of what was seen."""
        seen = "; ".join(map(str, signs))
        return f"Idle rule: {idle.state.value} after {self.quiet:.0f} s without work ({seen})"
