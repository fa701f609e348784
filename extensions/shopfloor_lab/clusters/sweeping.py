"""Cancels and removes what a cluster leaves behind whose controller cannot: it was killed, or never began."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from shopfloor_jobs import directory
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import SchedulerError

from shopfloor_lab.offer import NoOffer

from .access import Access
from .connection import WORKERS, read_workers, remove_secrets
from .sights import Sights
from .state import Files


class Sweeper:
    """Clears up after the clusters of the person whom ``offer`` is for."""

    def __init__(self, offer: Callable[[], Awaitable[Offer]], sights: Sights, access: Access):
        self._offer, self._sights, self._access = offer, sights, access

    async def cancel(self, files: Files) -> None:
        """Cancel what lives of a cluster: its own job and, found by their tags, its workers'.

        Raises SchedulerError or NoOffer.
        """
        offer = await self._offer()
        tags = {files.id, *await asyncio.to_thread(read_workers, files.path)}
        for scheduler in set(self._sights.schedulers(offer, files.plan)):
            seen = await scheduler.look()
            ids = [
                one.id
                for one in seen
                if one.alive and one.tag in tags and one.owner == offer.person
            ]
            if ids:
                await scheduler.cancel(offer.person, ids)

    async def sweep(self, files: Files) -> None:
        """Cancel what lives of a cluster that has ended, and remove its keys; nothing where nobody can be asked."""
        try:
            await self.cancel(files)
        except (SchedulerError, NoOffer):
            return  # the next look comes by here again
        await self._access.take_back(files.id)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(directory.discard, files.path)
        await asyncio.to_thread(remove_secrets, files.path)
        await asyncio.to_thread((files.path / WORKERS).unlink, True)
