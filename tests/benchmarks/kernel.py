"""`make bench NAME=kernel`: a kernel as a job beside the bare kernel that `sbatch` starts, and beside a local one.

One person's program on the login machine does all of it on a real Slurm, the ways in turns, and a first round is not
counted: from asking to the first reply; a restart in the allocation over one of a local kernel; round trips and 100 MB
of output over a local kernel's. Then what an idle agent costs its node. Human words go to stderr; the last line of
stdout is one flat JSON object: medians, times in seconds or milliseconds as named.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from tests.cluster import requirements
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.lab.job_kernels import at_home
from tests.software import ensure_software

PERSON = "grace"
AGENT = "shopfloor_lab.kernels.agent"
IDLE = 30  # seconds for which an idle agent is watched
# What she does; lines of JSON, then "watch" while her last kernel idles until the program is told to go on.
PROGRAM = """
import json, os, socket, subprocess, sys, time
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_client.manager import start_new_kernel

rounds, trips, node, address = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
MB = "import sys\\nfor _ in range(100): sys.stdout.write('x' * 2**20); sys.stdout.flush()"

def say(what, way, value):
    print(json.dumps([what, way, value]), flush=True)

def bare():
    # The same path on all machines; ports that were free here a moment ago.
    file, info = write_connection_file(os.path.expanduser(f"~/bare-{os.getpid()}.json"), ip="0.0.0.0")
    began = time.monotonic()
    batch = f"#!/bin/sh\\nexec {sys.executable} -m ipykernel_launcher -f {file}\\n"
    asked = ["sbatch", "--parsable", "--partition=gpu", "--gpus=1", "--mem=1G", f"--nodelist={node}"]
    asked += ["--output=/dev/null"]
    job = subprocess.run(asked, input=batch, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    client = BlockingKernelClient()
    client.load_connection_info({**info, "ip": address})
    client.start_channels(hb=False)  # without beats it would count as dead while it begins
    client.wait_for_ready(timeout=60)
    took = time.monotonic() - began
    client.stop_channels()
    subprocess.run(["scancel", job], check=True)
    while subprocess.run(["squeue", "--noheader", "--me"], stdout=subprocess.PIPE, check=True).stdout:
        time.sleep(0.2)
    os.unlink(file)
    return took

def ready(name):
    began = time.monotonic()
    manager, client = start_new_kernel(kernel_name=name)
    return time.monotonic() - began, manager, client

def quiet(client, code):
    client.execute_interactive(code, timeout=60, output_hook=lambda message: None)

def over(manager, client):
    client.stop_channels()
    manager.shutdown_kernel()
    while subprocess.run(["squeue", "--noheader", "--me"], stdout=subprocess.PIPE, check=True).stdout:
        time.sleep(0.2)

def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began

for number in range(rounds + 1):
    took = bare()
    if number:
        say("ready_s", "sbatch", took)
    for way, name in (("job", "ipython-gpu"), ("local", "python3")):
        took, manager, client = ready(name)
        def restart():
            manager.restart_kernel()
            client.wait_for_ready(timeout=30)
        again = timed(restart)
        quiet(client, "1")
        each = [1000 * timed(lambda: quiet(client, "1")) for _ in range(trips)]
        output = timed(lambda: quiet(client, MB))
        if number:
            for what, value in (("ready_s", took), ("restart_s", again), ("100mb_s", output), ("trips_ms", each)):
                say(what, way, value)
        if number < rounds or way == "local":
            over(manager, client)
        else:
            say("watch", way, 0)
            sys.stdin.readline()
            over(manager, client)
"""


def agents() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if AGENT in (one.info["cmdline"] or ())]


def idle_agent() -> dict[str, float]:
    """What the one agent costs while its kernel idles; the nodes share our /proc."""
    [agent] = agents()
    before = sum(agent.cpu_times()[:2])
    time.sleep(IDLE)
    used = sum(agent.cpu_times()[:2]) - before
    return {
        "agent_cpu_percent": round(100 * used / IDLE, 2),
        "agent_mb": round(agent.memory_full_info().uss / 1e6, 1),
    }


def measure(cluster: Cluster, prefix: Path, rounds: int, trips: int) -> dict[str, Any]:
    node = "gpu01"
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    cost: dict[str, float] = {}
    with at_home(cluster, PERSON) as environment:
        command = [prefix / "bin/python", "-c", PROGRAM, str(rounds), str(trips), node]
        command.append(cluster.address(node))
        program = cluster.begin(command, PERSON, environment=environment)
        try:
            for line in program.stdout:
                what, way, value = json.loads(line)
                if what == "watch":
                    cost = idle_agent()
                    program.stdin.write("\n")
                    program.stdin.flush()
                    continue
                found[what, way].append(value)
                if what != "trips_ms":
                    print(f"{what:>10} {way:<7}{value:8.3f}", file=sys.stderr, flush=True)
            if program.wait(30):
                raise ClusterError("her program failed, see above: nothing was measured")
        finally:
            program.kill()
            program.wait(10)
    return {**summary(found), **cost, "rounds": rounds}


def summary(found: dict[tuple[str, str], list[Any]]) -> dict[str, float]:
    trips = {way: sorted(chain.from_iterable(found["trips_ms", way])) for way in ("job", "local")}
    middle = {
        f"{way}_{what}": statistics.median(values)
        for (what, way), values in found.items()
        if what != "trips_ms"
    }
    for way, each in trips.items():
        middle[f"{way}_trip_p50_ms"] = statistics.median(each)
        middle[f"{way}_trip_p99_ms"] = each[int(len(each) * 0.99)]
    ratios = {
        "ratio_ready": middle["job_ready_s"] / middle["sbatch_ready_s"],
        "ratio_restart": middle["job_restart_s"] / middle["local_restart_s"],
        "ratio_trip_p50": middle["job_trip_p50_ms"] / middle["local_trip_p50_ms"],
        "ratio_trip_p99": middle["job_trip_p99_ms"] / middle["local_trip_p99_ms"],
        "ratio_100mb": middle["job_100mb_s"] / middle["local_100mb_s"],
    }
    return {name: round(value, 3) for name, value in {**ratios, **middle}.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="of all ways (10)")
    parser.add_argument("--trips", type=int, default=200, help="in each round (200)")
    chosen = parser.parse_args()
    if min(chosen.rounds, chosen.trips) < 1:
        parser.error("--rounds and --trips are at least 1")
    try:
        requirements.check()
        prefix = ensure_software()
        with Cluster(say=lambda sentence: print(sentence, file=sys.stderr)) as cluster:
            found = measure(cluster, prefix, chosen.rounds, chosen.trips)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
