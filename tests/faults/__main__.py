"""``make faults``: runs the rows of the fault table many times, goes on where it was cut, prints what it found.

A round is one pytest run, with a cluster of its own, of the rows that still lack a run; recorder.py writes down
each result. Results lie in ``.faults/``, of one commit only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import recorder
from .results import ROOT, is_chosen, read, results_file

A_MINUTE, LONG_TIMES = 60, 3  # rows that need a minute or more are run at most so often
INTERRUPTED = 2  # pytest's exit status


@dataclass(frozen=True)
class Row:
    """One test of the table; ``times`` is how often it shall run."""

    id: str
    row: int
    what: str
    times: int


def rows(found: Sequence[dict[str, Any]], times: int, only: str) -> list[Row]:
    """The chosen rows, in the table's order. ``only``: ``1-6,8``, or a pattern (re) on what and name; empty: all."""
    chosen = [
        Row(
            one["id"],
            one["row"],
            one["what"],
            min(times, LONG_TIMES) if one["seconds"] >= A_MINUTE else times,
        )
        for one in found
        if is_chosen(one["row"], f"{one['what']} {one['id']}", only)
    ]
    return sorted(chosen, key=lambda row: row.row)


def table(chosen: Sequence[Row], results: Sequence[dict[str, Any]]) -> str:
    """Row, what, runs, failures, and the median of the seconds."""
    lines = [f"{'row':>3}  {'runs':>4}  {'fail':>4}  {'median s':>8}  what"]
    for row in chosen:
        mine = [one for one in results if one["id"] == row.id]
        seconds = sorted(one["seconds"] for one in mine)
        median = f"{seconds[len(seconds) // 2]:.1f}" if seconds else "-"
        failures = sum(one["failed"] for one in mine)
        lines.append(f"{row.row:>3}  {len(mine):>4}  {failures:>4}  {median:>8}  {row.what}")
    return "\n".join(lines)


def missing(chosen: Sequence[Row], results: Sequence[dict[str, Any]]) -> list[str]:
    """Ids of the rows that have fewer runs than they shall."""
    return [row.id for row in chosen if _runs(row, results) < row.times]


def _runs(row: Row, results: Sequence[dict[str, Any]]) -> int:
    return sum(one["id"] == row.id for one in results)


def main() -> int:
    times, only = int(os.environ.get("TIMES") or 1), os.environ.get("ONLY") or ""
    file = results_file("results", fresh=bool(os.environ.get("FRESH")))
    chosen = rows(collect(), times, only)
    if not chosen:
        print(f"faults: no row is meant by ONLY={only}")
        return 2
    if results := read(file):
        print(f"faults: going on from {len(results)} results; FRESH=1 starts anew", flush=True)
    while ids := missing(chosen, read(file)):
        before = len(read(file))
        status = run_round(ids, file)
        if status == INTERRUPTED or len(read(file)) == before:
            print("faults: cut off; the same command goes on from here")
            break
    results = read(file)
    print(table(chosen, results))
    done = not missing(chosen, results)
    failed = any(one["failed"] for one in results if one["id"] in {row.id for row in chosen})
    return 0 if done and not failed else 1


def collect() -> list[dict[str, Any]]:
    """All fault tests, wherever they lie. Raises SystemExit with pytest's words when they cannot be collected."""
    with tempfile.NamedTemporaryFile() as listed:
        command = [*pytest_command(), "--collect-only", "-q", "tests"]
        environment = {**os.environ, recorder.LIST: listed.name}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return json.loads(Path(listed.name).read_text())


def run_round(ids: Sequence[str], file: Path) -> int:
    """One run of pytest; its exit status. Ctrl-C ends it in order, and us afterwards."""
    command = [*pytest_command(), "-q", *ids]
    environment = {**os.environ, recorder.RESULTS: str(file)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # the terminal has told it as well
        return INTERRUPTED


def pytest_command() -> list[str]:
    # Long rows are left out by pyproject.toml, which an own -m takes the place of.
    return [sys.executable, "-m", "pytest", "-p", "tests.faults.recorder", "-m", "fault"]


if __name__ == "__main__":
    sys.exit(main())
