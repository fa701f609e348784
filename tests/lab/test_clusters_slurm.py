"""A cluster on the real Slurm, steered from a job on one node, its controller and workers on others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from shopfloor_lab.clusters.command import ON_A_GPU
from shopfloor_lab.clusters.connection import SCRATCH, Connection

from tests.cluster.cluster import Cluster
from tests.jobs.waiting import wait_until

pytestmark = pytest.mark.slurm

STEPS = (Path(__file__).parent / "slurm_steps.py").read_text()
# What a neighbour on the workers' node tries: every door, at its address and at his own node's localhost, in the clear,
# through TLS, and with a certificate that he made; dask's client; every file and every folder.
NEIGHBOUR = """
import json, os, pathlib, socket, ssl, sys, tempfile
from distributed import Client
from distributed.security import Security

asked = json.loads(sys.argv[1])
own = Security.temporary()
pem = pathlib.Path(tempfile.mkdtemp()) / "own.pem"
pem.write_text(own.tls_client_key + own.tls_client_cert)

def dressed(door, kind):
    if kind == "clear":
        return door
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if kind == "own":
        context.load_cert_chain(pem)
    return context.wrap_socket(door)

def knock(host, port, kind):
    try:
        with socket.create_connection((host, port), timeout=5) as plain:
            door = dressed(plain, kind)
            door.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            return door.recv(4096).decode(errors="replace")
    except (ssl.SSLError, ConnectionResetError):
        return ""
    except ConnectionRefusedError:
        if host != "127.0.0.1":
            raise
        return ""

def works(action):
    try:
        action()
    except OSError:
        return False
    return True

heard = {
    f"{kind} {at}:{port}": knock(at, port, kind)
    for host, port in asked["addresses"]
    for at in (host, "127.0.0.1")
    for kind in ("clear", "tls", "own")
}
print(json.dumps({
    "heard": heard,
    "read": [path for path in asked["files"] if works(lambda: open(path, "rb").read(1))],
    "listed": [path for path in asked["folders"] if works(lambda: os.listdir(path))],
    "dask": works(lambda: Client(asked["scheduler"], security=own, timeout=5)),
}))
"""

# A plain script, on a node that has neither controller nor workers: two GPUs more than there are.
SCRIPT = """
import json, time
from shopfloor_lab import Cluster
with Cluster() as cluster, cluster.get_client() as client:
    before = client.submit(pow, 6, 2).result(timeout=60)
    cluster.scale(6)
    deadline = time.monotonic() + 60
    while True:
        rows = cluster.look()["workers"]["rows"]
        waiting = [row["reason"] for row in rows if row["state"] == "pending"]
        if waiting and all(waiting) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    shown = cluster._repr_html_()
    cluster.scale(1)
print(json.dumps({"answer": before, "waiting": waiting, "shown": shown}))
"""

CONTROLLER = "shopfloor_lab.clusters.controller"
Step = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def step(slurm_cluster: Cluster, software: Path) -> Step:
    """Does one step as alice, in a job of hers on gpu02."""
    where = ["srun", "-p", "gpu", "-w", "gpu02", "--mem=1500M", f"{software}/bin/python", "-"]
    settings = [slurm_cluster.state["slurm_conf"], slurm_cluster.hub_address]

    def do(*arguments: object) -> dict[str, Any]:
        done = slurm_cluster.run(
            [*where, *settings, *map(str, arguments)], "alice", text=STEPS, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return do


@pytest.fixture
def cluster(slurm_cluster: Cluster, step: Step) -> Iterator[dict[str, Any]]:
    """Two workers with a GPU each; nothing of it may be in Slurm's queue afterwards."""
    made = step("start", 2)["id"]
    yield wait_until(lambda: connected(step("show", made), 2), 60, "both workers are connected")
    if step("show", made)["state"] != "ended":
        step("end", made)
    wait_until(lambda: not slurm_cluster.jobs(), 30, "Slurm's queue is empty")


def connected(cluster: dict[str, Any], count: int) -> dict[str, Any] | None:
    assert cluster["state"] != "ended", cluster
    return cluster if cluster["workers"]["connected"] == count else None


