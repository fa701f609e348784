"""A cluster on the real Slurm whose scheduler runs beside the Lab server, in that server's own job."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.faults.cluster_lab import (
    CONTROLLER,
    CPU,
    ClusterLab,
    connected,
    processes,
    remove_records,
)
from tests.harness import wait_until

pytestmark = pytest.mark.slurm

LABS_JOB = ("srun", "--partition=gpu", "--nodelist=gpu02", "--mem=2500M", "--time=10", "--quiet")
ENDED = "The Lab server beside which it ran has ended."


@pytest.fixture
def lab(slurm_cluster: Cluster, software: Path) -> Iterator[ClusterLab]:
    """A Lab server in a job on gpu02."""
    one = ClusterLab(slurm_cluster, software, inside=LABS_JOB, SHOPFLOOR_BESIDE_LAB="1")
    with contextlib.closing(one):
        yield one
    wait_until(lambda: not slurm_cluster.jobs(), 90, "Slurm's queue is empty")


def test_it_computes_scales_and_ends_with_the_labs_job(
    slurm_cluster: Cluster, software: Path, lab: ClusterLab
):
    made = lab.ask("start", 1, CPU, seconds=60)["id"]
    shown = lab.until(made, lambda shown: connected(shown, 1), 60, "its worker is connected")
    assert shown["node"] == "gpu02"
    assert len(slurm_cluster.jobs()) == 2, "Lab's own job and the worker's"
    assert lab.ask("run", "answer = client.submit(pow, 6, 2).result(timeout=30)") == 36
    lab.ask("scale", made, 2)
    lab.until(made, lambda shown: connected(shown, 2), 60, "both workers are connected")

    lab.kill()  # srun; its job ends

    wait_until(lambda: not processes(made, CONTROLLER), 60, "Slurm ended all of Lab's job")
    # Each Lab server has a runtime directory of its own.
    other = {"JUPYTER_RUNTIME_DIR": str(Path("~alice/.local/share/jupyter/later").expanduser())}
    with contextlib.closing(ClusterLab(slurm_cluster, software, **other)) as later:
        shown = later.until(made, lambda shown: shown["state"] == "ended", 30, "it is told")
        assert shown["cause"] == ENDED
        wait_until(lambda: not slurm_cluster.jobs(), 90, "no worker is left")
    remove_records("alice", made)


def test_it_is_stopped_as_any_other(slurm_cluster: Cluster, lab: ClusterLab):
    made = lab.ask("start", 1, CPU, seconds=60)["id"]
    lab.until(made, lambda shown: connected(shown, 1), 60, "its worker is connected")
    assert lab.ask("end", made)["cause"] == "You stopped it."
    wait_until(lambda: len(slurm_cluster.jobs()) == 1, 30, "Lab's own job is left")
    wait_until(lambda: not processes(made, CONTROLLER), 30, "nothing of it runs")
