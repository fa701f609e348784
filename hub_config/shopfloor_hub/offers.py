"""The offers of a running hub: the scheduler's description is kept and renewed behind the scenes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shopfloor_jobs.accounts import Accounts
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import Description, SchedulerError, Unreachable, scheduler_from
from shopfloor_spawners import metrics

from .offer import build
from .site import Site

FRESH = 45.0  # seconds that a description is used before it is renewed
ACCOUNTS_FRESH = 300.0
RETRY = 5.0  # seconds between attempts while the scheduler does not answer

log = logging.getLogger("jupyterhub.shopfloor")


@dataclass(frozen=True)
class Known:
    """What the scheduler said last of the machine and of everybody's projects; ``at`` is when, in epoch seconds."""

    description: Description
    accounts: Accounts
    at: float


class Offers:
    """Makes offers from the last description, and never waits for the scheduler.

    A description older than :data:`FRESH` is still used while a new one is fetched: what it gets wrong
    for a moment, the scheduler refuses.
    """

    def __init__(self, site: Site):
        self.site = site
        self.scheduler = metrics.observed(scheduler_from(site.hub_scheduler))
        self._known: Known | None = None
        self._next = self._next_accounts = 0.0
        self._renewal: asyncio.Task[None] | None = None

    def __deepcopy__(self, memo: object) -> Offers:
        # traitlets copies every configured value, bound methods included; each spawner would get a cache.
        return self

    def make(self, name: str, groups: Sequence[str] = ()) -> Offer:
        """The offer for this person; nothing in the site file depends on their groups yet.

        Raises Unreachable while the scheduler has not answered once.
        """
        known = self.known()
        return build(self.site, known.description, name, known.accounts)

    def known(self) -> Known:
        """What is known now, which may be old. Raises Unreachable while the scheduler has not answered once."""
        self._renew_when_due()
        if self._known is None:
            raise Unreachable("The scheduler does not answer at the moment; try again in a minute.")
        return self._known

    async def since(self, moment: float, within: float) -> Known:
        """What is known, found out after this moment (epoch seconds) unless that takes longer than ``within`` seconds.

        However many ask, the scheduler is asked once. Raises Unreachable while it has not answered once.
        """
        known = self.known()
        if known.at < moment:
            if self._renewal is None or self._renewal.done():
                self._renewal = asyncio.get_running_loop().create_task(self._renew())
            await asyncio.wait([self._renewal], timeout=within)
        return self.known()

    def fetch_first(self) -> None:
        """Ask the scheduler once and wait for it, in a thread: the configuration is read inside a loop."""
        thread = threading.Thread(target=lambda: asyncio.run(self._renew()))
        thread.start()
        thread.join()

    def _renew_when_due(self) -> None:
        if time.monotonic() < self._next or (self._renewal and not self._renewal.done()):
            return
        self._renewal = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        began = time.time()
        try:
            description = await self.scheduler.describe()
        except SchedulerError as error:
            log.warning("the scheduler was not described: %s", error)
            self._next = time.monotonic() + RETRY
            return
        self._known = Known(description, await self._accounts(), began)
        self._next = time.monotonic() + FRESH

    async def _accounts(self) -> Accounts:
        """Everybody's projects; a cluster without accounting has none, and one that is silent still those known."""
        known = self._known.accounts if self._known else Accounts()
        if time.monotonic() < self._next_accounts:
            return known
        self._next_accounts = time.monotonic() + ACCOUNTS_FRESH
        try:
            return await self.scheduler.accounts()
        except SchedulerError as error:
            log.warning("the scheduler did not tell of projects and limits: %s", error)
            return known