def processes(word: str) -> list[int]:
    """Process ids of alice's by a word in their command line or what started them; the nodes share our /proc."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.username() != "alice":
                continue  # somebody else's cluster, beside this test
            # dask forks a worker of a server that its nanny started.
            lines = [process.cmdline(), *(one.cmdline() for one in process.parents()[:2])]
        except psutil.NoSuchProcess:
            continue
        if any(word in line for line in lines):
            found.append(process.pid)
    return found


def listeners(word: str) -> list[tuple[str, int]]:
    """Where those processes listen, asked in their own network namespace."""
    found = set()
    for pid in processes(word):
        enter = ["nsenter", "--target", str(pid), "--net", "ss", "-Hltnp"]
        for line in subprocess.run(
            enter, capture_output=True, text=True, check=True
        ).stdout.splitlines():
            if f"pid={pid}," in line:
                host, _, port = line.split()[3].rpartition(":")
                found.add((host, int(port)))
    return sorted(found)


def test_gpu_workers_compute_for_a_lab_on_another_node(
    slurm_cluster: Cluster, step: Step, cluster: dict[str, Any]
) -> None:
    computed = step("compute")
    assert computed["answer"] == 36
    assert cluster["node"] == "cpu01", "the controller takes no place on a GPU node"
    assert f"//{slurm_cluster.address('cpu01')}:" in computed["address"]
    workers = computed["workers"].values()
    assert {one["node"] for one in workers} == {"gpu01"}
    assert len({one["granted"] for one in workers}) == 2 and all(one["gpus"] for one in workers)
    assert [one["tokens"] for one in workers] == [[], []]
    assert all(row["gpus"] for row in cluster["workers"]["rows"])
    step("end", cluster["id"])
    gpu_time = Path("~alice").expanduser() / ".local/share/shopfloor/gpu-time"
    [record] = wait_until(
        lambda: list(gpu_time.glob(f"*/{cluster['id']}.json")), 20, "what they held is kept"
    )
    kept = json.loads(record.read_text())
    assert kept["project"] == "vision" and kept["held"] == kept["unknown"] > 0


def test_a_script_on_another_node_has_the_cluster_and_shows_why_workers_wait(
    slurm_cluster: Cluster, software: Path, step: Step, cluster: dict[str, Any]
) -> None:
    where = ["srun", "-p", "gpu", "-w", "gpu02", "--mem=1500M", f"{software}/bin/python", "-"]
    done = slurm_cluster.run(where, "alice", text=SCRIPT, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["answer"] == 36
    assert told["waiting"] and all(f"waiting: {why}" in told["shown"] for why in told["waiting"])
    now = step("show", cluster["id"])
    assert (now["state"], now["workers"]["wanted"]) == ("running", 1), "closing left it running"


def test_a_neighbour_on_the_workers_node_hears_nothing_and_reads_nothing(
    slurm_cluster: Cluster, software: Path, step: Step, cluster: dict[str, Any]
) -> None:
    plots = step("plots", cluster["id"])
    assert plots["title"], "its owner sees them, from another node"
    addresses = [(host, port) for word in (CONTROLLER, ON_A_GPU) for host, port in listeners(word)]
    nodes = {slurm_cluster.address(name) for name in ("cpu01", "gpu01")}
    assert len(addresses) == 6 and {host for host, _ in addresses} == nodes
    assert tuple(plots["address"]) in addresses
    jobs = Path("~alice").expanduser() / ".local/share/shopfloor/jobs"
    inside = sorted(jobs.rglob("*"))
    names = {path.name for path in inside}
    assert {"connection.json", "client.key", "worker.key", SCRATCH, "request.json"} <= names
    question = {
        "addresses": addresses,
        "files": [str(path) for path in inside if path.is_file()],
        "folders": [str(jobs), *(str(path) for path in inside if path.is_dir())],
        "scheduler": Connection.read(jobs / cluster["id"]).address,
    }
    where = ["srun", "-p", "gpu", "-w", "gpu01", "--mem=500M", f"{software}/bin/python", "-"]
    done = slurm_cluster.run([*where, json.dumps(question)], "bob", text=NEIGHBOUR, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["heard"]) == 36 and set(found["heard"].values()) == {""}
    assert (found["read"], found["listed"], found["dask"]) == ([], [], False)


def test_workers_that_wait_say_why_and_leave_the_queue_when_the_cluster_ends(
    slurm_cluster: Cluster, step: Step, cluster: dict[str, Any]
) -> None:
    step("scale", cluster["id"], 6)

    def waiting() -> list[str] | None:
        rows = step("show", cluster["id"])["workers"]["rows"]
        reasons = [row["reason"] for row in rows if row["state"] == "pending"]
        return reasons if reasons and all(reasons) else None

    assert wait_until(waiting, 30, "some workers wait for a GPU")

    assert step("end", cluster["id"])["cause"] == "You stopped it."
    wait_until(lambda: not slurm_cluster.jobs(), 30, "Slurm's queue is empty")


def test_what_waits_for_a_killed_controller_is_cancelled_by_the_next_lab(
    slurm_cluster: Cluster, step: Step, cluster: dict[str, Any]
) -> None:
    step("scale", cluster["id"], 6)
    wait_until(lambda: pending(slurm_cluster), 30, "some workers wait for a GPU")
    controller = next(
        pid for pid in processes(CONTROLLER) if CONTROLLER in psutil.Process(pid).cmdline()
    )

    os.kill(controller, signal.SIGKILL)

    ended = wait_until(lambda: gone(step("show", cluster["id"])), 60, "Lab sees that it ended")
    assert "signal 9" in ended["cause"]
    wait_until(lambda: not slurm_cluster.jobs(), 60, "running and waiting workers are gone")


def pending(slurm_cluster: Cluster) -> bool:
    return any(job["state"] == "PENDING" for job in slurm_cluster.jobs())


def gone(cluster: dict[str, Any]) -> dict[str, Any] | None:
    return cluster if cluster["state"] == "ended" else None
