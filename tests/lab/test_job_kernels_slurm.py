"""Kernels that are jobs, on the real Slurm, without a hub: from the login machine, as the person."""

from __future__ import annotations

import json
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.kernels.order import ORDER, Arrival, Order

from tests.cluster.cluster import Cluster
from tests.cluster.outages import hanging
from tests.jobs.waiting import wait_until

from .job_kernels import SKIPPED, all_passed, at_home

pytestmark = pytest.mark.slurm

PERSON = "grace"
Told = Callable[[], dict[str, Any]]
# What she does in a notebook; each answer is a line of JSON, and she goes on when she is told to.
NOTEBOOK = """
import json, sys, time
from jupyter_client.manager import start_new_kernel

def say(**what):
    print(json.dumps(what), flush=True)
    sys.stdin.readline()

def run(code):
    printed = []
    client.execute_interactive(
        code, timeout=30, output_hook=lambda message: printed.append(message["content"].get("text", ""))
    )
    return "".join(printed)

sys.stdin.readline()
manager, client = start_new_kernel(kernel_name="ipython-gpu", startup_timeout=60)
say(
    where=run("import os; kept = 36; print(os.uname().nodename, os.environ['CUDA_VISIBLE_DEVICES'])"),
    tag=run("print(os.environ['SHOPFLOOR_TAG'], end='')"),
)
asked = client.execute("print('begun', flush=True)\\nwhile True: pass")
while client.get_iopub_msg(timeout=20)["content"].get("text") != "begun\\n":
    pass
began = time.monotonic()
manager.interrupt_kernel()
while client.get_iopub_msg(timeout=20)["msg_type"] != "error":
    pass
took = time.monotonic() - began
client.wait_for_ready(timeout=20)
say(interrupted=took, kept=run("print(kept)"))
manager.restart_kernel()
client.wait_for_ready(timeout=30)
say(restarted=run("import os; print('kept' in globals(), os.environ['SHOPFLOOR_TAG'], end='')"))
manager.shutdown_kernel()
print(json.dumps({"over": True}), flush=True)
"""
# What somebody else tries on the same node: every port, in the clear and with keys of his own; sockets and files.
NEIGHBOUR = """
import json, os, pathlib, sys, tempfile, zmq

asked = json.loads(sys.argv[1])

def shakes_hands(name, port, server):
    # "" is in the clear; knowing the right key of the agent's is not enough, but for the heartbeat, which is an echo.
    context = zmq.Context()
    socket = context.socket(zmq.SUB if name == "iopub_port" else zmq.DEALER)
    socket.linger = 0
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    if server:
        socket.curve_serverkey = server.encode()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.connect(f"tcp://{asked['host']}:{port}")
    return bool(monitor.poll(1000))

def can(action):
    try:
        return bool(action())
    except OSError:
        return False

keys = ("", asked["public"])
sockets = list(pathlib.Path(tempfile.gettempdir()).glob("shopfloor-kernel-*"))
print(json.dumps({
    "shaken": [port for name, port in asked["ports"] for key in keys if shakes_hands(name, port, key)],
    "sockets": len(sockets),
    "listed": [str(path) for path in sockets if can(lambda: os.listdir(path) or True)],
    "read": [path for path in asked["files"] if can(lambda: open(path).read())],
}), flush=True)
os._exit(0)
"""


@pytest.fixture
def environment(slurm_cluster: Cluster) -> Iterator[dict[str, str]]:
    with at_home(slurm_cluster, PERSON) as environment:
        yield environment


@contextmanager
def notebook(cluster: Cluster, software: Path, environment: dict[str, str]) -> Iterator[Told]:
    """Each call is the next thing that she says; she waits for it."""
    program = cluster.begin(
        [software / "bin/python", "-c", NOTEBOOK], PERSON, environment=environment
    )

    def next_line() -> dict[str, Any]:
        program.stdin.write("\n")
        program.stdin.flush()
        line = program.stdout.readline()
        assert line, "she says nothing any more"
        return json.loads(line)

    try:
        yield next_line
    finally:
        program.kill()
        program.wait(10)


def test_a_kernel_on_a_gpu_node_obeys_without_slurmctld_and_its_neighbours_get_nothing(
    slurm_cluster: Cluster, software: Path, environment: dict[str, str]
):
    with notebook(slurm_cluster, software, environment) as told:
        first = told()
        node, granted = first["where"].split()
        assert node.startswith("gpu") and granted.isdigit()
        job = Path(pwd.getpwnam(PERSON).pw_dir) / ".local/share/shopfloor/jobs" / first["tag"]
        arrival = Arrival.read(job)
        asked = {
            "host": arrival.host,
            "ports": [
                *(one for one in arrival.ports.items() if one[0] != "hb_port"),
                ("orders", arrival.orders),
            ],
            "public": Order.read(job / "private" / ORDER).publickey,
            "files": [
                str(job / "private" / ORDER),
                str(job / "agent.json"),
                str(job / "request.json"),
            ],
        }
        tried = slurm_cluster.run(
            [
                "srun",
                "-p",
                "gpu",
                "-w",
                node,
                software / "bin/python",
                "-c",
                NEIGHBOUR,
                json.dumps(asked),
            ],
            "bob",
            check=True,
        )
        got = json.loads(tried.stdout)
        assert got.pop("sockets") >= 1, "here all nodes have one /tmp"
        assert got == {"shaken": [], "listed": [], "read": []}
        with hanging(slurm_cluster, "slurmctld"):
            interrupted = told()
            assert interrupted["interrupted"] < 2 and interrupted["kept"] == "36\n"
            assert told()["restarted"] == f"False {first['tag']}"
        assert told()["over"]
    wait_until(lambda: not slurm_cluster.jobs(), 30, "the kernel's job has ended")
    assert not (job / "private").exists() and not (job / "agent.json").exists()


@pytest.mark.parametrize("kernel", SKIPPED)
def test_jupyters_conformance_suite_passes(
    slurm_cluster: Cluster, software: Path, environment: dict[str, str], kernel: str
):
    suite = [software / "bin/python", "-m", "unittest", f"kernel_conformance.{kernel}"]
    done = slurm_cluster.run(suite, PERSON, environment=environment, timeout=120)
    assert all_passed(done.stderr, kernel), done.stderr
    wait_until(lambda: not slurm_cluster.jobs(), 30, "the kernel's job has ended")
