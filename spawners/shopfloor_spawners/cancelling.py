"""Ends a job for certain: asks until the view shows it gone, however long the scheduler is silent."""

from __future__ import annotations

import time
from collections.abc import Callable

from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_jobs.view import View

from .logged import about, log

AGAIN = 10.0  # seconds after which a job that lives on is cancelled once more
LONGEST_WAIT = 30.0  # seconds for a look of the view


async def cancel(
    view: View,
    owner: str,
    tag: str,
    submitted: Callable[[], str] = lambda: "",
    is_being_submitted: Callable[[], bool] = lambda: False,
) -> None:
    """Return when all copies of the job are gone and its secrets are removed.

    ``submitted`` is the id of one that no look has shown yet; one that is submitted meanwhile is found by its tag.
    """
    cancelled: set[str] = set()
    again_at = 0.0
    while True:
        ids = [job.id for job in view.jobs(owner) if job.tag == tag and job.alive]
        if not ids and (job_id := submitted()):
            ids = [job_id]
        try:
            if ids and (not cancelled.issuperset(ids) or time.monotonic() > again_at):
                await view.scheduler.cancel(owner, ids)
                cancelled, again_at = set(ids), time.monotonic() + AGAIN
        except SchedulerError as error:
            fields = about(tag, owner, ids[0])
            log.warning("Cancelling a job goes on: %s", error, extra=fields)
        open_before_the_look = is_being_submitted()
        view.hurry()
        await view.change(LONGEST_WAIT)
        if not open_before_the_look and await view.is_gone(owner, tag, None):
            break
    view.forget(owner, tag)
    await discard(view, owner, tag)


async def discard(view: View, owner: str, tag: str) -> None:
    """Remove the secrets of a job that is no more."""
    try:
        await view.scheduler.discard(owner, tag)
    except SchedulerError as error:
        log.warning("Secrets of a job were not removed: %s", error, extra=about(tag, owner))
