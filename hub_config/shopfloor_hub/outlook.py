"""What a choice of the start form comes to: its cost, when it would start, and what would start now instead."""

from __future__ import annotations

import time
from typing import Any

from shopfloor_jobs.accounts import Accounts
from shopfloor_jobs.availability import alternatives, fits_now
from shopfloor_jobs.offer import Offer, hardware
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Description

from .costs import cost_words, gpu_seconds
from .estimates import Estimate, Estimates, TooMany
from .form import editable_values

SOON = 30.0  # seconds that still count as now; Slurm's own scheduler looks about that often
TRIED = 2  # alternatives that are asked for


class Outlook:
    """Answers the start form for one person; ``accounts`` and ``description`` are what the hub knows already."""

    def __init__(
        self, offer: Offer, description: Description, accounts: Accounts, estimates: Estimates
    ):
        self.offer, self.description = offer, description
        self.accounts, self.estimates = accounts, estimates

    async def of(self, request: Request) -> dict[str, Any]:
        """``{"hardware", "cost", "too_dear", "start", "free", "instead"}``; ``start`` as :func:`start_json` has it.

        ``free`` is whether the request would fit into what nobody uses: where others wait in line, Slurm's estimate
        leaves out that it fills gaps (sbatch(1), --test-only), and can be far too late. Raises TooMany.
        """
        account = self.accounts.charged(self.offer.person, request.account)
        estimate = await self.estimates.get(self.offer.person, request)
        left = account.gpu_left if account else None
        start = start_json(estimate)
        free = fits_now(self.description, request) >= request.nodes
        return {
            "hardware": hardware(request),
            "cost": cost_words(request, account),
            "too_dear": left is not None and gpu_seconds(request) > left,
            "start": start,
            "free": free,
            "instead": [] if start["kind"] == "now" or free else await self._instead(request),
        }

    async def _instead(self, request: Request) -> list[dict[str, Any]]:
        """The first of what fits into what is free now that the scheduler would take."""
        for other in alternatives(self.offer, self.description, request)[:TRIED]:
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
