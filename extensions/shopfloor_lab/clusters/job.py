"""A worker as dask-jobqueue sees it and as a job of ours; workers.py starts and closes them in the controller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask_jobqueue.core import Job as JobQueueJob
from distributed.deploy.spec import ProcessInterface

from .command import DEATH_TIMEOUT, worker_command
from .launch import Launch, Place

# dask-jobqueue reads these for every kind of job; ours needs none of them, nor what people set for others.
SETTINGS = {
    "interface": None,
    "python": None,
    "name": None,
    "local-directory": None,
    "extra": None,
    "worker-command": "distributed.cli.dask_worker",
    "worker-extra-args": [],
    "job-extra": None,
    "job-extra-directives": [],
    "env-extra": None,
    "job-script-prologue": [],
    "log-directory": None,
    "shebang": "",
    "shared-temp-directory": None,
    "scheduler-options": {},
}


class WorkerJob(JobQueueJob):
    """One worker, started and closed through our scheduler instead of commands of a queueing system.

    ``place`` says what came of its submission, None before that began. A refusal is no exception here: dask would
    leave it unretrieved in a task, and the person would never see it.
    """

    config_name = "shopfloor"

    def __init__(self, scheduler: Any = None, name: Any = None, *, launch: Launch, **options: Any):
        super().__init__(
            scheduler=scheduler,
            name=name,
            cores=launch.request.cpus,
            memory=f"{launch.request.memory}B",
            processes=1,
            death_timeout=DEATH_TIMEOUT,
            **options,
        )
        self.launch = launch
        self.place: Place | None = None

    async def start(self) -> None:
        def command(names: Sequence[str]) -> list[str]:
            return worker_command(self.scheduler, names, self.launch.request, self.launch.directory)

        # Not waited for: a scheduler that hangs would keep the others from being looked after.
        self.place = self.launch.submit(str(self.name), command)
        await ProcessInterface.start(self)

    async def close(self) -> None:
        if self.place and not self.place.given_up:
            self.launch.give_up(self.place)
        await ProcessInterface.close(self)
