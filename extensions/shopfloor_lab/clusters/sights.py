"""Where the jobs of clusters are looked for: at the hub, at the scheduler, or beside this Lab server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import Scheduler, SchedulerError
from shopfloor_jobs.view import View

from shopfloor_lab.jobs import Jobs
from shopfloor_lab.offer import NoOffer

from .beside import beside_lab
from .connection import Plan
from .state import Files, Sight

ENDS_WITHIN = 10.0  # seconds that what runs beside Lab is waited for when Lab ends


class Sights:
    """The views of one person's Lab server, whose job has the tag ``lab`` (none: it is no job)."""

    def __init__(
        self, home: Path, offer: Callable[[], Awaitable[Offer]], jobs: Jobs, lab: str
    ) -> None:
        self._offer, self._jobs, self._lab = offer, jobs, lab
        self._beside_lab = beside_lab(home)
        self._beside = View(self._beside_lab)

    async def of(self, files: Files, last: str | None, max_age: float) -> Sight:
        """What is known of a cluster's own job, in ``max_age`` seconds at most; not knowing is an answer.

        ``last`` is the state that was shown before.
        """
        try:
            offer = await self._offer()
            if self.is_elsewhere(files.plan):
                # What runs in another Lab server's job only that one sees: here, whether that job still lives.
                view, lab = self._hubs(offer), files.plan.lab
                await view.job(offer.person, lab, max_age)
                return Sight(last=last, gone=view.was_gone(offer.person, lab))
            view = self._beside if files.plan.beside_lab else self._hubs(offer)
            seen = await view.job(offer.person, files.id, max_age)
            gone = await view.is_gone(offer.person, files.id)
        except (SchedulerError, NoOffer) as error:
            return Sight(last=last, silence=str(error))
        return Sight(last=last, seen=seen, gone=gone)

    def schedulers(self, offer: Offer, plan: Plan) -> tuple[Scheduler, Scheduler]:
        """Of the cluster's own job, and of its workers'; asked themselves, for what somebody wants done."""
        workers, _ = self._jobs.of(offer)
        return (self._beside_lab if plan.beside_lab else workers), workers

    def is_elsewhere(self, plan: Plan) -> bool:
        """Whether its scheduler runs beside another Lab server of this person's."""
        return plan.beside_lab and plan.lab not in ("", self._lab)

    def end_beside(self) -> None:
        """End what runs beside this server, which ends: nobody else tells it, and it takes its workers along."""
        self._beside_lab.end_before_exit(ENDS_WITHIN)

    def _hubs(self, offer: Offer) -> View:
        """What the hub saw: enough for a list that many look at, and no burden for the scheduler."""
        return self._jobs.of(offer)[1]
