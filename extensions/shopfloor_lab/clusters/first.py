"""Asks for a cluster's first workers together with its own job, so that Slurm begins both at the same time; listing.py.

The controller adopts them (launch.py). What is not there then is asked for anew by it, and what comes after all is
cancelled: the tag stands in the cluster's directory before anything is submitted.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

from shopfloor_jobs import directory
from shopfloor_jobs.job import Job
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, SubmitRefused

from shopfloor_lab.hub import Hub, NoHub

from .carried import carry
from .command import OUR_CODE, worker_command
from .connection import First, write_workers
from .launch import worker_job
from .planning import Prepared

ROOM_WITHIN = 1.0  # seconds for the hub, which knows; the click waits for it
NAME = "worker-{}"


async def together(made: Prepared, hub: Hub) -> bool:
    """Whether workers are asked for with the cluster's own job: where that is expected to begin right away,
    for else they would hold GPUs for nothing.

    The hub tells from what it knows of the machine, which is a minute old at most where Slurm answers quickly.
    """
    if not made.plan.workers:
        return False
    if made.plan.beside_lab or made.offer.scheduler.get("type") == "local":
        return True
    question = {"user_options": made.job.request.to_json(), "estimate": False}
    try:
        answer = await hub.post("outlook", question, ROOM_WITHIN)
        return int(answer["room"] or 0) >= 1
    except (NoHub, LookupError, TypeError, ValueError):
        return False


def job_of(made: Prepared, home: Path, count: int, address: str | None = None) -> Job:
    """The job of the first ``count`` workers; without an address they wait for the cluster's. Raises OSError."""
    checked, path = made.checked, directory.directory_of(home, made.job.tag)
    code = OUR_CODE if checked.own else carry(home)
    names = [NAME.format(number) for number in range(1, count + 1)]
    python = checked.inspected.executable
    command = worker_command(address, names, made.request, path, python, code)
    return worker_job(made.offer.person, path, made.request, made.job.env, names, command)


async def announce(made: Prepared, home: Path) -> tuple[Job, First]:
    """Note which workers will be asked for, before the cluster's own job can look for the note. Raises OSError."""

    def note() -> tuple[Job, First]:
        job = job_of(made, home, made.plan.workers)
        names = [NAME.format(number) for number in range(1, made.plan.workers + 1)]
        first, path = First(job.tag, names), directory.directory_of(home, made.job.tag)
        write_workers(path, {first.tag: first.names})
        first.write(path)
        return job, first

    return await asyncio.to_thread(note)


async def ask_for(scheduler: Scheduler, job: Job, first: First, path: Path) -> None:
    """Submit them, and note for the controller what came of it; raises nothing, for the controller asks anew."""
    try:
        first = replace(first, ids=await scheduler.submit(job, len(first.names)))
    except SubmitRefused as error:
        first = replace(first, refused=str(error))
    except SchedulerError:
        return  # they may have been submitted all the same: the controller looks for them
    except OSError as error:
        first = replace(first, refused=str(error))
    with contextlib.suppress(OSError):
        await asyncio.to_thread(first.write, path)
