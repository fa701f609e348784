"""Rows 7 and 10 to 12: what ends a running job is told with its cause, and what to ask the next time."""

from __future__ import annotations

import pytest

from tests.cluster.outages import cut_off
from tests.harness import wait_until

from .case import Faults
from .checks import nothing_lost

pytestmark = pytest.mark.slurm

SAFE = "Your saved files are safe."


def ended(faults: Faults, name: str, seconds: float) -> None:
    """Wait until the hub knows that a server is no more."""
    wait_until(lambda: faults.hub.server(name) is None, seconds, f"{name}'s server has ended")


@pytest.mark.fault(7, "node lost")
@pytest.mark.fault_long(60)
def test_a_lost_node_is_named_and_nobody_else_is_hurt(faults: Faults):
    alice, bob = faults.person("alice"), faults.person("bob")
    faults.running("alice", partition="gpu")
    [lost] = [job.node for job in faults.case.jobs()]
    kept = faults.running("bob", partition="cpu")
    with cut_off(faults.cluster, lost):
        ended(faults, "alice", 90)
        alice.reads(f"{lost} stopped answering at")
        assert "Your saved files are safe. What was only in the memory" in alice.told()
        nothing_lost(faults.case, [alice, bob])
        assert faults.job_id("bob") == kept
    show = ["sinfo", "--noheader", f"--nodes={lost}", "--format=%T"]
    back = {"idle", "mixed"}
    wait_until(
        lambda: faults.cluster.run(show).stdout.strip() in back, 60, "the node is back", pause=0.5
    )
    faults.running("alice", partition="gpu")
    nothing_lost(faults.case, [alice, bob])


@pytest.mark.fault(10, "preempted")
def test_a_preempted_job_is_told_of(faults: Faults):
    modify = ["sacctmgr", "--immediate", "modify", "qos", "short", "set", "preempt=normal"]
    faults.cluster.run(modify, check=True)
    alice, bob = faults.person("alice"), faults.person("bob")
    faults.running("alice", memory="4800M")
    kept = faults.running("bob", partition="gpu")
    urgent = ["sbatch", "--parsable", "--qos=short", "--partition=cpu", "--mem=4800M", "--time=5"]
    job = faults.cluster.run([*urgent, "--wrap=sleep 300"], user="trainer", check=True).stdout
    try:
        ended(faults, "alice", 30)
        alice.reads("Preempted by a job of higher priority at")
        nothing_lost(faults.case, [alice, bob])
        assert faults.job_id("bob") == kept
    finally:
        faults.cluster.run(["scancel", job.strip()])


@pytest.mark.fault(11, "time limit of one minute")
@pytest.mark.fault_long(100)
def test_the_time_limit_is_told_and_twice_of_it_offered(faults: Faults):
    alice = faults.person("alice")
    faults.running("alice", time="1m")
    ended(faults, "alice", 150)
    alice.reads("Ended at its time limit of 1 min")
    told = alice.told()
    assert SAFE in told
    assert "2 min" in told
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(12, "out of memory")
def test_out_of_memory_is_told_and_twice_of_it_offered(faults: Faults):
    alice, bob = faults.person("alice"), faults.person("bob")
    faults.running("alice")
    kept = faults.running("bob")
    faults.order("alice", "eat")
    ended(faults, "alice", 30)
    alice.reads("Ran out of memory at")
    told = alice.told()
    assert "asked 100 MB, used" in told
    assert SAFE in told
    assert "200 MB" in told
    nothing_lost(faults.case, [alice, bob])
    assert faults.job_id("bob") == kept
