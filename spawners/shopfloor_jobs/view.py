"""One look at the scheduler, shared by everybody who asks about a job; servers, clusters and kernels ask here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from .job import Seen
from .scheduler import Scheduler, Unreachable


class View:
    """What the scheduler said last, and how long ago.

    However many ask at once, one :meth:`Scheduler.look` answers them all. *Unknown is not dead*: a job counts
    as gone only when two looks in a row answered cleanly and did not show it.
    """

    def __init__(self, scheduler: Scheduler):
        self.scheduler = scheduler
        self._jobs: dict[tuple[str, str], Seen] = {}
        self._absent: dict[tuple[str, str], int] = {}
        self._asked: set[tuple[str, str]] = set()
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self.trouble = ""

    @property
    def age(self) -> float:
        """Seconds since the last look that was answered cleanly began; infinite before the first one."""
        return time.monotonic() - self._looked_at

    async def job(self, owner: str, tag: str, max_age: float = 2.0) -> Seen | None:
        """The owner's job with this tag, from a look not older than ``max_age`` seconds; None if not shown.

        A living job is preferred over ended ones of the same tag. Raises :class:`Unreachable` when the
        scheduler does not answer.
        """
        self._asked.add((owner, tag))
        await self._fresh(max_age)
        return self._jobs.get((owner, tag))

    async def is_gone(self, owner: str, tag: str, max_age: float = 2.0) -> bool:
        """Whether the job has ended for certain. False when the scheduler does not answer."""
        try:
            seen = await self.job(owner, tag, max_age)
        except Unreachable:
            return False
        if seen is not None:
            return not seen.alive
        return self._absent.get((owner, tag), 0) >= 2

    def last_known(self, owner: str, tag: str) -> Seen | None:
        """What the last clean look showed, however old."""
        return self._jobs.get((owner, tag))

    def forget(self, owner: str, tag: str) -> None:
        """No longer keep count of a job that nobody will ask about again."""
        self._asked.discard((owner, tag))
        self._absent.pop((owner, tag), None)

    async def _fresh(self, max_age: float) -> None:
        needed = time.monotonic() - max_age
        # A look counts from when it began: one that is under way may be older than what is asked for.
        while self._looked_at < needed:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await asyncio.shield(self._looking)

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            jobs = await self.scheduler.look()
        except Unreachable as error:
            self.trouble = str(error)
            raise
        self.trouble = ""
        self._jobs = _by_tag(jobs)
        self._looked_at = began
        for key in self._asked:
            self._absent[key] = 0 if key in self._jobs else self._absent.get(key, 0) + 1


def _by_tag(jobs: Iterable[Seen]) -> dict[tuple[str, str], Seen]:
    """Jobs by owner and tag; tags are names that anybody can give, so the owner is part of the key."""
    found: dict[tuple[str, str], Seen] = {}
    for job in jobs:
        key = (job.owner, job.tag)
        if key not in found or job.alive:
            found[key] = job
    return found
