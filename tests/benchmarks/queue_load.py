"""`make bench NAME=queue_load`: what a hub with many jobs and open pages asks of Slurm, and how old what it knows is.

For 10, 100 and 1,000 live jobs in turn, half of them waiting: stub servers that really report, through the real
helper, on a real Slurm; 300 waiting pages stay open. Every query is counted at the commands themselves; the sbatch and
scancel that people asked for are none. Human words go to stderr; the last line of stdout is one flat JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.cases import Case, end_case, slurm_case
from tests.cluster import requirements
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.people import PEOPLE
from tests.cluster.slurm_conf import Settings
from tests.faults.commands import Commands
from tests.harness import wait_until
from tests.software import ensure_software

STUB = Path(__file__).parents[1] / "faults" / "stub_server.py"
QUERIES = ("squeue", "scontrol", "sinfo", "sacct", "sacctmgr", "sshare", "sprio")
CLAIMED = Settings(cpus=2000, memory=200_000)
PAGES = 300
SETTLE = 20  # seconds between the last start and the first count
SITE = """
[limits]
named_servers = 200

[environments.stub]
path = "{stub}"

[[presets]]
name = "runs"
cpus = 1
memory = "64M"
time = "2h"
partition = "cpu"
environment = "stub"

[[presets]]
name = "waits"
cpus = 1
memory = "64M"
time = "2h"
partition = "gpu"
environment = "stub"
"""


@dataclass(frozen=True)
class Place:
    """The server with this number: whose, its name, and whether it is to run or to wait."""

    number: int

    @property
    def person(self) -> str:
        people = [person.name for person in PEOPLE if person.accounts]
        return people[self.number // 2 % len(people)]

    @property
    def server(self) -> str:
        return f"s{self.number}"

    @property
    def runs(self) -> bool:
        return self.number % 2 == 0


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@contextlib.contextmanager
def counted_hub(cluster: Cluster, prefix: Path) -> Iterator[tuple[Case, Commands]]:
    """A hub whose Slurm commands are counted; what it started is gone afterwards."""
    directory = cluster.layout.run / f"load-{os.urandom(4).hex()}"
    commands = Commands(directory, prefix / "bin" / "shopfloor-helper", QUERIES)
    program = directory / "stub" / "bin" / "shopfloor-singleuser"
    program.parent.mkdir(parents=True)
    program.write_text(STUB.read_text())
    program.chmod(0o755)
    case = slurm_case(
        cluster,
        prefix,
        extra=SITE.format(stub=directory / "stub"),
        helper=commands.helper,
        env={"PATH": f"{commands.bin}:{prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
    )
    try:
        yield case, commands
    finally:
        case.hub.stop()
        for name in ("cpu", "gpu"):
            cluster.run(["scancel", f"--partition={name}"])
        wait_until(lambda: not cluster.jobs(), 600, "no job is left", 1)
        end_case(case)
        shutil.rmtree(directory)


@contextlib.contextmanager
def full_gpu_nodes(cluster: Cluster) -> Iterator[None]:
    """Somebody else has both GPU nodes, so that what asks for them waits."""
    ids = []
    for node in ("gpu01", "gpu02"):
        command = ["sbatch", "--parsable", "-p", "gpu", "-w", node, "--exclusive", "--mem=0"]
        command += ["--time=480", "--wrap=sleep 28800"]
        ids.append(cluster.run(command, user="dave", check=True).stdout.strip())
    wait_until(
        lambda: all(cluster.job_state(one) == "RUNNING" for one in ids), 60, "the nodes are full"
    )
    yield


def start(case: Case, places: list[Place]) -> int:
    """Start these servers and wait for them; the number of starts that were refused."""

    def one(place: Place) -> bool:
        preset = {"preset": "runs" if place.runs else "waits"}
        answer = case.hub.start_server(place.person, preset, place.server)
        if answer.status_code not in (201, 202):
            say(f"  refused: {answer.status_code} {answer.text[:200]}")
        return answer.status_code in (201, 202)

    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(one, places)).count(False)
    return refused


def states(case: Case) -> tuple[int, int]:
    """How many servers are ready, and how many wait with a job of theirs."""
    ready = waiting = 0
    for user in case.hub.api("GET", "users?limit=100").json():
        for server in user["servers"].values():
            ready += bool(server["ready"])
            job = ((server.get("state") or {}).get("shopfloor") or {}).get("job_id")
            waiting += server["pending"] == "spawn" and bool(job)
    return ready, waiting


class OpenPages(threading.Thread):
    """So many waiting pages, each with its stream of events, for as long as ``stop`` is not called."""

    def __init__(self, case: Case, tokens: dict[str, str], places: list[Place], count: int):
        super().__init__(daemon=True)
        self.case, self.tokens = case, tokens
        self.places = [places[number % len(places)] for number in range(count)]
        self.open = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all: asyncio.Task[None] | None = None

    def run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._keep_all())

    async def _keep_all(self) -> None:
        self._loop, self._all = asyncio.get_running_loop(), asyncio.current_task()
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._keep(session, place) for place in self.places))

    async def _keep(self, session: aiohttp.ClientSession, place: Place) -> None:
        url = f"{self.case.hub.url}/hub/api/users/{place.person}/servers/{place.server}/progress"
        headers = {"Authorization": f"token {self.tokens[place.person]}"}
        while True:
            async with session.get(url, headers=headers) as answer:
                self.open += 1
                try:
                    async for _ in answer.content:
                        pass
                finally:
                    self.open -= 1
            await asyncio.sleep(1)  # as the page does

    def stop(self) -> None:
        assert self._loop is not None and self._all is not None
        self._loop.call_soon_threadsafe(self._all.cancel)
        self.join(30)


def measure(case: Case, commands: Commands, token: str, seconds: float) -> dict[str, float]:
    """Queries and RPCs a minute, staleness, and what the hub itself takes, over so many seconds."""
    pid = case.hub.hub.pid
    calls, rpcs, cpu, began = count(commands), slurm_rpcs(case), cpu_seconds(pid), time.monotonic()
    ages = []
    while time.monotonic() - began < seconds:
        looked = case.hub.api("GET", "shopfloor/jobs", token=token).json()["health"]["looked"]
        ages.append(time.time() - looked)
        time.sleep(0.5)  # the pause between two samples
    took = time.monotonic() - began
    after = count(commands)
    by_name = {name: after[name] - calls[name] for name in QUERIES if after[name] > calls[name]}
    say(f"  queries in {took:.0f} s: {by_name or 'none'}")
    return {
        "calls_per_minute": sum(by_name.values()) * 60 / took,
        "staleness_p95_s": statistics.quantiles(ages, n=20)[-1],
        "rpcs_per_minute": (slurm_rpcs(case) - rpcs) * 60 / took,
        "hub_cpu_percent": (cpu_seconds(pid) - cpu) * 100 / took,
        "hub_mb": resident_mb(pid),
    }


def count(commands: Commands) -> dict[str, int]:
    return {name: commands.calls(name) for name in QUERIES}


def slurm_rpcs(case: Case) -> int:
    """All remote calls that slurmctld has counted, of nodes and of our one sdiag too."""
    said = case.cluster.run(["sdiag"], check=True).stdout
    part = said.partition("Remote Procedure Call statistics by message type")[2]
    part = part.partition("Remote Procedure Call statistics by user")[0]
    return sum(map(int, re.findall(r"count:(\d+)", part)))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(case: Case, commands: Commands, sizes: list[int], window: float) -> dict[str, float]:
    found: dict[str, float] = {}
    people = [person.name for person in PEOPLE if person.accounts]
    tokens = {name: case.hub.add_user(name) for name in people}
    started, refused = 0, 0
    for size in sizes:
        say(f"{size} jobs")
        began = time.monotonic()
        refused += start(case, [Place(number) for number in range(started, size)])
        started = size
        wanted = (size // 2, size // 2)
        wait_until(lambda: states(case) == wanted, 60 + 2 * size, f"{wanted} run and wait", 2)  # noqa: B023
        say(f"  all run or wait after {time.monotonic() - began:.0f} s")
        waiting = [place for number in range(size) if not (place := Place(number)).runs]
        pages = OpenPages(case, tokens, waiting, PAGES)
        pages.start()
        wait_until(lambda: pages.open == PAGES, 60, "all pages are open")  # noqa: B023
        time.sleep(SETTLE)  # what the starts hurried along calms down
        measured = measure(case, commands, tokens[people[0]], window)
        assert pages.open == PAGES, f"{PAGES - pages.open} pages were closed meanwhile"
        pages.stop()
        found |= {f"{name}_{size}": round(value, 2) for name, value in measured.items()}
        say(f"  {measured}")
    found["refused"] = refused
    found["staleness_p95_s"] = max(found[f"staleness_p95_s_{size}"] for size in sizes)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10,100,1000", help="live jobs, even (10,100,1000)")
    parser.add_argument("--window", type=float, default=120, help="seconds of each count (120)")
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    if any(size % 2 or not 2 <= size <= 2000 for size in sizes) or sizes != sorted(sizes):
        parser.error("--sizes: even numbers from 2 to 2000 that rise")
    try:
        requirements.check()
        prefix = ensure_software()
        with (
            Cluster(settings=CLAIMED, say=say) as cluster,
            counted_hub(cluster, prefix) as (case, commands),
            full_gpu_nodes(cluster),
        ):
            found = run(case, commands, sizes, chosen.window)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 1 if found["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
