"""Tells a server's open pages of Dask clusters that end soon, whatever they show: for want of work, or for their time.

The panel has its own stream (news.py), but only while somebody sees it. The rules are those of all jobs: idling.py has
the one of work, in the controller, and shopfloor_jobs.time_left the one of time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shopfloor_jobs.time_left import TimeLeft, time_left

LOOK_SECONDS = 30.0
STARTING_SECONDS = 5.0  # while a cluster is on its way
LEAST_SECONDS = 0.2
EVENT = "urn:shopfloor:ending-clusters"
SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "Clusters that end soon",
    "description": "The Dask clusters that end soon, all of them each time.",
    "personal-data": False,
    "type": "object",
    "properties": {
        "clusters": {
            "title": "Clusters",
            "description": (
                "Of each its id, its name, why and when it ends (epoch seconds), and the mark that was passed: so many"
                " seconds before its time is up, 0 for one that is idle."
            ),
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "name": {"type": "string"},
                    "why": {"enum": ["idle", "time"]},
                    "ends": {"type": "number"},
                    "mark": {"type": "number"},
                },
                "required": ["id", "name", "why", "ends", "mark"],
            },
        }
    },
    "required": ["clusters"],
}

Cluster = dict[str, Any]


class EndingEvents:
    """``look`` lists the clusters, ``emit`` takes the warned ones: at each look while there are some, and once when
    there are none any more. A page that was opened meanwhile so hears of them at the next look. ``clock`` gives
    epoch seconds."""

    def __init__(
        self,
        look: Callable[[], Awaitable[Sequence[Cluster]]],
        emit: Callable[[list[Cluster]], Any],
        log: logging.Logger | logging.LoggerAdapter[Any],
        pause: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.time,
    ):
        self._look, self._emit, self._log, self._pause = look, emit, log, pause
        self._clock = clock
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
        now = self._clock()
        found = warned(clusters, now)
        if found or self._told:
            self._emit(found)
        self._told = bool(found)
        return next_look(clusters, self._pause, now)

    async def _run(self) -> None:
        while True:
            try:
                pause = await self.look()
            except Exception:  # noqa: BLE001 - whatever a cluster answered: the next look tells of the others
                self._log.exception("A look for clusters that end soon failed")
                pause = self._pause
            await asyncio.sleep(pause)


def warned(clusters: Sequence[Cluster], now: float) -> list[Cluster]:
    """Of the running clusters those that end soon, one that does for both reasons twice; times in epoch seconds."""
    found = []
    for one in clusters:
        if one["state"] != "running":
            continue
        known = {"id": one["id"], "name": one["name"]}
        if one["idle"] and one["idle"]["ends"] is not None:
            found.append({**known, "why": "idle", "ends": one["idle"]["ends"], "mark": 0})
        if (left := _left(one, now)) and left.warning is not None:
            found.append({**known, "why": "time", "ends": one["ends"], "mark": left.warning})
    return found


def next_look(clusters: Sequence[Cluster], pause: float, now: float) -> float:
    """Seconds, ``pause`` at most: of one that starts the rule is not known yet, and a warning takes at most half of the
    idle time, so that a twentieth of that is soon enough."""
    pauses = [pause]
    for one in clusters:
        if one["state"] == "running":
            if one["idle"]:
                pauses.append(one["idle"]["after"] / 20)
            if (left := _left(one, now)) and left.next_warning is not None:
                pauses.append(left.next_warning)
        elif one["state"] != "ended":
            pauses.append(STARTING_SECONDS)
    return max(LEAST_SECONDS, min(pauses))


def _left(cluster: Cluster, now: float) -> TimeLeft | None:
    """What is left of its time; None where its begin or its end is not known."""
    if cluster["started"] is None or cluster["ends"] is None:
        return None
    return time_left(cluster["ends"], now, cluster["ends"] - cluster["started"])
