"""`make bench NAME=cluster`: click → first task on a new Dask cluster, for us, for srun alone and for dask-jobqueue.

The ways (_cluster_ways.py) take turns on one real Slurm; nothing of one is left when the next begins, and a first
round is not counted. Then: time to 2 and 8 workers, the sbatch calls for 100 (stubs), tasks that do nothing against
dask's LocalCluster with TLS, and the bytes that an idle open panel receives. ``--parts`` chooses among these.
Human words go to stderr; the last line of stdout is one flat JSON object, times in seconds, medians, each with its
spread (between the quartiles), its runs, and those of them that failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks._cluster_ways import (
    PERSON,
    Floor,
    JobQueue,
    Lab,
    Notebook,
    Ours,
    Way,
    WayFailed,
)
from tests.benchmarks._panel import bytes_per_minute
from tests.cases import Case, end_case, slurm_case
from tests.cluster import requirements
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.slurm_conf import Settings
from tests.faults.commands import Commands
from tests.harness import wait_until
from tests.software import ensure_software

PARTS = ("first_task", "workers", "sbatch", "throughput", "panel")
CLAIMED = Settings(cpus=200, memory=120_000)  # so that 100 workers find a place
SIZES = (2, 8)
MANY = 100
STARTS_WITHIN = 120  # seconds for the jobs of so many stubs
WORKERS = 2  # for throughput and panel
STUB = "#!/bin/sh\nexec sleep 600\n"
# sbatch for workers submits the stub in the place of what would start them: our arrays' runner, dask-jobqueue's script.
STUBBED = """\
array=
for word do case $word in --array=*) array=1 ;; esac; done
for word do
  shift
  case "$array$word" in 1*/script|*.sh) word=$here/stub ;; esac
  set -- "$@" "$word"
done
"""


@dataclass
class Series:
    """Values by way, a failed run as None."""

    values: dict[str, list[float | None]] = field(default_factory=dict)

    def add(self, way: str, value: float | None) -> None:
        self.values.setdefault(way, []).append(value)

    def good(self, way: str) -> list[float]:
        return [value for value in self.values.get(way, []) if value is not None]

    def median(self, way: str) -> float | None:
        good = self.good(way)
        return statistics.median(good) if good else None

    def summary(self, suffix: str) -> dict[str, float | int | None]:
        found: dict[str, float | int | None] = {}
        for way, values in self.values.items():
            good = self.good(way)
            found |= {
                f"{way}_{suffix}": rounded(self.median(way)),
                f"{way}_{suffix}_spread": rounded(spread(good)),
                f"{way}_{suffix}_runs": len(values),
                f"{way}_{suffix}_failed": len(values) - len(good),
            }
        return found

    def ratio(self, one: str, other: str) -> float | None:
        """Of the medians; None where a way has none."""
        above, below = self.median(one), self.median(other)
        return rounded(above / below) if above is not None and below else None


def spread(values: Sequence[float]) -> float | None:
    """Between the first and the third quartile; None for fewer than three values."""
    if len(values) < 3:
        return None
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def attempt(label: str, series: Series, way: str, action: Callable[[], float]) -> None:
    """Note what the action measures, or that it failed."""
    try:
        value = action()
    except (WayFailed, AssertionError) as error:
        say(f"{label}: {way:<12} failed: {error}")
        series.add(way, None)
        return
    series.add(way, value)
    say(f"{label}: {way:<12}{value:8.2f}   (load {os.getloadavg()[0]:.1f})")


def starts(ways: Sequence[Way], workers: int, rounds: int) -> Series:
    """Each way in turn, so many times after one round that does not count."""
    counted = Series()
    for number in range(rounds + 1):
        series = counted if number else Series()
        label = f"{workers} worker(s), round {number}" if number else "Not counted"
        for way in ways:
            # Slurm begins batch jobs once a second, srun's at once: people click at any moment of that second.
            time.sleep(random.random())
            try:
                attempt(label, series, way.name, lambda: way.start(workers))  # noqa: B023
            finally:
                way.end()
    return counted


def first_task(ours: Ours, others: Sequence[Way], rounds: int) -> dict[str, float | int | None]:
    ours.phases.clear()
    series = starts([ours, *others], 1, rounds)
    phases = ours.phases[1:]  # of the rounds that count
    found = {
        "ratio_first_task": series.ratio("shopfloor", "srun"),
        "ratio_first_task_jobqueue": series.ratio("shopfloor", "jobqueue"),
        **series.summary("first_task_s"),
    }
    if phases:
        # From asking Slurm to the first line of what runs: sbatch included, ours not.
        delays = [
            one[f"{who}_{runs}"] - one[f"{who}_submitted"]
            for one in renamed(phases)
            for who, runs in (("cluster", "runs"), ("workers", "runs"))
        ]
        found["slurm_start_s"] = rounded(statistics.median(delays))
        middle = {
            name: round(statistics.median(one[name] for one in phases), 2) for name in phases[0]
        }
        say(f"Since the click, in the median: {middle}")
    return found


def renamed(phases: Sequence[dict[str, float]]) -> Iterator[dict[str, float]]:
    for one in phases:
        yield {**one, "workers_runs": one["worker_runs"]}


def many_workers(ways: Sequence[Way], rounds: int) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {}
    for size in SIZES:
        found |= starts(ways, size, rounds).summary(f"{size}_workers_s")
    return found


def sbatch_calls(
    ours: Ours, jobqueue: JobQueue, commands: Commands, cluster: Cluster
) -> dict[str, float | int | None]:
    """Calls of sbatch from the click until all workers' jobs run, the controller's own included."""
    stub = commands.directory / "stub"
    stub.write_text(STUB)
    stub.chmod(0o755)

    def running() -> int:
        return sum(job["state"] == "RUNNING" for job in cluster.jobs())

    def count(begin: Callable[[], object], jobs: int) -> int:
        before = commands.calls("sbatch")
        begin()
        wait_until(lambda: running() == jobs, STARTS_WITHIN, f"{jobs} jobs run", 0.5)
        return commands.calls("sbatch") - before

    with commands.ordered("sbatch", STUBBED):
        try:
            ours_many = count(lambda: ours.post("bench-many", MANY), MANY + 2)  # Lab and controller
            # The cluster itself may have begun a moment later than they.
            wait_until(
                lambda: len(ours.shown()["workers"]["rows"]) == MANY,
                STARTS_WITHIN,
                "all are shown",
                0.5,
            )
        finally:
            ours.end()
        try:
            theirs = count(
                lambda: jobqueue.notebook.ask("jobqueue_scaled", *jobqueue.arguments, MANY),
                MANY + 1,
            )
        finally:
            jobqueue.end()
    say(f"sbatch calls for {MANY} workers: {ours_many}, dask-jobqueue {theirs}")
    return {f"sbatch_calls_{MANY}": ours_many, f"sbatch_calls_{MANY}_jobqueue": theirs}


def throughput(
    ours: Ours, notebook: Notebook, folder: Path, rounds: int, tasks: int
) -> dict[str, float | int | None]:
    """Tasks a second of equal workers; each way's is started anew for each of its turns."""
    series = Series()

    def measured() -> float:
        notebook.ask("throughput", tasks)  # warm: what is imported and connected by the first tasks
        return notebook.ask("throughput", tasks)["per_second"]

    def with_ours() -> float:
        ours.start(WORKERS)
        return measured()

    def with_local() -> float:
        notebook.ask("local", str(folder), WORKERS)
        return measured()

    for number in range(1, rounds + 1):
        label = f"Tasks per second, round {number}"
        try:
            attempt(label, series, "shopfloor", with_ours)
        finally:
            ours.end()
        try:
            attempt(label, series, "local", with_local)
        finally:
            notebook.ask("close")
    return {
        "ratio_throughput": series.ratio("shopfloor", "local"),
        **series.summary("tasks_per_second"),
    }


