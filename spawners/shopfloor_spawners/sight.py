"""The hub's view, of one server's job: its state, and what its state means for the server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.scheduler import Unreachable
from shopfloor_jobs.view import View

from .intent import Intent


@dataclass(frozen=True)
class Sight:
    """What ``view`` shows of the job that is meant by ``intent``."""

    view: View
    owner: str
    intent: Intent

    @property
    def last(self) -> Seen | None:
        """As it was seen last, however long ago."""
        return self.view.last_known(self.owner, self.intent.tag)

    async def look(self, max_age: float | None = None) -> Seen | None:
        """As it is seen now, or was last while the scheduler does not answer; ``max_age`` in seconds."""
        with suppress(Unreachable):
            return await self.view.job(self.owner, self.intent.tag, max_age)
        return self.last

    async def is_gone(self) -> bool:
        """Whether it has ended for certain."""
        return await self.view.is_gone(self.owner, self.intent.tag, None)

    async def waits_again(self) -> bool:
        """Whether it ran and waits for another place: its node failed, say, or it was requeued by hand."""
        seen = await self.look()
        # A look from before its report says nothing: it waited then, and has just begun to run.
        newer = (self.view.health.looked or 0.0) > self.intent.reported
        return newer and seen is not None and seen.state is State.PENDING

    def has_changed(self) -> bool:
        """Whether the last look showed that a server that was ready is so no more."""
        waits = self.last is not None and self.last.state is State.PENDING
        return waits or self.view.was_gone(self.owner, self.intent.tag)
