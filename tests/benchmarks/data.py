"""`make bench NAME=data`: a cluster of ours and plain Dask: h2o's groupby, and a table larger than memory.

Two workers of 1 GB each on this machine, once as Shopfloor starts them (jobs of their own, TLS), once as dask's
LocalCluster (no TLS), both there all the time and idle while the other works. They take turns; every answer is held
against the one that pandas gives piece by piece. Human words go to stderr; the last line of stdout is one flat JSON
object, with times in seconds, ratios as plain Dask's time over ours, and in MB the largest memory that a worker's
process ever had.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from distributed import Client, LocalCluster
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.command import memory_limit

from tests.benchmarks import _data_jobs as jobs
from tests.lab.cluster_parts import Person

ROOT = Path(__file__).parents[2]
OURS, PLAIN = "shopfloor", "plain"
WORKERS, MEMORY = 2, 1024**3
GROUPS = 100  # h2o's K
FILES = 20
Answers = Mapping[str, pd.DataFrame]


@dataclass
class Way:
    """A cluster that the jobs run on, and what they took."""

    name: str
    client: Client
    seconds: dict[str, list[float]] = field(default_factory=dict)
    on_disk: int = 0
    peak: int = 0
    killed: int = 0

    def measure(self, job: str, work: Callable[[Client], Answers]) -> Answers:
        """Run a job, and note its time, the largest memory of a worker, and workers that it cost."""
        workers = self._workers()
        for process in workers:
            forget_peak(process)
        began = time.perf_counter()
        answers = work(self.client)
        self.seconds.setdefault(job, []).append(time.perf_counter() - began)
        left = self._workers()
        self.killed += len(workers - left)
        self.peak = max([self.peak, *(peak_of(process) for process in left)])
        return answers

    def _workers(self) -> set[int]:
        return set(self.client.run(os.getpid).values())


def forget_peak(process: int) -> None:
    """From now on the kernel counts this process's largest memory anew (proc(5), clear_refs)."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_of(process: int) -> int:
    """The largest resident memory of a process in bytes, mapped files included."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Way]:
    """A cluster as the panel starts it, on the local scheduler."""
    person = Person(folder / "shopfloor")
    os.environ["PYTHONPATH"] = str(ROOT)  # its workers import the jobs from there
    asked = {"memory": MEMORY, "cpus": 1, "time": 6 * 3600}
    try:
        asyncio.run(person.start(person.lab(), WORKERS, request=asked))
        with connect(home=person.home) as client:
            yield Way(OURS, client)
    finally:
        asyncio.run(person.scheduler.stop_all())


@contextlib.contextmanager
def plain(folder: Path) -> Iterator[Way]:
    """The same workers, as dask starts them."""
    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            memory_limit=memory_limit(MEMORY),
            dashboard_address=None,
            local_directory=str(folder / "plain"),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield Way(PLAIN, client)


def take_turns(
    ways: list[Way], job: str, pairs: int, work: Callable[[Way], Answers], reference: Answers
) -> None:
    """One round that is not counted, then so many pairs, the first of a pair in turn. Raises Differs."""
    for way in ways:
        way.seconds[job] = []
    if not pairs:
        return
    for way in ways:
        jobs.check(work(way), reference)
        way.seconds[job].clear()
    for number in range(pairs):
        for way in ways if number % 2 else ways[::-1]:
            jobs.check(work(way), reference)
        times = ", ".join(f"{way.name} {way.seconds[job][-1]:.2f} s" for way in ways)
        say(f"{job} {number + 1}: {times}   (load {os.getloadavg()[0]:.1f})")


def speed(mine: Way, other: Way, job: str) -> float | None:
    """The median over all pairs of the other's time over mine; None where there was none."""
    pairs = zip(mine.seconds[job], other.seconds[job], strict=True)
    ratios = [theirs / own for own, theirs in pairs]
    return statistics.median(ratios) if ratios else None


def summary(mine: Way, other: Way, wide: jobs.Wide, rows: int) -> dict[str, Any]:
    speeds = {job: speed(mine, other, job) for job in ("groupby", "spill")}
    known = [one for one in speeds.values() if one is not None]
    found: dict[str, Any] = {"ratio_plain_dask": round(min(known), 3) if known else None}
    for job, ratio in speeds.items():
        found[f"ratio_{job}"] = None if ratio is None else round(ratio, 3)
        found[f"pairs_{job}"] = len(mine.seconds[job])
        for way in (mine, other):
            times = way.seconds[job]
            found[f"{job}_{way.name}_s"] = round(statistics.median(times), 2) if times else None
    found |= {"rows": rows, "groups": GROUPS, "spill_gb": round(wide.bytes / jobs.GB, 2)}
    for way in (mine, other):
        found[f"on_disk_{way.name}_gb"] = round(way.on_disk / jobs.GB, 2)
        found[f"peak_worker_{way.name}_mb"] = round(way.peak / 1024**2)
        found[f"workers_killed_{way.name}"] = way.killed
    return found


def run(folder: Path, rows: int, size: float, pairs: int, spill_pairs: int) -> dict[str, Any]:
    """Both jobs on both clusters. Raises Differs."""
    table, wide = folder / "h2o", jobs.wide_of(size)
    say(
        f"Writing {rows:,} rows, and answering them and {wide.bytes / jobs.GB:.2f} GB in one process …"
    )
    jobs.generate(table, rows, GROUPS, FILES)
    groupby_reference = jobs.groupby_reference(table) if pairs else {}
    spill_reference = jobs.spill_reference(wide) if spill_pairs else {}
    with ours(folder) as mine, plain(folder) as other:

        def groupby(way: Way) -> Answers:
            return way.measure("groupby", lambda client: jobs.groupby(client, table))

        def spill(way: Way) -> Answers:
            def work(client: Client) -> Answers:
                answers, on_disk = jobs.spill(client, wide)
                way.on_disk = max(way.on_disk, on_disk)
                return answers

            return way.measure("spill", work)

        take_turns([mine, other], "groupby", pairs, groupby, groupby_reference)
        take_turns([mine, other], "spill", spill_pairs, spill, spill_reference)
        return summary(mine, other, wide, rows)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10**7, help="of h2o's table (default 10000000)")
    parser.add_argument(
        "--gb", type=float, default=5.2, help="that the spill job holds (default 5.2; 1 GB is 10^9)"
    )
    parser.add_argument("--pairs", type=int, default=9, help="of the groupby (default 9; 0: none)")
    parser.add_argument(
        "--spill-pairs", type=int, default=9, help="of the spill job (default 9; 0: none)"
    )
    chosen = parser.parse_args()
    if chosen.rows < FILES * GROUPS or chosen.gb <= 0 or min(chosen.pairs, chosen.spill_pairs) < 0:
        parser.error(f"--rows is at least {FILES * GROUPS}, --gb above 0, pairs at least 0")
    # Our cluster outlives whoever started it: who ends this from outside shall not leave it behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as folder:
        try:
            found = run(
                Path(folder), chosen.rows, chosen.gb * jobs.GB, chosen.pairs, chosen.spill_pairs
            )
        except jobs.Differs as error:
            say(f"An answer is wrong: {error}")
            return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
