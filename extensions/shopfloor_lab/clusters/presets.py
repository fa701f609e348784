"""A person's own presets: names and requests in one file of theirs, held against the offer when listed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shopfloor_jobs.directory import read_json, write_json
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import Offer, hardware
from shopfloor_jobs.request import FIELDS, Request

from .connection import check_name
from .planning import worker_request

MOST = 20
FILE = Path(".local", "share", "shopfloor", "presets.json")


class Presets:
    """The presets under one home, in the order in which they were saved; ``offer`` fetches what may be asked for.

    ``check`` makes the request of a worker, or of whatever else they are for, or raises Refused.
    """

    def __init__(
        self,
        home: Path,
        offer: Callable[[], Awaitable[Offer]],
        check: Callable[[Offer, Any], Request] = worker_request,
    ):
        self.file, self.offer, self._check = home / FILE, offer, check
        self._changing = asyncio.Lock()

    async def list(self) -> list[dict[str, Any]]:
        """As the site's are in the offer's JSON; one that cannot be had any more says why. Raises NoOffer."""
        offer = await self.offer()
        known = await asyncio.to_thread(self._read)
        return [self._shown(offer, name, request) for name, request in known.items()]

    async def save(self, name: Any, request: Any) -> dict[str, Any]:
        """Keep a request by this name, in place of an earlier one. Raises Refused, NoOffer or OSError."""
        check_name(name)
        offer = await self.offer()
        checked = self._check(offer, request).to_json()
        async with self._changing:
            known = await asyncio.to_thread(self._read)
            if name not in known and len(known) >= MOST:
                raise Refused("name", name, f"you have {MOST} presets already; delete one")
            known[name] = checked
            await asyncio.to_thread(self._write, known)
        return self._shown(offer, name, checked)

    async def delete(self, name: str) -> None:
        """Raises LookupError where there is none, or OSError."""
        async with self._changing:
            known = await asyncio.to_thread(self._read)
            if name not in known:
                raise LookupError(f"You have no preset {name[:64]!r}.")
            del known[name]
            await asyncio.to_thread(self._write, known)

    def _read(self) -> dict[str, Any]:
        found = (read_json(self.file) or {}).get("presets")
        return dict(found) if isinstance(found, dict) else {}

    def _write(self, known: dict[str, Any]) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.file, {"presets": known})

    def _shown(self, offer: Offer, name: str, request: Any) -> dict[str, Any]:
        line, disabled = "", None
        try:
            line = hardware(Request.from_json(request))
            self._check(offer, request)
        except Refused as refusal:
            label = FIELDS[refusal.field].label if refusal.field in FIELDS else refusal.field
            disabled = f"{label}: {refusal.limit}."
        except (AttributeError, TypeError):
            request, disabled = {}, "Its file was changed, and cannot be read."
        return {
            "name": name,
            "label": name,
            "hardware": line,
            "request": request,
            "disabled": disabled,
        }
