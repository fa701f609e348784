"""Row 6: Slurm hangs, refuses or talks nonsense; what runs goes on, what is not known is not taken for dead."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.cluster.outages import down, hanging
from tests.harness import wait_until

from .case import Faults
from .checks import nothing_lost
from .commands import HANG, complains, prints

pytestmark = pytest.mark.slurm

LOOKS = 3  # as many as would make an absent job a gone one, and one more
SOON = 2.0  # seconds in which a page answers whatever Slurm does

Outage = Callable[[Faults], AbstractContextManager[None]]

SQUEUE = {
    "an unlisted error": complains("slurm_load_jobs error: Flux capacitor discharged"),
    "an unlisted error, as success": prints("slurm_load_jobs error: Flux capacitor discharged"),
    "garbage": prints("\\001\\377 %PDF-1.4 <html>"),
    "nothing": prints(""),
    "half an answer": '"/usr/bin/squeue" "$@" | head -c 40; exit 0\n',
}


def trouble(faults: Faults) -> str:
    """What the API says is the matter with Slurm."""
    alice = faults.person("alice")
    return faults.hub.api("GET", "shopfloor/jobs", token=alice.token).json()["health"]["trouble"]


def looks(faults: Faults) -> int:
    return faults.commands.calls("squeue")


@pytest.mark.fault(6, "squeue prints unlisted errors or garbage")
@pytest.mark.parametrize("order", SQUEUE.values(), ids=SQUEUE)
def test_what_squeue_never_should_print_ends_no_server(faults: Faults, order: str):
    alice, bob = faults.person("alice"), faults.person("bob")
    job = faults.running("alice")
    faults.order("bob", "hold")
    bob.start(preset="stub")
    bob.reads("Starting JupyterLab on cpu01")
    with faults.commands.ordered("squeue", order):
        before = looks(faults)
        wait_until(lambda: trouble(faults), 30, "the hub notices")
        bob.reads("does not answer")
        wait_until(lambda: looks(faults) >= before + LOOKS, 30, "it has looked a few times")
        assert faults.hub.server("alice")["ready"]
        assert faults.hub.server("bob")["pending"] == "spawn"
        assert alice.told() == "Lab"
    faults.take_back("bob", "hold")
    faults.hub.wait_server("bob")
    assert faults.job_id("alice") == job
    nothing_lost(faults.case, [alice, bob])


@contextlib.contextmanager
def slurmctld_hangs(faults: Faults):
    with hanging(faults.cluster, "slurmctld"):
        yield


@contextlib.contextmanager
def slurmctld_refuses(faults: Faults):
    with down(faults.cluster, "slurmctld"):
        yield


@contextlib.contextmanager
def commands_hang(faults: Faults):
    with contextlib.ExitStack() as stack:
        for name in ("squeue", "sbatch", "scancel", "scontrol"):
            stack.enter_context(faults.commands.ordered(name, HANG))
        yield


OUTAGES = {
    "slurmctld hangs": slurmctld_hangs,
    "slurmctld refuses": slurmctld_refuses,
    "its commands hang": commands_hang,
}


@pytest.mark.fault(6, "slurmctld hangs or refuses")
@pytest.mark.fault_long(45)
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_without_slurm_servers_run_on_and_pages_answer(faults: Faults, outage: Outage):
    alice, bob, carol = (faults.person(name) for name in ("alice", "bob", "carol"))
    job = faults.running("alice")
    faults.order("bob", "hold")
    bob.start(preset="stub")
    bob.reads("Starting JupyterLab on cpu01")
    with outage(faults):
        wait_until(lambda: trouble(faults), 30, "the hub notices")
        bob.reads("does not answer")
        carol.click(preset="stub")
        began = time.monotonic()
        for one in (alice, bob, carol):
            one.home()
        assert time.monotonic() - began < 3 * SOON
        assert alice.told() == "Lab"
        wait_until(lambda: time.monotonic() - began > 15, 30, "it lasts 15 s", pause=0.2)
        assert faults.hub.server("alice")["ready"]
        assert faults.hub.server("bob")["pending"] == "spawn"
    faults.take_back("bob", "hold")
    faults.hub.wait_server("bob")
    assert faults.job_id("alice") == job
    # Whether carol's start was given up or goes on is told; nothing is left in between.
    nothing_lost(faults.case, [alice, bob, carol])


@pytest.mark.fault(6, "stopped while slurmctld is away, and the hub is killed")
@pytest.mark.fault_long(60)
def test_a_stop_that_found_no_slurm_is_made_good_after_a_restart(faults: Faults):
    alice, bob = faults.person("alice"), faults.person("bob")
    faults.running("alice")
    kept = faults.running("bob")
    with down(faults.cluster, "slurmctld"):
        wait_until(lambda: trouble(faults), 30, "the hub notices")
        alice.stop()
        wait_until(lambda: faults.hub.server("alice") is None, 60, "the hub has forgotten it")
        faults.hub.crash()  # or its last scancel, which tries for long, would find Slurm again
    assert len(faults.case.jobs()) == 2
    faults.hub.start_hub()
    faults.hub.wait_server("bob")
    wait_until(lambda: [job.id for job in faults.case.jobs()] == [kept], 60, "only bob's is left")
    nothing_lost(faults.case, [alice, bob])
