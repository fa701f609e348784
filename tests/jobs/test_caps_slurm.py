"""What may be had at once, as a real Slurm tells and enforces it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from shopfloor_jobs.caps import Cap, tightest
from shopfloor_jobs.job import State, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.slurm import Slurm

from tests.cluster.cluster import Cluster
from tests.harness import wait_until

pytestmark = pytest.mark.slurm

GB = 1024**3
# Set with sacctmgr, and taken back; and the caps that each is. Hers is the project that she has unless she asks.
VISION = {"account": "vision", "usual_account": True}
LIMITS = {
    ("account", "vision"): (
        "GrpTRES=gres/gpu=2,mem=64G",
        "GrpTRES=gres/gpu=-1,mem=-1",
        [
            Cap("gpus", 2, "Project vision", **VISION),
            Cap("memory", 64 * GB, "Project vision", **VISION),
        ],
    ),
    ("user", "alice"): (
        "MaxJobs=5",
        "MaxJobs=-1",
        [Cap("jobs", 5, "You, in project vision,", **VISION)],
    ),
    ("qos", "short"): (
        "MaxTRESPU=cpu=3",
        "MaxTRESPU=cpu=-1",
        [Cap("cpus", 3, "You, with QOS short,", "vision", "short", usual_account=True)],
    ),
}


@pytest.fixture(scope="module")
def limited(slurm_cluster: Cluster) -> Iterator[Slurm]:
    def set_to(number: int) -> None:
        for (kind, name), values in LIMITS.items():
            what = ["sacctmgr", "--immediate", "modify", kind, name, "set", values[number]]
            slurm_cluster.run(what, check=True)

    set_to(0)
    try:
        yield Slurm(conf=slurm_cluster.state["slurm_conf"])
    finally:
        set_to(1)


def caps(slurm: Slurm) -> list[Cap]:
    accounts = asyncio.run(slurm.accounts())
    return [cap for one in accounts.of("alice") for cap in one.caps]


def test_each_limit_is_read_as_slurm_tells_it(limited: Slurm):
    wanted = [cap for *_, found in LIMITS.values() for cap in found]
    # slurmctld hears of them from slurmdbd.
    wait_until(lambda: len(caps(limited)) == len(wanted), 10, "all are told")
    assert sorted(caps(limited), key=str) == sorted(wanted, key=str)


def test_slurm_lets_as_many_run_as_are_offered_and_says_of_the_next_what_we_do(
    slurm_cluster: Cluster, limited: Slurm
):
    wait_until(lambda: len(caps(limited)) == 4, 10, "the limits are told")
    asked = Request(cpus=1, memory=200 * 1024**2, gpus=1, account="vision")
    most, cap = tightest(caps(limited), asked)
    assert (most, str(cap)) == (2, "Project vision may have 2 GPUs at once")
    what = ["sbatch", "--parsable", "-p", "gpu", "--gres=gpu:1", "--mem=200M", "--wrap=sleep 300"]
    what += ["--output=/dev/null", f"--job-name={new_tag('worker')}"]
    jobs = [slurm_cluster.run(what, "alice", check=True).stdout.strip() for _ in range(most + 1)]
    try:

        def seen() -> dict[str, tuple[State, str]]:
            listed = asyncio.run(limited.look())
            return {job.id: (job.state, job.reason) for job in listed if job.id in jobs}

        *run, waits = jobs
        running = (State.RUNNING, State.STARTING)
        wait_until(lambda: all(seen()[one][0] in running for one in run), 20, "as many run")

        def told() -> bool:
            # At first only that Slurm has not looked at it yet.
            state, why = seen()[waits]
            return state is State.PENDING and "project" in why.lower() and "GPU" in why

        wait_until(told, 60, "one waits for its project's share of GPUs")
    finally:
        slurm_cluster.run(["scancel", *jobs], check=True)
        wait_until(lambda: not slurm_cluster.jobs(), 30, "Slurm's queue is empty")
