"""A worker as dask-jobqueue sees it and as a job of ours; workers.py starts and closes them in the controller."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dask_jobqueue.core import Job as JobQueueJob
from distributed.deploy.spec import ProcessInterface
from shopfloor_jobs.request import Request

from . import named
from .connection import SCRATCH, TLS
from .launch import Launch, Place

DEATH_TIMEOUT = 45  # seconds without the controller after which a worker ends by itself
MB = 1024**2


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


def worker_command(
    address: str, names: Sequence[str], request: Request, directory: Path
) -> list[str]:
    """The argument list that starts workers of the cluster with this job directory, copy ``i`` as ``names[i]``."""
    tls = directory / TLS
    return [
        sys.executable,
        "-IS",
        str(Path(named.__file__).resolve()),
        ",".join(names),
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
