"""Clusters whose scheduler runs beside the Lab server, where compute nodes may not submit jobs; sights.py asks here.

Such a cluster ends with the server's own job, whose time, memory and processes it shares.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir
from shopfloor_jobs.job import Job
from shopfloor_jobs.local import Local

LEAST = 60  # seconds that a job asks for, however soon the Lab server ends
ELSEWHERE = {"partition": "", "account": "", "qos": "", "reservation": ""}


def beside_lab(home: Path) -> Local:
    """The scheduler of what runs on Lab's node; what it knows lasts as long as the Lab server."""
    return Local(state=str(Path(jupyter_runtime_dir()) / "clusters"), home=str(home))


def within(job: Job, environment: Mapping[str, str]) -> Job:
    """The job as it runs in the Lab server's own, for no longer than that has left (its ``environment`` says so)."""
    request = replace(job.request, **ELSEWHERE)
    if "SHOPFLOOR_ENDS" in environment:
        left = max(LEAST, int(float(environment["SHOPFLOOR_ENDS"]) - time.time()))
        request = replace(request, time=min(request.time, left))
    return replace(job, request=request)
