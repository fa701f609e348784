"""Finds the kernels that earlier Lab servers of the same person's left in their jobs, for managers.py to have again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from shopfloor_jobs import directory
from shopfloor_jobs.scheduler import Unreachable

from shopfloor_lab.offer import NoOffer

from .job import KernelJob, read_again
from .kept import KEPT, Kept
from .lab import Lab
from .order import KIND

AGAIN = 10.0  # seconds between looks for what could not be had yet

log = logging.getLogger("shopfloor.kernels")


class Adopting:
    """``have`` takes each kernel that is found, where ``is_here`` does not say that its id is known already.

    What a server has that seems to live is looked at again until that has ended, and all of it where nobody says where
    jobs are asked for.
    """

    def __init__(
        self,
        lab: Lab,
        have: Callable[[KernelJob], Awaitable[None]],
        is_here: Callable[[str], bool],
    ):
        self._lab, self._have, self._is_here = lab, have, is_here
        self._waiting: dict[str, tuple[Path, Kept]] = {}  # those that others have, by id
        self._first: asyncio.Task[None] | None = None
        self._rest: asyncio.Task[None] | None = None
        self._trouble = ""

    async def once(self) -> None:
        """Returns when all has been looked at once; who asks again waits for no other look."""
        if self._first is None:
            self._first = asyncio.create_task(self._begin())
        await asyncio.shield(self._first)

    def waits_for(self, kernel_id: str | None) -> Kept | None:
        """The kernel, where it is to be had once its server has ended."""
        _, kept = self._waiting.get(kernel_id or "", (None, None))
        return kept

    async def close(self) -> None:
        """The server ends."""
        if self._rest:
            self._rest.cancel()
            await asyncio.wait({self._rest})

    async def _begin(self) -> None:
        found = await self._look(None)
        if not found or self._waiting:
            self._rest = asyncio.create_task(self._go_on(found))

    async def _go_on(self, found: bool) -> None:
        while not found or self._waiting:
            await asyncio.sleep(AGAIN)
            paths = [path for path, _ in self._waiting.values()] if found else None
            found = await self._look(paths) or found

    async def _look(self, only: list[Path] | None) -> bool:
        """At these, or at all; whether it is known what there is."""
        try:
            jobs = await find(self._lab, only)
        except (OSError, NoOffer) as error:
            if self._is_news(error):
                log.warning("Kernels of earlier servers cannot be found: %s", error)
            return False
        except Exception as error:
            # Whatever a file that is not whole raises: no kernel is worth a server that does not start.
            if self._is_news(error):
                log.exception("Kernels of earlier servers cannot be found")
            return False
        waiting = {}
        for job in jobs:
            if await self._has(job, at_first=only is None):
                continue
            kept, holder = job.kept, job.kept.holder
            if kept.kernel_id not in self._waiting:
                log.warning(
                    "The kernel in %s is not had yet: process %d on %s (job %s), which has it, seems to live",
                    *(job.path, holder.pid, holder.host, holder.tag or "none"),
                )
            waiting[kept.kernel_id] = self._waiting[kept.kernel_id] = (job.path, kept)
        self._waiting = waiting
        return True

    async def _has(self, job: KernelJob, at_first: bool) -> bool:
        """Whether nothing is left to do for it, be it that it cannot be had at all."""
        if self._is_here(job.kept.kernel_id):
            return True
        try:
            # Later on, whoever has it may just be about to end it.
            is_over = at_first and await job.is_over()
            if not is_over and not await is_free(self._lab, job):
                return False
            await self._have(job)
        except Exception:
            log.exception("The kernel in %s is left alone", job.path)
        return True

    def _is_news(self, error: Exception) -> bool:
        """It is said once, however often it is tried."""
        before, self._trouble = self._trouble, str(error)
        return self._trouble != before


async def find(lab: Lab, only: Iterable[Path] | None = None) -> list[KernelJob]:
    """All that are kept, or those in these directories, the oldest first.

    Raises OSError, or NoOffer where nobody says where jobs are asked for.
    """
    paths = await asyncio.to_thread(_kept, lab, only)
    if not paths:
        return []  # the hub need not be asked
    offer = await lab.offers.get()
    ways = lab.jobs.of(offer)
    found = []
    for path in paths:
        try:
            job = await asyncio.to_thread(read_again, lab, ways, path)
        except Exception:
            # Whatever a record that is not whole raises, it costs no other kernel.
            log.exception("The kernel in %s cannot be found again", path)
            continue
        if job is None or (job.job.owner, job.job.tag) != (offer.person, path.name):
            log.warning(
                "The kernel in %s is left alone: its records are of another version, or not whole",
                path,
            )
            continue
        found.append(job)
    return sorted(found, key=lambda job: job.kept.asked)


def _kept(lab: Lab, only: Iterable[Path] | None) -> list[Path]:
    """Raises OSError."""
    if only is None:
        only = directory.jobs_root(lab.home).glob(f"shopfloor-{KIND}-*")
    return sorted(path for path in only if (path / KEPT).exists())


async def is_free(lab: Lab, job: KernelJob) -> bool:
    """Whether no living server has the kernel; then it is written down that this one has it."""
    holder, me = job.kept.holder, lab.me
    if holder == me:
        return True
    if holder.lives_on(me.host):
        return False
    if holder.tag not in ("", me.tag) and await _runs(lab, job.job.owner, holder.tag):
        return False
    await job.keep(replace(job.kept, holder=me))
    return True


async def _runs(lab: Lab, owner: str, tag: str) -> bool:
    """Whether the server's job with this tag still runs."""
    try:
        # Its runner knows before the scheduler does, and what the hub shows is older still.
        if await asyncio.to_thread(directory.exit_record, directory.directory_of(lab.home, tag)):
            return False
        _, view = lab.jobs.of(await lab.offers.get())
        seen = await view.job(owner, tag)
    except (OSError, ValueError, NoOffer, Unreachable):
        return False  # two servers may have one kernel for a while; one that nobody has is lost
    return seen is not None and seen.alive