def idle_panel(ours: Ours, case: Case) -> dict[str, float | int | None]:
    try:
        ours.start(WORKERS)
        found = bytes_per_minute(case, PERSON)
    finally:
        ours.end()
    say(f"An idle open panel receives {found} bytes a minute")
    return {"panel_bytes_per_minute": found}


@contextlib.contextmanager
def counted_hub(cluster: Cluster, prefix: Path) -> Iterator[tuple[Case, Commands]]:
    """A hub whose Slurm commands are counted, and so are those of what it starts: they inherit its PATH."""
    directory = cluster.layout.run / f"bench-{os.urandom(4).hex()}"
    commands = Commands(directory, prefix / "bin" / "shopfloor-helper")
    case = slurm_case(
        cluster,
        prefix,
        helper=commands.helper,
        env={"PATH": f"{commands.bin}:{prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
    )
    try:
        yield case, commands
    finally:
        end_case(case)
        shutil.rmtree(directory)


def run(
    cluster: Cluster,
    prefix: Path,
    case: Case,
    commands: Commands,
    chosen: argparse.Namespace,
    parts: Sequence[str],
) -> dict[str, float | int | None]:
    with contextlib.ExitStack() as stack:
        notebook = Notebook(cluster, prefix, f"{commands.bin}:/usr/bin:/bin")
        stack.callback(notebook.end)
        lab = Lab(case)
        ours = Ours(lab, notebook)
        floor = Floor(cluster, prefix, lab, notebook)
        stack.callback(floor.remove)
        jobqueue = JobQueue(cluster, lab, notebook, floor.folder)
        actions: dict[str, Callable[[], dict[str, float | int | None]]] = {
            "first_task": lambda: first_task(ours, [floor, jobqueue], chosen.rounds),
            "workers": lambda: many_workers([ours, floor, jobqueue], chosen.worker_rounds),
            "sbatch": lambda: sbatch_calls(ours, jobqueue, commands, cluster),
            "throughput": lambda: throughput(
                ours, notebook, floor.folder, chosen.worker_rounds, chosen.tasks
            ),
            "panel": lambda: idle_panel(ours, case),
        }
        found: dict[str, float | int | None] = {}
        for part in parts:
            began = time.monotonic()
            found |= actions[part]()
            say(f"{part}: {time.monotonic() - began:.0f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)} (all)")
    parser.add_argument("--rounds", type=int, default=15, help="of click to first task (15)")
    parser.add_argument(
        "--worker-rounds", type=int, default=3, help="of each number of workers (3)"
    )
    parser.add_argument("--tasks", type=int, default=2000, help="that do nothing, at once (2000)")
    chosen = parser.parse_args()
    parts = chosen.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: {sorted(unknown)[0]} is none of {', '.join(PARTS)}")
    if min(chosen.rounds, chosen.worker_rounds, chosen.tasks) < 1:
        parser.error("--rounds, --worker-rounds and --tasks are at least 1")
    try:
        requirements.check()
        prefix = ensure_software()
        with (
            Cluster(settings=CLAIMED, say=say) as cluster,
            counted_hub(cluster, prefix) as (case, commands),
        ):
            found = run(cluster, prefix, case, commands, chosen, parts)
    except (ClusterError, WayFailed) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 1 if any(found[name] for name in found if name.endswith("_failed")) else 0


if __name__ == "__main__":
    sys.exit(main())
