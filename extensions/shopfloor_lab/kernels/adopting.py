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
    """All that are kept, the oldest first. Raises OSError, or NoOffer where nobody says where jobs are asked for."""
    paths = await asyncio.to_thread(
        lambda: sorted(directory.jobs_root(lab.home).glob(f"shopfloor-{KIND}-*/{KEPT}"))
    )
    if not paths:
        return []  # the hub need not be asked
    offer = await lab.offers.get()
    ways = lab.jobs.of(offer)
    found = []
    for path in paths:
        try:
            job = await asyncio.to_thread(read_again, lab, ways, path.parent)
        except Exception:
            # Whatever a record that is not whole raises, it costs no other kernel.
            log.exception("The kernel in %s cannot be found again", path.parent)
            continue
        if job is None or (job.job.owner, job.job.tag) != (offer.person, path.parent.name):
            log.warning(
                "The kernel in %s is left alone: its records are of another version, or not whole",
                path.parent,
            )
            continue
        found.append(job)
    return sorted(found, key=lambda job: job.kept.asked)


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
