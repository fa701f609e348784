"""What a choice of the start form comes to: its cost, when it would start, and what would start now instead."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from shopfloor_jobs.accounts import Accounts
from shopfloor_jobs.availability import alternatives, fits_now, room
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import Offer, hardware
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Description

from .costs import cost_words, free_words, gpu_seconds, rate_words, room_words
from .estimates import Estimate, Estimates, TooMany
from .form import editable_values
from .offers import Known

SOON = 30.0  # seconds that still count as now; Slurm's own scheduler looks about that often
RECENT = 60.0  # seconds that what is free may be known for, where a start waits for nobody
TRIED = 2  # alternatives that are asked for


class Outlook:
    """Answers the start form for one person; ``accounts`` is what the hub knows, and ``known_since`` returns what is
    known of the machine, found out after a moment."""

    def __init__(
        self,
        offer: Offer,
        accounts: Accounts,
        estimates: Estimates,
        known_since: Callable[[float], Awaitable[Known]],
    ):
        self.offer, self.accounts, self.estimates = offer, accounts, estimates
        self.known_since = known_since

    async def of(self, request: Request, count: int = 1) -> dict[str, Any]:
        """``{"hardware", "cost", "rate", "too_dear", "start", "free", "room", "rooms", "free_now", "seen", "instead"}``
        for ``count`` jobs with this request (the workers of a cluster); ``start``, as :func:`start_json` has it, is
        that of the first.

        ``rate`` is the cost per hour, ``room`` how many such jobs fit into what is free (None: nobody knows), and
        ``rooms`` the same in words by preset; ``free_now`` says in words what is free, as ``seen`` at (epoch seconds).

        ``free`` is whether the request would fit into what nobody uses: where others wait in line, Slurm's estimate
        leaves out that it fills gaps (sbatch(1), --test-only), and can be far too late. Raises TooMany.
        """
        account = self.accounts.charged(self.offer.person, request.account)
        estimate = await self.estimates.get(self.offer.person, request)
        left = account.gpu_left if account else None
        start = start_json(estimate)
        # What is said to be free must not be older than the scheduler's word on when it starts.
        known = await self.known_since(start["asked"] or 0.0)
        machine, free, instead = known.description, False, []
        if start["kind"] != "now":
            free = fits_now(machine, request) >= request.nodes
            instead = [] if free else await self._instead(machine, request)
        return {
            "hardware": hardware(request),
            "cost": cost_words(request, account, count),
            "rate": rate_words(request, count),
            "too_dear": left is not None and gpu_seconds(request, count) > left,
            "start": start,
            "free": free,
            "room": room(machine, request) if machine.nodes else None,
            "rooms": self._rooms(machine),
            "free_now": free_words(self.offer, machine),
            "seen": known.at,
            "instead": instead,
        }

    async def room_now(self, request: Request) -> dict[str, Any]:
        """``room`` alone, from what is known: whoever asks starts at once, so that it must not be of last night."""
        machine = (await self.known_since(time.time() - RECENT)).description
        return {"room": room(machine, request) if machine.nodes else None}

    def _rooms(self, machine: Description) -> dict[str, str]:
        rooms = {}
        for preset in self.offer.presets:
            try:
                request = self.offer.check({"preset": preset.name})
            except Refused:
                continue
            rooms[preset.name] = room_words(machine, request)
        return rooms

    async def _instead(self, machine: Description, request: Request) -> list[dict[str, Any]]:
        """The first of what fits into what is free now that the scheduler would take."""
        for other in alternatives(self.offer, machine, request)[:TRIED]:
            try:
                start = start_json(await self.estimates.get(self.offer.person, other))
            except TooMany:
                return []
            if start["kind"] in ("now", "later"):
                return [{"hardware": hardware(other), "values": editable_values(other)}]
        return []


def start_json(estimate: Estimate, now: float | None = None) -> dict[str, Any]:
    """``kind`` is now, later, refused or unknown; ``at`` and ``asked`` are epoch seconds, ``why`` is in words."""
    now = time.time() if now is None else now
    found: dict[str, Any] = {
        "kind": "unknown",
        "at": estimate.starts,
        "asked": estimate.asked,
        "why": estimate.trouble or estimate.refused,
    }
    if estimate.trouble:
        return found
    if estimate.refused:
        return {**found, "kind": "refused"}
    if estimate.starts is None:
        return found
    return {**found, "kind": "now" if estimate.starts - now <= SOON else "later"}
