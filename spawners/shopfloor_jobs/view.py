"""One look at the scheduler, shared by everybody who asks about a job; servers, clusters and kernels ask here.

The hub runs one view (:meth:`View.run`), which looks by itself; what asks seldom, on a node, looks when it asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from .job import Seen
from .scheduler import NothingNew, Unreachable
from .within import set_within


class Source(Protocol):
    """Where looks come from: a :class:`~shopfloor_jobs.scheduler.Scheduler`, or the hub for what is on a node."""

    async def look(self) -> list[Seen]:
        """Raises Unreachable, or NothingNew."""


@dataclass(frozen=True)
class Pace:
    """Seconds between the beginnings of two looks of a running view.

    ``calm`` is usual and ``quick`` while somebody hurries; a scheduler that answers slowly is asked less, so
    that it spends at most one part in ``share`` of its time on us, but at least every ``stalest``, for somebody
    reads what it says. While there is no job to ask for, a look every ``longest`` is enough.
    """

    calm: float = 6.0
    quick: float = 0.5
    share: float = 10.0
    stalest: float = 20.0
    longest: float = 60.0

    def interval(self, took: float, hurried: bool, wanted: bool = True) -> float:
        """``took`` is how long the last look was; nobody waits for one where it is not ``wanted``."""
        usual = self.quick if hurried else self.calm if wanted else self.longest
        return min(self.stalest if wanted else self.longest, max(usual, self.share * took))


@dataclass(frozen=True)
class Health:
    """How far the view can be trusted: ``looked`` is when the last clean look began (epoch seconds, None before
    the first), ``took`` how long it was in seconds; ``trouble`` is why it cannot look now, ``since`` since when."""

    looked: float | None
    took: float = 0.0
    trouble: str = ""
    since: float | None = None

    def to_json(self) -> dict[str, object]:
        return {"looked": self.looked, "trouble": self.trouble, "since": self.since}


class View:
    """What the scheduler said last, and how long ago.

    However many ask at once, one look answers them all. *Unknown is not dead*: a job counts as gone only when
    it was seen to end, or when ``sure`` looks in a row answered cleanly and did not show it. Only looks that began
    since it was asked for count.
    """

    def __init__(self, scheduler: Source, pace: Pace | None = None, sure: int = 2):
        self.scheduler, self._sure = scheduler, sure
        self.pace = pace or Pace()
        self.version = 0  # rises with every look that showed anything new
        self._copies: dict[tuple[str, str, int], Seen] = {}
        self._jobs: dict[tuple[str, str], Seen] = {}
        self._expected: dict[tuple[str, str], list[float]] = {}
        self._absent: dict[tuple[str, str], int] = {}
        self._asked: dict[tuple[str, str], float] = {}  # since when
        self._looked_at = float("-inf")
        self._health = Health(None)
        self._looking: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._hurry_until = float("-inf")
        self._awaited_until = float("-inf")
        self._wake = asyncio.Event()
        self._ticked = asyncio.Event()

    @property
    def age(self) -> float:
        """Seconds since the last look that was answered cleanly began; infinite before the first one."""
        return time.monotonic() - self._looked_at

    @property
    def health(self) -> Health:
        return self._health

    @property
    def trouble(self) -> str:
        """Why the scheduler could not be asked lately; empty when it answers."""
        return self._health.trouble

    # Asking; while the view runs, ``max_age=None`` takes what it has

    async def job(self, owner: str, tag: str, max_age: float | None = 2.0) -> Seen | None:
        """The owner's job with this tag, from a look not older than ``max_age`` seconds; None if not shown.

        A living job is preferred over ended ones of the same tag. Raises :class:`Unreachable` when the
        scheduler does not answer.
        """
        self._asked.setdefault((owner, tag), time.monotonic())
        await self._fresh(max_age)
        return self._jobs.get((owner, tag))

    async def is_gone(self, owner: str, tag: str, max_age: float | None = 2.0) -> bool:
        """Whether the job has ended for certain. False when the scheduler does not answer."""
        try:
            await self.job(owner, tag, max_age)
        except Unreachable:
            return False
        return self.was_gone(owner, tag)

    def last_known(self, owner: str, tag: str) -> Seen | None:
        """What the last clean look showed, however old."""
        return self._jobs.get((owner, tag))

    def was_gone(self, owner: str, tag: str) -> bool:
        """Whether the last clean look showed for certain that the job has ended."""
        seen = self._jobs.get((owner, tag))
        if seen is not None:
            return not seen.alive
        return self._absent.get((owner, tag), 0) >= self._sure

    def jobs(self, owner: str | None = None) -> list[Seen]:
        """What the last clean look showed: the jobs of one owner, or everybody's, each copy of an array."""
        return [job for job in self._copies.values() if owner in (None, job.owner)]

    def expected_before(self, owner: str, tag: str) -> float | None:
        """When a waiting job was expected to start before that expectation changed (epoch seconds)."""
        history = self._expected.get((owner, tag), ())
        return history[-2] if len(history) > 1 else None

    def forget(self, owner: str, tag: str) -> None:
        """No longer keep count of a job that nobody will ask about again."""
        self._asked.pop((owner, tag), None)
        self._absent.pop((owner, tag), None)

    # Being told

    async def change(self, seconds: float) -> bool:
        """Wait for the end of the next look, whatever it says, at most so long; whether there was one."""
        tick = self._ticked
        return await set_within(tick, seconds)

    def hurry(self, seconds: float = 10.0) -> None:
        """Look often for so long: something is about to happen."""
        self._hurry_until = max(self._hurry_until, time.monotonic() + seconds)
        self._wake.set()

    def await_news(self, seconds: float = 60.0) -> None:
        """Look at the usual pace for so long: somebody elsewhere reads :meth:`jobs`, about jobs not asked for here."""
        now = time.monotonic()
        if now >= self._awaited_until and not self._asked:
            self._wake.set()  # it was resting
        self._awaited_until = max(self._awaited_until, now + seconds)

    # Looking

    @property
    def runs(self) -> bool:
        return self._running is not None and not self._running.done()

    def run(self) -> None:
        """Look by itself from now on, until the event loop ends; asking twice does it once."""
        if not self.runs:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            with contextlib.suppress(Unreachable):
                await self._fresh(0)
            # A scheduler that did not answer had no work with it; only one that took long is given more time.
            took, since = (0.0, time.monotonic()) if self.trouble else (self._health.took, began)
            while (left := since + self._interval(took) - time.monotonic()) > 0:
                self._wake.clear()
                await set_within(self._wake, left)

    def _interval(self, took: float) -> float:
        now = time.monotonic()
        wanted = bool(self._asked) or now < self._awaited_until
        return self.pace.interval(took, now < self._hurry_until, wanted)

    async def _fresh(self, max_age: float | None) -> None:
        if max_age is None:
            if self.runs and self._looked_at > float("-inf"):
                return
            max_age = self.pace.calm
        needed = time.monotonic() - max_age
        # A look counts from when it began: one that is under way may be older than what is asked for.
        while self._looked_at < needed:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await asyncio.shield(self._looking)

    async def _look(self) -> None:
        began, clock = time.monotonic(), time.time()
        try:
            jobs = await self.scheduler.look()
        except Unreachable as error:
            since = self._health.since or clock
            self._health = Health(self._health.looked, self._health.took, str(error), since)
            self._tick()
            raise
        except NothingNew:
            self._looked_at = began
            if self.trouble:
                self._health = replace(self._health, trouble="", since=None)
                self._tick()
            return
        self._health = Health(clock, time.monotonic() - began)
        copies, found = _copies(jobs), _by_tag(jobs)
        if copies != self._copies:
            self.version += 1
        self._copies, self._jobs = copies, found
        self._looked_at = began
        for key, since in self._asked.items():
            if key in found:
                self._absent[key] = 0
            elif since <= began:
                self._absent[key] = self._absent.get(key, 0) + 1
        self._expected = {
            key: _changed(self._expected.get(key, []), job.expected)
            for key, job in found.items()
            if job.expected is not None
        }
        self._tick()

    def _tick(self) -> None:
        self._ticked.set()
        self._ticked = asyncio.Event()


def _changed(history: list[float], expected: float) -> list[float]:
    """The last two expectations; one that moved by less than a minute is the same."""
    if history and abs(history[-1] - expected) < 60:
        return history
    return [*history, expected][-2:]


def _copies(jobs: Iterable[Seen]) -> dict[tuple[str, str, int], Seen]:
    """One job for each copy; a living one hides those that ended before it with the same tag."""
    found: dict[tuple[str, str, int], Seen] = {}
    for job in jobs:
        key = (job.owner, job.tag, job.index)
        if key not in found or job.alive:
            found[key] = job
    return found


def _by_tag(jobs: Iterable[Seen]) -> dict[tuple[str, str], Seen]:
    """Jobs by owner and tag; tags are names that anybody can give, so the owner is part of the key."""
    found: dict[tuple[str, str], Seen] = {}
    for job in jobs:
        key = (job.owner, job.tag)
        if key not in found or job.alive:
            found[key] = job
    return found
