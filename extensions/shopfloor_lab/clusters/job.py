"""A worker as dask-jobqueue sees it and as a job of ours; workers.py starts and closes them in the controller."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dask_jobqueue.core import Job as JobQueueJob
from distributed.deploy.spec import ProcessInterface
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, Unreachable

from .connection import SCRATCH, TLS, write_workers

DEATH_TIMEOUT = 45  # seconds without the controller after which a worker ends by itself
AT_ONCE = 4  # submissions in flight; more would only wait in slurmctld
TRIES = 3
MB = 1024**2


class Launch:
    """Submits and cancels the workers of one cluster, and keeps the record of their tags.

    ``directory`` is the cluster's job directory, ``env`` what its workers find in their environment. ``owed``
    holds ids of jobs whose cancellation the scheduler did not answer; :meth:`settle` asks again.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        owner: str,
        directory: Path,
        request: Request,
        env: Mapping[str, str],
    ):
        self.scheduler, self.owner, self.directory = scheduler, owner, directory
        self.request, self.env = request, dict(env)
        self.tags: dict[str, str] = {}
        self.owed: set[str] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._recording = asyncio.Lock()

    async def submit(self, tag: str, name: str, command: list[str]) -> str:
        """Submit a worker and return its job id. Raises SchedulerError."""
        job = Job(
            tag=tag,
            owner=self.owner,
            kind="worker",
            request=self.request,
            command=tuple(command),
            env=self.env,
            title=name,
            parent=self.directory.name,
        )
        async with self._recording:
            # Before the submission: a controller that is killed in between leaves a trace to follow.
            self.tags[tag] = name
            await asyncio.to_thread(write_workers, self.directory, self.tags)
        async with self._turn:
            for attempt in range(1, TRIES + 1):
                try:
                    return (await self.scheduler.submit(job))[0]
                except Unreachable:
                    if attempt == TRIES:
                        raise
                    await asyncio.sleep(2**attempt)
        raise AssertionError("unreachable")

    async def cancel(self, ids: list[str]) -> None:
        """Cancel these jobs now, or when the scheduler answers again."""
        self.owed.update(ids)
        await self.settle()

    async def settle(self) -> None:
        if ids := sorted(self.owed):
            try:
                await self.scheduler.cancel(self.owner, ids)
            except SchedulerError:
                return
            self.owed.difference_update(ids)


class WorkerJob(JobQueueJob):
    """One worker, started and closed through our scheduler instead of commands of a queueing system.

    ``refusal`` is why the submission failed, in words, else empty. Failing is no exception here: dask would
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
        self.launch, self.tag, self.refusal = launch, new_tag("worker"), ""
        self.asked = False  # whether its submission has begun

    async def start(self) -> None:
        command = worker_command(
            self.scheduler, str(self.name), self.launch.request, self.launch.directory
        )
        self.asked = True
        try:
            self.job_id = await self.launch.submit(self.tag, str(self.name), command)
        except SchedulerError as error:
            self.refusal = str(error)
        await ProcessInterface.start(self)

    async def close(self) -> None:
        if self.job_id:
            await self.launch.cancel([self.job_id])
        await ProcessInterface.close(self)


def worker_command(address: str, name: str, request: Request, directory: Path) -> list[str]:
    """The argument list that starts a worker of the cluster with this job directory."""
    tls = directory / TLS
    return [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--tls-ca-file",
        str(tls / "ca.pem"),
        "--tls-cert",
        str(tls / "worker.pem"),
        "--tls-key",
        str(tls / "worker.key"),
        "--name",
        name,
        "--nthreads",
        str(request.cpus),
        "--memory-limit",
        str(memory_limit(request.memory)),
        "--worker-class",
        "shopfloor_lab.clusters.silent.Worker",
        "--no-dashboard",
        "--death-timeout",
        str(DEATH_TIMEOUT),
        # Not the node's /tmp: that is shared, and dask-scratch-space in it belongs to whoever came first.
        "--local-directory",
        str(directory / SCRATCH),
    ]


def memory_limit(memory: int) -> int:
    """What dask may use of a job's memory, in bytes.

    The job's limit counts the nanny and the runner too, and whoever reaches it is ended by the system without
    a word. dask spills, pauses and restarts a worker at its own limit, so that one must come first.
    """
    return memory - max(128 * MB, memory // 16)
