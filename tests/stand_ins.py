"""Jobs that stand for kernels, Dask clusters and their workers: with their names and nothing of them inside."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from shopfloor_jobs.job import Job, family_of, new_tag
from shopfloor_jobs.request import Request

from .cases import Case

SLEEPS = ("import time; time.sleep(600)",)
LONGEST = 10  # minutes


def stand_in(
    case: Case,
    person: str,
    kind: str,
    *,
    cluster: str = "",
    count: int = 1,
    more: Sequence[str] = (),
) -> str:
    """Have it run, or wait; returns its tag. ``cluster`` is whose worker it is, ``more`` are options of ``sbatch``."""
    tag = new_tag(kind, family_of(cluster) if cluster else "")
    if case.cluster:
        copies = [f"--array=0-{count - 1}"] if count > 1 else []
        command = ["sbatch", "--parsable", f"--job-name={tag}", f"--time={LONGEST}", "--mem=50"]
        command += ["--output=/dev/null", *copies, *(more or ["--partition=cpu"])]
        case.cluster.run([*command, "--wrap=exec sleep 600"], user=person, check=True)
        return tag
    job = Job(
        tag=tag,
        owner=person,
        kind=kind,
        request=Request(cpus=1, memory=64 * 1024**2, time=LONGEST * 60),
        command=(sys.executable, "-c", *SLEEPS),
    )
    asyncio.run(case.scheduler.submit(job, count))
    return tag
