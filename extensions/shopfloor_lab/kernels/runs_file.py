"""The file in which recorder.py keeps what a kernel's cells printed, read by the Lab server when the job is over."""

from __future__ import annotations

import json
from pathlib import Path

from shopfloor_jobs.directory import open_plain

from .runs import LIMIT, MALFORMED, Run

FILE = "outputs.json"
LARGEST_FILE = 6 * LIMIT  # bytes; what JSON makes of a control character has six


def read_runs(path: Path) -> list[Run]:
    """What the kernel of the job with this directory had printed when the job ended; none where nothing is known.

    A run of which nobody saw the end is done, and has no time of it. Raises OSError for what is no plain file.
    """
    try:
        with open_plain(path / FILE) as file:
            text = file.read(LARGEST_FILE + 1)
        runs: list[Run] = json.loads(text)["runs"] if len(text) <= LARGEST_FILE else []
        return [
            {**run, "state": "done", "broken": run.get("broken", False) or run["ended"] is None}
            for run in runs
        ]
    except (FileNotFoundError, *MALFORMED):
        return []


def forget_runs(path: Path) -> None:
    """Remove what the job's kernel printed, and what was left of writing it. Raises OSError."""
    for one in [path / FILE, *path.glob(f".{FILE}.*")]:
        one.unlink(missing_ok=True)


def has_outputs(path: Path) -> bool:
    """Whether the job's kernel left something for a notebook; so it is where nobody knows, for the home is away."""
    try:
        return any(run["cell"] and (run["outputs"] or run["broken"]) for run in read_runs(path))
    except OSError:
        return True
