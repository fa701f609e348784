"""`make bench NAME=runner`: what the runner beside a job costs it: until its command begins, and after that has ended.

The same command is started with the runner and without, in turns, on this machine; it prints when it began and ended
(the kernel's monotonic clock, which all processes share). Human words go to stderr; the last line of stdout is one flat
JSON object, in milliseconds: medians with the runner less those without.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_jobs import directory
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.request import Request

PYTHON = "/usr/bin/python3"
CLOCK = "import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))"
COMMAND = (PYTHON, "-IS", "-c", CLOCK)


@dataclass(frozen=True)
class Taken:
    """Milliseconds until the command's first line of code, and from there until whoever started it knows of its end."""

    before: float
    after: float


def measure(command: Sequence[str]) -> Taken:
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    ended = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    ran = int(done.stdout.splitlines()[0])
    return Taken((ran - began) / 1e6, (ended - ran) / 1e6)


def with_runner(home: Path) -> Sequence[str]:
    """The command that runs a job of this one, as Slurm's batch script does: limits are Slurm's."""
    job = Job(new_tag("server"), "alice", "server", Request(), COMMAND, secrets={"TOKEN": "t" * 32})
    limits = {"memory": None, "time": None, "grace": 10}
    return directory.runner_command(PYTHON, directory.prepare(home, job, limits, PYTHON), 0)


def median(found: Sequence[float]) -> float:
    return round(statistics.median(found), 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="of both ways (default 50)")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error("--rounds is at least 1")
    alone: list[Taken] = []
    beside: list[Taken] = []
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as home:
            ways = [(alone, COMMAND), (beside, with_runner(Path(home)))]
            for found, command in ways if number % 2 else ways[::-1]:
                taken = measure(command)
                if number:  # the first round only fills caches
                    found.append(taken)
    before = [median([one.before for one in found]) for found in (alone, beside)]
    after = [median([one.after for one in found]) for found in (alone, beside)]
    print(f"alone {before[0]} ms, with the runner {before[1]} ms", file=sys.stderr)
    print(
        json.dumps(
            {
                "runner_start_ms": round(before[1] - before[0], 1),
                "runner_end_ms": round(after[1] - after[0], 1),
                "alone_start_ms": before[0],
                "rounds": rounds,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
