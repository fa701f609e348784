"""Ends a server's job for certain: asks until the view shows it gone, however long the scheduler is silent."""

from __future__ import annotations

import time
from collections.abc import Callable

from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_jobs.view import View

from .intent import Intent
from .logged import about, log

AGAIN = 10.0  # seconds after which a job that lives on is cancelled once more
LONGEST_WAIT = 30.0  # seconds for a look of the view


async def cancel(
    view: View, owner: str, intent: Intent, is_being_submitted: Callable[[], bool]
) -> None:
    """Return when the job is gone and its secrets are removed; one that is submitted meanwhile is found by its tag."""
    cancelled, again_at = "", 0.0
    while True:
        seen = view.last_known(owner, intent.tag)
        job_id = (seen.id if seen and seen.alive else "") or intent.job_id
        try:
            if job_id and (job_id != cancelled or time.monotonic() > again_at):
                await view.scheduler.cancel(owner, [job_id])
                cancelled, again_at = job_id, time.monotonic() + AGAIN
        except SchedulerError as error:
            fields = about(intent.tag, owner, job_id)
            log.warning("Cancelling a job goes on: %s", error, extra=fields)
        open_before_the_look = is_being_submitted()
        view.hurry()
        await view.change(LONGEST_WAIT)
        if not open_before_the_look and await view.is_gone(owner, intent.tag, None):
            break
    view.forget(owner, intent.tag)
    await discard(view, owner, intent.tag)


async def discard(view: View, owner: str, tag: str) -> None:
    """Remove the secrets of a job that is no more."""
    try:
        await view.scheduler.discard(owner, tag)
    except SchedulerError as error:
        log.warning("Secrets of a job were not removed: %s", error, extra=about(tag, owner))
