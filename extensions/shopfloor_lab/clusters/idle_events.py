"""Tells a server's open pages of Dask clusters that are about to end for want of work, whatever they show.

The panel has its own stream (news.py), but only while somebody sees it; idling.py is the rule, in the controller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

LOOK_SECONDS = 30.0
STARTING_SECONDS = 5.0  # while a cluster is on its way
LEAST_SECONDS = 0.2
EVENT = "urn:shopfloor:idle-clusters"
SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "Idle clusters",
    "description": "The Dask clusters that end soon unless they work, all of them each time.",
    "personal-data": False,
    "type": "object",
    "properties": {
        "clusters": {
            "title": "Clusters",
            "description": "Of each its id, its name, and when it ends in epoch seconds.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "name": {"type": "string"},
                    "ends": {"type": "number"},
                },
                "required": ["id", "name", "ends"],
            },
        }
    },
    "required": ["clusters"],
}

Cluster = dict[str, Any]


class IdleEvents:
    """``look`` lists the clusters, ``emit`` takes the warned ones: at each look while there are some, and once when
    there are none any more. A page that was opened meanwhile so hears of them at the next look."""

    def __init__(
        self,
        look: Callable[[], Awaitable[Sequence[Cluster]]],
        emit: Callable[[list[Cluster]], Any],
        log: logging.Logger | logging.LoggerAdapter[Any],
        pause: float = LOOK_SECONDS,
    ):
        self._look, self._emit, self._log, self._pause = look, emit, log, pause
        self._told = False
        self._running: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look from now on, as long as the server runs."""
        self._running = asyncio.create_task(self._run())

    async def look(self) -> float:
        """Look and tell; returns the seconds until the next look."""
        try:
            clusters = await self._look()
        except OSError as error:
            # The home directory is away: what was told stays true until something else is known.
            self._log.warning("The clusters cannot be seen: %s", error)
            return self._pause
        found = warned(clusters)
        if found or self._told:
            self._emit(found)
        self._told = bool(found)
        return next_look(clusters, self._pause)

    async def _run(self) -> None:
        while True:
            try:
                pause = await self.look()
            except Exception:  # noqa: BLE001 - whatever a cluster answered: the next look tells of the others
                self._log.exception("A look for idle clusters failed")
                pause = self._pause
            await asyncio.sleep(pause)


def warned(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Of the running clusters, those that end for want of work; ``ends`` in epoch seconds."""
    return [
        {"id": one["id"], "name": one["name"], "ends": one["idle"]["ends"]}
        for one in clusters
        if one["state"] == "running" and one["idle"] and one["idle"]["ends"] is not None
    ]


def next_look(clusters: Sequence[Cluster], pause: float) -> float:
    """Seconds, ``pause`` at most: of one that starts the rule is not known yet, and a warning takes at most half of the
    idle time, so that a twentieth of that is soon enough."""
    pauses = [pause]
    for one in clusters:
        if one["state"] == "running" and one["idle"]:
            pauses.append(one["idle"]["after"] / 20)
        elif one["state"] not in ("running", "ended"):
            pauses.append(STARTING_SECONDS)
    return max(LEAST_SECONDS, min(pauses))
