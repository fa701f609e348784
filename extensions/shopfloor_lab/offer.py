"""What this person may ask for, as the hub says with the server's own token; the last answer is kept on disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopfloor_jobs.directory import read_json, write_json
from shopfloor_jobs.offer import Offer

from .hub import Hub, NoHub

log = logging.getLogger("shopfloor.offer")

FRESH = 60.0  # seconds for which one answer serves


class NoOffer(Exception):
    """Nobody says what may be asked for here; the text is fit for the person."""


class Offers:
    """The person's offer, from the hub that ``environment`` names, else from the cache under ``home``."""

    def __init__(self, home: Path, environment: Mapping[str, str]):
        self.hub = Hub(environment)
        self.cache = home / ".local" / "share" / "shopfloor" / "offer.json"
        self._known: tuple[float, Offer] | None = None
        self._asking = asyncio.Lock()

    async def get(self) -> Offer:
        """Raises NoOffer where neither the hub nor the cache has one."""
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > FRESH:
                self._known = (time.monotonic(), await self._ask_or_recall())
            return self._known[1]

    async def _ask_or_recall(self) -> Offer:
        try:
            data, offer = await self._ask()
        except NoHub as error:
            known = await asyncio.to_thread(read_json, self.cache)
            if known is None or (recalled := _read(known)) is None:
                raise NoOffer(f"The hub does not say what you may ask for: {error}") from error
            return recalled
        try:
            await asyncio.to_thread(self._store, data)
        except OSError as error:
            log.warning("What may be asked for was not kept for when the hub is away: %s", error)
        return offer

    async def _ask(self) -> tuple[Mapping[str, Any], Offer]:
        data, _ = await self.hub.get("offer")
        if data is None or data.get("version") != 1 or (offer := _read(data)) is None:
            raise NoHub("its answer is of another version")
        return data, offer

    def _store(self, data: Mapping[str, Any]) -> None:
        self.cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.cache, data)


def _read(data: Mapping[str, Any]) -> Offer | None:
    """None where it lacks what this version needs."""
    try:
        return Offer.from_json(data)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
