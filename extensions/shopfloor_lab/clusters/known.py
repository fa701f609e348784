"""What the scheduler and the jobs' own records say of the workers; asked for by workers.py, shown by rows.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from shopfloor_jobs import directory
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.scheduler import NothingNew, SchedulerError
from shopfloor_jobs.view import Source

from .launch import Launch, Place

LOG_LINES = 20
_NOTHING: Mapping[str, Any] = {}


class Known:
    """The last look at the workers' jobs, with their records as they were then; nothing here is asked for twice.

    ``source`` is who is asked, the scheduler itself unless another is given; ``silence`` is why it said nothing at the
    last look, in words, else empty.
    """

    def __init__(self, launch: Launch, source: Source | None = None):
        self.launch, self.source, self.silence = launch, source or launch.scheduler, ""
        self._seen: dict[tuple[str, int], Seen] = {}
        self._starts: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._exits: dict[tuple[str, int], Mapping[str, Any]] = {}

    async def look(
        self,
        places: Iterable[Place],
        connected: Container[str] = (),
        source: Source | None = None,
    ) -> None:
        """Ask for our workers' jobs; not knowing changes nothing.

        ``connected`` are the names of workers that certainly run; ``source`` is who is asked this time.
        """
        places = list(places)
        try:
            await self.launch.cancel_owed()
            seen = await (source or self.source).look()
        except NothingNew:
            self.silence = ""
            await self.launch.settle()
            await asyncio.to_thread(self._read_records, places, connected)
            return
        except SchedulerError as error:
            asked = source or self.source
            if asked is self.launch.scheduler:
                self.silence = f"The scheduler does not answer: {error}"
            else:
                self.silence = f"Not known now: {error}"
            return
        self.silence = ""
        ours, owner = self.launch.tags, self.launch.owner
        found = {
            (job.tag, job.index): job for job in seen if job.tag in ours and job.owner == owner
        }
        self._seen.update(found)
        meant = {(place.tag, place.index): place for place in places}
        for key, job in found.items():
            if not job.alive or self.launch.sends(job.tag):
                continue
            if key not in meant:
                self.launch.unmeant(job.id)
            elif not meant[key].id:
                # Its submission was not answered, but had happened.
                self.launch.found(meant[key], job.id)
        await self.launch.settle()
        await asyncio.to_thread(self._read_records, places, connected)

    def seen(self, place: Place | None) -> Seen | None:
        return self._seen.get((place.tag, place.index)) if place else None

    def start(self, place: Place | None) -> Mapping[str, Any]:
        """The record that its runner wrote when it began; empty while there is none."""
        return self._starts.get((place.tag, place.index), _NOTHING) if place else _NOTHING

    def exit(self, place: Place | None) -> Mapping[str, Any]:
        """The record of its end; empty while its job lives."""
        return self._exits.get((place.tag, place.index), _NOTHING) if place else _NOTHING

    async def log(self, place: Place) -> str:
        """The last lines that a worker wrote."""
        path = self._directory(place)
        try:
            return await asyncio.to_thread(directory.tail, path, LOG_LINES, index=place.index)
        except OSError:
            return ""  # the home is away for a moment

    def _read_records(self, places: Iterable[Place], connected: Container[str]) -> None:
        for place in places:
            seen = self.seen(place)
            runs = place.name in connected
            # What the hub shows may be older than that a worker connected.
            if not runs and (seen is None or seen.started is None):
                continue
            with contextlib.suppress(OSError):  # the home is away for a moment: not known now
                self._read_record(place, seen, runs)

    def _read_record(self, place: Place, seen: Seen | None, runs: bool) -> None:
        path, key = self._directory(place), (place.tag, place.index)
        if key not in self._starts and (start := directory.start_record(path, place.index)):
            self._starts[key] = start
        # Its runner notes an end some seconds before the scheduler shows it; one whose job waits again is older.
        over = seen is not None and (
            not seen.alive or (not runs and seen.state is not State.PENDING)
        )
        if over and (end := directory.exit_record(path, place.index)):
            self._exits[key] = end

    def _directory(self, place: Place) -> Path:
        return self.launch.directory.parent / place.tag
