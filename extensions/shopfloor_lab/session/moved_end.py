"""Follows the end that the scheduler has for this server's job: an administrator may move it while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from shopfloor_jobs.job import Seen

from shopfloor_lab.hub import Hub, NoHub

from .given import Given

FAR_SECONDS, NEAR_SECONDS = (
    300.0,
    60.0,
)  # between two questions; each costs the hub a write to its database
NEAR = 1800.0  # seconds before the end
SLACK = 30.0  # seconds; what the scheduler counts otherwise by less than that, nobody moved


class MovedEnd:
    """Asks the ``hub``, so that Slurm is not asked once for each server; ``move`` takes the new :attr:`Given.stops`.

    How far before the end the job is asked to end stays as it was given.
    """

    def __init__(self, hub: Hub, given: Given, move: Callable[[float], Any]):
        self._hub, self._given, self._move = hub, given, move
        self._etag, self._moved_by = "", 0.0

    async def run(self) -> None:
        """Ask until cancelled; a hub that does not answer is asked again."""
        while self._hub:
            await self.look()
            left = self._given.stops + self._moved_by - time.time()
            await asyncio.sleep(NEAR_SECONDS if left < NEAR else FAR_SECONDS)

    async def look(self) -> None:
        """Ask once."""
        try:
            data, self._etag = await self._hub.get("jobs", self._etag)
            for job in [Seen.from_json(one) for one in data["jobs"]] if data else []:
                if job.tag == self._given.tag and job.alive and job.ends is not None:
                    self._follow(job.ends - self._given.ends)
        except (NoHub, KeyError, TypeError, ValueError):
            return  # away, or of another version for a while: what was known stands

    def _follow(self, by: float) -> None:
        if abs(by - self._moved_by) > SLACK:
            self._moved_by = by
            self._move(self._given.stops + by)
