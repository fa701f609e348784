"""What Slurm lets a person, a project or a QOS have at once, from what its commands print; slurm_accounts.py asks.

Limits of one job (MaxTRESPerJob) are sbatch's to refuse, and those of a period (GrpTRESMins) are a project's budget.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .caps import Cap

QOS = (
    "sacctmgr",
    "--noheader",
    "--parsable2",
    "show",
    "qos",
    "format=Name,GrpTRES,GrpJobs,MaxTRESPU,MaxJobsPU",
)
_TRES = {"gres/gpu": "gpus", "cpu": "cpus", "mem": "memory"}
_UNITS = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2, "P": 1024**3}  # of megabytes
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)(?:\(.*\))?")
_MB = 1024**2


def of_association(pairs: Mapping[str, str]) -> dict[str, int]:
    """The limits of one line of ``scontrol show assoc_mgr``, by kind."""
    return _limits(pairs.get("GrpTRES", ""), (pairs.get("GrpJobs", ""), pairs.get("MaxJobs", "")))


def of_qos(text: str) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """By name of the QOS: what all with it may have together, and what each person may."""
    found = {}
    for line in text.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) == 5:
            name, together, jobs, each, jobs_each = columns
            found[name] = _limits(together, (jobs,)), _limits(each, (jobs_each,))
    return found


def caps(whose: str, limits: Mapping[str, int], **holds: object) -> list[Cap]:
    return [Cap(kind, most, whose, **holds) for kind, most in limits.items()]  # type: ignore[arg-type]


def _limits(tres: str, jobs: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in tres.split(","):
        name, _, text = part.partition("=")
        if name in _TRES and (amount := _amount(text)) is not None:
            found[_TRES[name]] = round(amount * _MB) if name == "mem" else round(amount)
    counts = [amount for text in jobs if (amount := _amount(text)) is not None]
    return {**found, "jobs": round(min(counts))} if counts else found


def _amount(text: str) -> float | None:
    """A number before what is in use (``4(1)``); None for N, which is no limit, and where nothing is printed."""
    if not (match := _AMOUNT.fullmatch(text)):
        return None
    return float(match[1]) * _UNITS[match[2]]
