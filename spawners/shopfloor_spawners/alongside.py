"""What a person has running beside servers, kernels and Dask clusters: as the view shows it, and how it is stopped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

from shopfloor_jobs.job import Seen, are_family, kind_of
from shopfloor_jobs.view import View

from .cancelling import cancel
from .intent import KIND as SERVER
from .notes import Notes

# As shopfloor_lab names them, which the hub must not import.
KERNEL, CLUSTER, WORKER = "kernel", "cluster", "worker"
FRESH = 20.0  # seconds that what is shown may be old
LOOK_WITHIN = 2.0  # seconds; a page does not wait longer for a look


@dataclass(frozen=True)
class Beside:
    """One thing that runs, of whatever kind; ``seen`` is its job, ``workers`` are a cluster's living ones.

    Workers whose cluster is gone are one thing of the kind ``worker``, by the tag of the oldest.
    """

    kind: str
    tag: str
    seen: Seen
    workers: tuple[Seen, ...] = ()


def beside(jobs: Iterable[Seen]) -> list[Beside]:
    """What one person's jobs are, the oldest first; servers have pages of their own, and are left out."""
    living = sorted((job for job in jobs if job.alive), key=_age)
    workers = [job for job in living if kind_of(job.tag) == WORKER]
    found: dict[str, Beside] = {}
    for job in living:
        kind = kind_of(job.tag)
        if kind in (SERVER, WORKER) or job.tag in found:
            continue
        family = tuple(one for one in workers if kind == CLUSTER and are_family(one.tag, job.tag))
        workers = [one for one in workers if one not in family]
        found[job.tag] = Beside(kind, job.tag, job, family)
    while workers:
        first = workers[0]
        family = tuple(one for one in workers if are_family(one.tag, first.tag))
        workers = [one for one in workers if one not in family]
        found[first.tag] = Beside(WORKER, first.tag, first, family)
    return list(found.values())


def _age(job: Seen) -> tuple[float, list[int]]:
    # Slurm knows whole seconds, and tells of those that wait after those that run: rows would change places.
    return job.submitted or 0.0, [int(number) for number in re.findall(r"\d+", job.id)]


class Alongside:
    """What ``view`` shows beside servers, what Labs say of it in ``notes``, and the stops that are under way."""

    def __init__(self, view: View):
        self.view, self.notes = view, Notes()
        self._stops: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def look(self) -> None:
        """See to it that the view is fresh, as far as the scheduler answers: it rests while nobody needs it."""
        self.view.await_news()
        if self.view.age > FRESH and not self.view.trouble:
            await self.view.change(LOOK_WITHIN)

    def of(self, owner: str) -> list[Beside]:
        """As it was seen last; nothing before the first look, which the view's health tells."""
        return beside(self.view.jobs(owner))

    def kernels(self, owner: str) -> list[Beside]:
        """Those that nobody has stopped."""
        found = [one for one in self.of(owner) if one.kind == KERNEL]
        return [one for one in found if not self.is_stopping(owner, one)]

    async def find(self, owner: str, tag: str) -> Beside | None:
        """The owner's own with this tag; what somebody else has is not found. Raises Unreachable."""
        if not self.view.last_known(owner, tag):
            await self.view.job(owner, tag)  # it may be younger than the last look
            self.view.forget(owner, tag)
        return next((one for one in self.of(owner) if one.tag == tag), None)

    def is_stopping(self, owner: str, one: Beside) -> bool:
        """Whether it was stopped here, or by whoever else, and is still there."""
        return (owner, one.tag) in self._stops or one.seen.detail == "COMPLETING"

    async def stop(self, owner: str, one: Beside, seconds: float = 0) -> bool:
        """End it, and a cluster's workers with it; whether all was gone within so many seconds.

        What is not goes on in the background, however long the scheduler is silent.
        """
        key = (owner, one.tag)
        if key not in self._stops:
            self._stops[key] = asyncio.create_task(self._end(owner, one))
            self._stops[key].add_done_callback(lambda _: self._stops.pop(key))
        done, _ = await asyncio.wait({self._stops[key]}, timeout=seconds)
        return bool(done)

    async def _end(self, owner: str, one: Beside) -> None:
        await cancel(self.view, owner, one.tag)
        if one.kind in (CLUSTER, WORKER):
            # A cluster takes its workers along, unless it was killed, or waited while they did.
            while left := self._workers(owner, one.tag):
                await asyncio.gather(*(cancel(self.view, owner, tag) for tag in left))

    def _workers(self, owner: str, tag: str) -> set[str]:
        return {
            job.tag
            for job in self.view.jobs(owner)
            if job.alive and kind_of(job.tag) == WORKER and are_family(job.tag, tag)
        }
