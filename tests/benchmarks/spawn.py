"""`make bench NAME=spawn`: click → ready for Shopfloor, for stock batchspawner, and for Slurm alone, on one real Slurm.

The ways (_spawn_ways.py) take turns, first with one server at a time, then with many at once; nothing of one is left
when the next begins. One round before the first is not counted: it brings the software into the page cache.
Human words go to stderr; the last line of stdout is one flat JSON object, times in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks._spawn_ways import (
    CPUS,
    MEMORY_MB,
    MINUTES,
    Floor,
    HubWay,
    Place,
    StartFailed,
    Way,
    stock_hub,
)
from tests.cases import end_case, slurm_case
from tests.cluster import requirements
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.layout import NODES
from tests.cluster.people import PEOPLE
from tests.software import ensure_software
from tests.stock.hub import remove_logs

SHOPFLOOR, STOCK, SRUN, SBATCH = "shopfloor", "batchspawner", "srun", "sbatch"
CLEAR = "unencrypted"  # Shopfloor with tls = false, where it is asked for
INTERVAL, BURST_INTERVAL = 0.02, 0.1  # seconds between two looks whether a server answers
PATIENCE, BURST_PATIENCE = 90, 300  # seconds after which a start counts as failed
NAMED_SERVERS = 5  # of one person, in Shopfloor's default limits


@dataclass
class Results:
    """Seconds by way, a failed start as None; of a burst, until all of its servers were ready."""

    single: dict[str, list[float | None]] = field(default_factory=dict)
    burst: dict[str, list[float | None]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def median(self, table: dict[str, list[float | None]], way: str) -> float | None:
        good = [seconds for seconds in table.get(way, []) if seconds is not None]
        return statistics.median(good) if good else None

    def summary(self, burst: int) -> dict[str, float | int | None]:
        """The flat object that is printed; None where there is nothing to divide."""
        single = {way: self.median(self.single, way) for way in self.single}
        many = {way: self.median(self.burst, way) for way in self.burst}
        found: dict[str, float | int | None] = {
            "ratio_single": ratio(single.get(SHOPFLOOR), single.get(SRUN)),
            "ratio_single_sbatch": ratio(single.get(SHOPFLOOR), single.get(SBATCH)),
            "ratio_single_batchspawner": ratio(single.get(SHOPFLOOR), single.get(STOCK)),
            f"ratio_burst{burst}": ratio(many.get(SHOPFLOOR), many.get(SBATCH)),
            f"ratio_burst{burst}_batchspawner": ratio(many.get(SHOPFLOOR), many.get(STOCK)),
        }
        if CLEAR in self.single:
            found["ratio_single_tls"] = ratio(single.get(SHOPFLOOR), single.get(CLEAR))
            found[f"ratio_burst{burst}_tls"] = ratio(many.get(SHOPFLOOR), many.get(CLEAR))
        found |= {f"{way}_s": rounded(seconds) for way, seconds in single.items()}
        found |= {f"{way}_burst{burst}_s": rounded(seconds) for way, seconds in many.items()}
        found["failed"] = self.failed.get(SHOPFLOOR, 0)
        found["failed_batchspawner"] = self.failed.get(STOCK, 0)
        return found


def ratio(one: float | None, other: float | None) -> float | None:
    return rounded(one / other) if one is not None and other else None


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def capacity() -> int:
    """How many servers of this request all nodes hold at once."""
    return sum(min(node.memory // MEMORY_MB, node.cpus // CPUS) for node in NODES)


def places(count: int) -> list[Place]:
    """Servers of as many people as possible, every third on the one CPU node and the others on the two GPU nodes."""
    people = [person.name for person in PEOPLE if person.accounts]
    return [
        Place(
            person=people[index % len(people)],
            server=f"s{index // len(people)}" if index >= len(people) else "",
            partition="gpu" if index % 3 else "cpu",
        )
        for index in range(count)
    ]


def wait_for(
    way: Way, place: Place, began: float, interval: float, patience: float, ended: threading.Event
) -> float:
    """Start a server and return the seconds from ``began`` until it was ready. Raises StartFailed."""
    way.start(place)
    while not way.ready(place, interval):
        if time.monotonic() - began > patience:
            raise StartFailed(f"not ready after {patience} s")
        if ended.wait(interval):
            raise StartFailed("interrupted")
    return time.monotonic() - began


def measure(
    label: str,
    way: Way,
    wanted: Sequence[Place],
    interval: float,
    patience: float,
    results: Results,
) -> float | None:
    """Seconds until all of the servers, started at once, were ready; None if one was not.

    Says so after ``label``, and ends them.
    """
    ended = threading.Event()
    try:
        with ThreadPoolExecutor(len(wanted)) as pool:
            began = time.monotonic()
            waits = [
                pool.submit(wait_for, way, place, began, interval, patience, ended)
                for place in wanted
            ]
            try:
                wait(waits)
            finally:
                ended.set()
        failures = [error for one in waits if (error := one.exception())]
        for error in failures:
            if not isinstance(error, StartFailed):
                raise error
            say(f"  {way.name}: a start failed: {error}")
        results.failed[way.name] = results.failed.get(way.name, 0) + len(failures)
        seconds = None if failures else max(one.result() for one in waits)
        say(f"{label}: {way.name:<13}{told(seconds)}{load()}")
        return seconds
    finally:
        way.end(wanted)


def run(ways: dict[str, Way], rounds: int, burst: int, burst_rounds: int) -> Results:
    """All measurements; a way that serves no burst (srun) is left out of those."""
    results, alone = Results(), [Place("alice", "", "cpu")]
    for way in ways.values():
        measure("Not counted", way, alone, INTERVAL, PATIENCE, Results())
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            seconds = measure(f"Round {number}", way, alone, INTERVAL, PATIENCE, results)
            results.single.setdefault(name, []).append(seconds)
    for number in range(1, burst_rounds + 1):
        for name in (one for one in (SHOPFLOOR, CLEAR, STOCK, SBATCH) if one in ways):
            label = f"{burst} at once, {number}"
            seconds = measure(
                label, ways[name], places(burst), BURST_INTERVAL, BURST_PATIENCE, results
            )
            results.burst.setdefault(name, []).append(seconds)
    return results


def told(seconds: float | None) -> str:
    return " failed" if seconds is None else f"{seconds:6.2f} s"


def load() -> str:
    return f"   (load {os.getloadavg()[0]:.1f})"


@contextlib.contextmanager
def all_ways(cluster: Cluster, prefix: Path, clear: bool) -> Iterator[dict[str, Way]]:
    """The hubs running on the cluster, and the floors beside them; stops what it started.

    ``clear`` adds a hub of ours that encrypts nothing.
    """
    with contextlib.ExitStack() as stack:
        ours = {SHOPFLOOR: slurm_case(cluster, prefix)}
        stack.callback(end_case, ours[SHOPFLOOR])
        if clear:
            ours[CLEAR] = slurm_case(cluster, prefix, keys="tls = false")
            stack.callback(end_case, ours[CLEAR])
        stock = stock_hub(cluster, prefix)
        stack.callback(stock.remove)
        stack.callback(stock.stop)
        stack.callback(remove_logs)
        for hub in (*(case.hub for case in ours.values()), stock):
            for person in PEOPLE:
                if person.accounts:
                    hub.add_user(person.name)
        asked = {"cpus": CPUS, "memory": f"{MEMORY_MB}M", "time": f"{MINUTES}m"}
        yield {
            **{name: HubWay(name, case.hub, cluster, asked) for name, case in ours.items()},
            SRUN: Floor(SRUN, cluster, prefix),
            SBATCH: Floor(SBATCH, cluster, prefix),
            # Stock batchspawner's request stands in its configuration; of the options only the partition changes.
            STOCK: HubWay(STOCK, stock, cluster, {}),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=5, help="with one server at a time (default 5)"
    )
    parser.add_argument("--burst", type=int, default=20, help="servers at once (default 20)")
    parser.add_argument(
        "--burst-rounds", type=int, default=1, help="bursts of each way (default 1)"
    )
    parser.add_argument(
        "--clear",
        action="store_true",
        help="also without encryption between hub and nodes, to tell its cost",
    )
    chosen = parser.parse_args()
    people = sum(bool(person.accounts) for person in PEOPLE)
    most = min(capacity(), people * (1 + NAMED_SERVERS))
    if chosen.rounds < 1 or not 1 <= chosen.burst <= most or chosen.burst_rounds < 0:
        parser.error(f"--rounds is at least 1, --burst from 1 to {most}, --burst-rounds at least 0")
    say(
        f"Request: {CPUS} CPU, {MEMORY_MB} MB, {MINUTES} min; singles in partition cpu, bursts in both."
    )
    try:
        requirements.check()
        prefix = ensure_software()
        with Cluster(say=say) as cluster, all_ways(cluster, prefix, chosen.clear) as ways:
            results = run(ways, chosen.rounds, chosen.burst, chosen.burst_rounds)
            slurm_start = ways[SBATCH].slurm_start()
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    summary = results.summary(chosen.burst)
    summary["slurm_start_s"] = rounded(slurm_start)
    print(json.dumps(summary))
    return 1 if summary["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
