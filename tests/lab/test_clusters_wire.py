"""Who listens on the wire of a worker's node reads nothing of a cluster: no task, no result, no key."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.clusters.connection import Connection
from shopfloor_lab.clusters.security import ROLES

from tests.cluster.cluster import Cluster
from tests.faults.cluster_lab import ClusterLab, connected
from tests.jobs.waiting import wait_until
from tests.spawners.wire import captured, streams

pytestmark = pytest.mark.slurm

PERSON = "alice"
NODE = "gpu01"  # no other node's GPUs are of this type
REQUEST = {"partition": "gpu", "cpus": 1, "memory": 512 * 1024**2, "gpus": 1, "gpu_type": "a100"}
# Its text goes to the workers, and comes back in pieces that nobody sent before.
TURN_ROUND = "answer = client.submit(lambda text: text[::-1] + text, {!r}).result(timeout=60)"
# Dask as it comes, on one node, and whoever uses it from another.
PLAIN = """
import sys
from distributed import LocalCluster
options = {"processes": False, "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
with LocalCluster(n_workers=1, host=sys.argv[1], **options) as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.readline()
"""
PLAIN_CLIENT = """
import sys
from distributed import Client
with Client(sys.argv[1]) as client:
    print(client.submit(lambda text: text[::-1] + text, sys.argv[2]).result(timeout=60))
"""


@pytest.fixture
def lab(slurm_cluster: Cluster, software: Path) -> Iterator[ClusterLab]:
    lab = ClusterLab(slurm_cluster, software, PERSON)
    yield lab
    lab.close()


@pytest.fixture
def cluster(slurm_cluster: Cluster, lab: ClusterLab) -> Iterator[dict[str, Any]]:
    """Two workers on the one node; its scheduler runs on another, and who uses it is on a third machine."""
    made = lab.ask("start", 2, REQUEST)["id"]
    yield lab.until(made, lambda shown: connected(shown, 2), 60, "both workers are connected")
    lab.ask("end", made)
    wait_until(lambda: not slurm_cluster.jobs(), 30, "Slurm's queue is empty")


@pytest.fixture
def in_the_clear(slurm_cluster: Cluster, software: Path) -> Iterator[Callable[[str], str]]:
    """Turns a text round with dask as it comes, whose worker is on the same node."""
    python, account = f"{software}/bin/python", pwd.getpwnam(PERSON)

    def on(node: str, *arguments: str) -> list[str]:
        return ["srun", "-p", "gpu", "-w", node, "--mem=1G", "--time=5", python, *arguments]

    plain = subprocess.Popen(
        on(NODE, "-c", PLAIN, slurm_cluster.address(NODE)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=account.pw_dir,
        env={"PATH": "/usr/bin:/bin", "HOME": account.pw_dir, **slurm_cluster.environment},
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=os.getgrouplist(PERSON, account.pw_gid),
    )
    try:
        address = plain.stdout.readline().strip()

        def turn_round(text: str) -> str:
            client = on("gpu02", "-c", PLAIN_CLIENT, address, text)
            return slurm_cluster.run(client, PERSON, timeout=120, check=True).stdout.strip()

        yield turn_round
    finally:
        plain.communicate("\n", timeout=60)


def test_the_wire_tells_nothing_of_what_is_computed_nor_a_key(
    slurm_cluster: Cluster,
    lab: ClusterLab,
    cluster: dict[str, Any],
    in_the_clear: Callable[[str], str],
    tmp_path: Path,
) -> None:
    text, control = (f"a-marker-{secrets.token_hex(8)}" for _ in range(2))
    file = tmp_path / "wire"
    with captured(slurm_cluster, NODE, file):
        assert lab.ask("run", TURN_ROUND.format(text)) == text[::-1] + text
        assert in_the_clear(control) == control[::-1] + control

    sent = streams(file)
    directory = Path(f"~{PERSON}").expanduser() / ".local/share/shopfloor/jobs" / cluster["id"]
    host, _, port = Connection.read(directory).address.rpartition("/")[2].rpartition(":")
    assert [key for key in sent if key[2:] == (host, int(port))], "what workers say was seen"
    assert [key for key in sent if key[:2] == (host, int(port))], "and what they are told"

    def is_seen(wanted: str) -> bool:
        return any(wanted.encode() in one for one in sent.values())

    keys = [(directory / "tls" / f"{role}.key").read_text().splitlines()[1] for role in ROLES]
    assert [one for one in (text, text[::-1], *keys) if is_seen(one)] == []
    assert is_seen(control) and is_seen(control[::-1]), "without TLS both are"
