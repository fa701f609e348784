"""A person's jobs as a node sees them: as the hub says, and by the scheduler itself where there is no hub."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from shopfloor_jobs.job import Seen
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import NothingNew, Scheduler, Unreachable, scheduler_from
from shopfloor_jobs.view import View

from .hub import Hub, NoHub

HUB_MAY_BE_AWAY = 60.0  # seconds; it is restarted now and then, and nodes are many
OWN_LOOKS = 30.0  # seconds between own looks while the hub is away
# Looks of the hub's that must not show a job to prove that it is gone. The first one may have been there before the
# job, the second under way when that was asked for; whoever looks itself needs one less.
SURE = 3
# Seconds after which the hub is asked for all of it again: "nothing changed" is no such look, for the hub itself may
# not have looked meanwhile.
ALL_AGAIN = 15.0
NOT_YET = "the hub has not looked for jobs yet since it was started"


class HubJobs:
    """A :class:`~shopfloor_jobs.view.Source`: asks the hub, so that however many nodes there are, Slurm is asked once.

    A hub that is away for longer than :data:`HUB_MAY_BE_AWAY` is done without, at a slow pace. However often it tells
    of one look, that counts once: what else it says of the jobs changes between its looks.
    """

    def __init__(self, hub: Hub, scheduler: Scheduler):
        self.hub, self.scheduler = hub, scheduler
        self._etag = self._trouble = ""
        # When the last look that counted began, by the hub's clock.
        self._looked: float | None = None
        self._away_since: float | None = None
        self._own_look_at = self._all_at = float("-inf")

    async def look(self) -> list[Seen]:
        """Raises Unreachable or NothingNew."""
        if not self.hub:
            return await self.scheduler.look()
        now = time.monotonic()
        etag = self._etag if now - self._all_at < ALL_AGAIN else ""
        try:
            data, self._etag = await self.hub.get("jobs", etag)
        except NoHub as error:
            return await self._without(error)
        self._away_since = None
        try:
            return self._news(data, now)
        except (KeyError, TypeError, ValueError) as error:
            self._etag = ""  # no answer that could still stand
            raise Unreachable(f"the hub's answer is of another version: {error}") from error

    def _news(self, data: Mapping[str, Any] | None, now: float) -> list[Seen]:
        looked = self._looked
        if data is not None:
            looked = data["health"]["looked"]
            self._trouble = data["health"]["trouble"] or (NOT_YET if looked is None else "")
        if self._trouble:
            raise Unreachable(self._trouble)
        # Not "no later": a clock that was set back must not hide what is seen from then on.
        if data is None or looked == self._looked:
            raise NothingNew
        jobs = [Seen.from_json(one) for one in data["jobs"]]
        self._looked, self._all_at = looked, now
        return jobs

    async def _without(self, error: NoHub) -> list[Seen]:
        now = time.monotonic()
        self._away_since, self._etag = self._away_since or now, ""
        if now - self._away_since < HUB_MAY_BE_AWAY:
            raise Unreachable(f"the hub does not answer: {error}") from error
        if now - self._own_look_at < OWN_LOOKS:
            if self._trouble:
                raise Unreachable(self._trouble)
            raise NothingNew
        self._own_look_at, self._trouble = now, ""
        try:
            return await self.scheduler.look()
        except Unreachable as silence:
            self._trouble = str(silence)
            raise


class Jobs:
    """The scheduler that a person's offer names, and the one view of what the hub saw there, for all who ask here."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._known: tuple[Mapping[str, Any], Scheduler, View] | None = None

    def of(self, offer: Offer) -> tuple[Scheduler, View]:
        """Made anew where the offer's scheduler is set up otherwise than before."""
        if self._known is None or self._known[0] != offer.scheduler:
            scheduler = scheduler_from(offer.scheduler)
            view = View(HubJobs(self._hub, scheduler), sure=SURE)
            self._known = (offer.scheduler, scheduler, view)
        return self._known[1:]
