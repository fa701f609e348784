"""When a request would start, asked of the scheduler as the person: kept for a while, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, SubmitRefused

FRESH = 30.0  # seconds for which an answer serves
AT_ONCE = 4  # questions to the scheduler at the same time, of all people together
IN_LINE = 6  # questions of one person that may wait
WITHIN = 5.0  # seconds; a form that waits longer is worse than one that says that it does not know
KEPT = 2000  # answers


class TooMany(Exception):
    """One person asks more at once than a form can."""


@dataclass(frozen=True)
class Estimate:
    """What the scheduler said at ``asked``: ``starts`` (both epoch seconds), or ``refused`` in its words, or neither.

    ``trouble`` is why there is no newer answer; the rest is then what was known before, if anything.
    """

    asked: float | None = None
    starts: float | None = None
    refused: str = ""
    trouble: str = ""


class Estimates:
    """Estimates for everybody; never asks by itself, so that a page that is left open costs nothing."""

    def __init__(self, scheduler: Scheduler):
        self.scheduler = scheduler
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._known: OrderedDict[tuple[str, Request], Estimate] = OrderedDict()
        self._asking: dict[tuple[str, Request], asyncio.Task[Estimate]] = {}

    async def get(self, owner: str, request: Request) -> Estimate:
        """Raises TooMany."""
        key = (owner, request)
        known = self._known.get(key, Estimate())
        if known.asked is not None and time.time() - known.asked < FRESH:
            return known
        if key not in self._asking:
            if sum(asker == owner for asker, _ in self._asking) >= IN_LINE:
                raise TooMany(f"more than {IN_LINE} questions at once")
            self._asking[key] = asyncio.create_task(self._ask(owner, request))
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        done, _ = await asyncio.wait([self._asking[key]], timeout=WITHIN)
        if done:
            return done.pop().result()
        return Estimate(
            known.asked, known.starts, known.refused, "the scheduler has not answered yet"
        )

    async def _ask(self, owner: str, request: Request) -> Estimate:
        known = self._known.get((owner, request), Estimate())
        async with self._turn:
            asked = time.time()
            try:
                found = Estimate(asked, await self.scheduler.estimate(owner, request))
            except SubmitRefused as refusal:
                found = Estimate(asked, refused=str(refusal))
            except SchedulerError as error:
                return Estimate(known.asked, known.starts, known.refused, str(error))
        self._known[owner, request] = found
        self._known.move_to_end((owner, request))
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found
