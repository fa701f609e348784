"""What this server's job was given, from its directory and environment; nothing where there is no job."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopfloor_jobs import directory
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.request import Request


@dataclass(frozen=True)
class Given:
    """The job began at ``began``, the scheduler ends it at ``ends``, and asks it to end at ``stops``: epoch seconds.

    ``kept_by_runner`` says that the whole job is ended when it uses more memory than it asked for; where it is
    not, the kernel of the node ends the largest program. ``project`` is what the scheduler charges, where it says so.
    """

    directory: Path
    index: int
    tag: str
    request: Request
    ends: float
    stops: float
    rule: Rule
    kept_by_runner: bool
    visible_gpus: str = ""
    slurm_job: str = ""
    began: float = 0.0
    project: str = ""


def given(environment: Mapping[str, str]) -> Given | None:
    """What this server's job was given; None where it was not started as a job.

    Raises OSError, ValueError or KeyError for a job's directory that is not as the runner leaves it.
    """
    if not environment.get("SHOPFLOOR_JOB_DIR"):
        return None
    path, index = Path(environment["SHOPFLOOR_JOB_DIR"]), int(environment["SHOPFLOOR_INDEX"])
    job = directory.read_json(path / "request.json")
    if job is None:
        raise ValueError(f"{path / 'request.json'} is no record of a job")
    request = Request.from_json(job["request"])
    started = directory.start_record(path, index) or {}
    ends = float(environment.get("SHOPFLOOR_ENDS") or time.time() + request.time)
    return Given(
        directory=path,
        index=index,
        tag=job["tag"],
        request=request,
        ends=ends,
        stops=float(started.get("stops", ends)),
        rule=Rule.from_environment(environment),
        kept_by_runner=bool(job["runner"]["memory"]),
        visible_gpus=environment.get("CUDA_VISIBLE_DEVICES", ""),
        slurm_job=environment.get("SLURM_JOB_ID", ""),
        began=float(started.get("started", time.time())),
        project=request.account or environment.get("SLURM_JOB_ACCOUNT", ""),
    )
