"""Somebody else on the cluster, whose jobs hold hardware that a test's people then wait for."""

from __future__ import annotations

from .cluster import Cluster
from .processes import wait_until

NEIGHBOUR = "dave"
MINUTES = 30  # what QOS short allows


def hold_gpus(cluster: Cluster, until: str = "RUNNING") -> str:
    """Ask for all of gpu01's GPUs for half an hour; returns the job's id once it is in the state ``until``.

    In QOS short, so that it goes before whoever asks later: by fair share alone, the neighbour of a long test
    run comes last.
    """
    command = ["sbatch", "--parsable", "--partition=gpu", "--gres=gpu:a100:4", "--qos=short"]
    command += [f"--time={MINUTES}", "--mem=50", "--output=/dev/null", "--wrap=exec sleep 1800"]
    job = cluster.run(command, user=NEIGHBOUR, check=True).stdout.strip()
    try:
        wait_until(
            lambda: cluster.job_state(job) == until, 30, f"job {job} of {NEIGHBOUR} is {until}"
        )
    except BaseException:
        release(cluster, job)
        raise
    return job


def hold_cpu_node(cluster: Cluster) -> str:
    """Take all memory of cpu01; returns the job's id once it runs."""
    command = ["sbatch", "--parsable", "--partition=cpu", "--mem=0", f"--time={MINUTES}"]
    command += ["--output=/dev/null", "--wrap=exec sleep 1800"]
    job = cluster.run(command, user=NEIGHBOUR, check=True).stdout.strip()
    wait_until(lambda: cluster.job_state(job) == "RUNNING", 30, f"job {job} of {NEIGHBOUR} runs")
    return job


def release(cluster: Cluster, job: str) -> None:
    """End it; returns when what it held is free."""
    cluster.run(["scancel", job])
    cluster.wait_for_job(job)
