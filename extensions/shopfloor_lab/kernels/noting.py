"""Tells the hub which notebooks this server's kernels are of, and which end soon, so that its home page can say so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from shopfloor_jobs.within import set_within

from shopfloor_lab.hub import Hub, NoHub

AGAIN = 60.0  # seconds; the hub forgets what is not repeated
LONGEST = 100  # letters of a title, which the hub takes

log = logging.getLogger("shopfloor.kernels")


class Noting:
    """Says it when it changes, and again as long as a kernel lives. Without a hub there is nobody to tell."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._notes: dict[str, dict[str, Any]] = {}
        self._changed = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    def take(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """``rows`` are board.py's, all of them."""
        notes = notes_of(rows)
        if not self._hub or notes == self._notes:
            return
        self._notes = notes
        self._changed.set()
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._notes:
            self._changed.clear()
            try:
                await self._hub.ask("PUT", "notes", {"notes": self._notes})
            except NoHub as error:
                log.info("The hub does not know what kernels are for: %s", error)
            await set_within(self._changed, AGAIN)


def notes_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By tag, of the living ones: the notebook's name, and when it ends for want of work or None."""
    return {
        row["tag"]: {
            "title": _title(row["path"] or ""),
            "idle_ends": row["idle"]["ends"] if row["idle"] else None,
        }
        for row in rows
        if row["tag"] and row["state"] != "ended"
    }


def _title(path: str) -> str:
    # A file's name need not be UTF-8, and what of it cannot be sent would cost every other note.
    return PurePosixPath(path).name[:LONGEST].encode(errors="replace").decode()
