"""The workers that Lab asked for together with the cluster's own job (first.py), as the controller takes them over.

launch.py asks here before it submits a worker, and again while it is not known what came of those.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shopfloor_jobs.directory import exit_record

from .connection import First

# Seconds for a job that Lab says nothing of: Slurm may take 30 for each of the two questions of a submission, and what
# the hub shows may be 20 old.
SHOWS_WITHIN = 80.0


@dataclass
class Place:
    """Where one worker stands: copy ``index`` of the job with this tag, which the scheduler calls ``id``.

    Tag and id are empty until they are known; ``refusal`` is why there is no job, in words. What is ``given_up``
    is cancelled as soon as its id is known.
    """

    name: str
    tag: str = ""
    index: int = 0
    id: str = ""
    refusal: str = ""
    given_up: bool = False


class Adopting:
    """``directory`` is the cluster's job directory; reads Lab's note there. ``tag`` is the job's, empty where there is
    none, and ``open`` the places of which it is not known what came of them."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic):
        self.directory, self._clock = directory, clock
        self.open: list[Place] = []
        self._until = clock() + SHOWS_WITHIN
        self._first = First.read(directory)
        self._free: dict[str, int] = {}
        if self._first and not self._first.refused:
            path = directory.parent / self._first.tag
            self._free = {
                name: index
                for index, name in enumerate(self._first.names)
                if exit_record(path, index) is None  # the cluster began too late for this one
            }

    @property
    def tag(self) -> str:
        return self._first.tag if self._first and not self._first.refused else ""

    @property
    def names(self) -> list[str]:
        return list(self._first.names) if self._first else []

    def take(self, name: str) -> Place | None:
        """The place of the worker with this name, once; None where Lab did not ask for it."""
        if self._first is None or name not in self._free:
            return None
        place = Place(name, self._first.tag, self._free.pop(name))
        place.id = self._id(place, self._first)
        if not place.id:
            self.open.append(place)
        return place

    def told(self) -> tuple[dict[str, str], bool]:
        """The ids that Lab noted meanwhile, by name, and whether those that are still open come no more."""
        try:
            first = First.read(self.directory)
        except OSError:
            # Replaced at this moment, on a network file system.
            return {}, self._clock() > self._until
        if first is None or first.refused:
            return {}, True
        ids = {place.name: id for place in self.open if (id := self._id(place, first))}
        return ids, self._clock() > self._until

    @staticmethod
    def _id(place: Place, first: First) -> str:
        # Asked a second time, the scheduler tells the living ones only; the others have ids all the same.
        if not first.ids:
            return ""
        array = first.ids[0].partition("_")[0]
        return f"{array}_{place.index}" if len(first.names) > 1 else first.ids[0]
