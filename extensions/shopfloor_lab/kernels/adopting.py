"""Finds the kernels that earlier Lab servers of the same person's left in their jobs, for managers.py to have again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from shopfloor_jobs import directory
from shopfloor_jobs.scheduler import Unreachable

from shopfloor_lab.offer import NoOffer

from .job import KernelJob, read_again
from .kept import KEPT
from .lab import Lab
from .order import KIND

log = logging.getLogger("shopfloor.kernels")


async def find(lab: Lab) -> list[KernelJob]:
    """All that are kept, the oldest first; none where nobody says where jobs are asked for."""
    try:
        paths = await asyncio.to_thread(
            lambda: sorted(directory.jobs_root(lab.home).glob(f"shopfloor-{KIND}-*/{KEPT}"))
        )
        if not paths:
            return []  # the hub need not be asked
        ways = lab.jobs.of(await lab.offers.get())
    except (OSError, NoOffer) as error:
        log.warning("Kernels of earlier servers cannot be found: %s", error)
        return []
    found = []
    for path in paths:
        try:
            job = await asyncio.to_thread(read_again, lab, ways, path.parent)
        except OSError as error:
            log.warning("The kernel in %s cannot be found again: %s", path.parent, error)
            continue
        if job:
            found.append(job)
    return sorted(found, key=lambda job: job.kept.asked)


async def is_free(lab: Lab, job: KernelJob) -> bool:
    """Whether no living server has the kernel; then it is written down that this one has it."""
    holder, me = job.kept.holder, lab.me
    if holder == me:
        return True
    if holder.tag and holder.tag != me.tag:
        if await _runs(lab, job.job.owner, holder.tag):
            return False
    elif not holder.tag and holder.lives_on(me.host):
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
        return False  # two servers that have a kernel do it no harm; one that nobody has is lost
    return seen is not None and seen.alive
