"""Rows 8, 9 and 13: somebody or something else acts on the job, and the person cancels at awkward moments."""

from __future__ import annotations

import json

import pytest

from tests.harness import wait_until

from .case import Faults
from .checks import all_jobs, nothing_lost
from .commands import HOLD_AFTER, HOLD_BEFORE, complains

pytestmark = pytest.mark.slurm


@pytest.mark.fault(8, "scancel from outside, of a ready server")
def test_a_job_that_somebody_cancels_is_told_of(faults: Faults):
    alice, bob = faults.person("alice"), faults.person("bob")
    faults.running("alice")
    kept = faults.running("bob")
    faults.cluster.run(["scancel", faults.job_id("alice")], check=True)
    alice.reads("outside Shopfloor")
    nothing_lost(faults.case, [alice, bob])
    assert faults.job_id("bob") == kept


@pytest.mark.fault(8, "scancel from outside, of a server that waits")
def test_a_waiting_job_that_somebody_cancels_is_told_of(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    job = faults.asked("alice")
    alice.reads('"stage": "waiting"')
    faults.cluster.run(["scancel", job], check=True)
    alice.reads("outside Shopfloor")
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(9, "requeued")
@pytest.mark.parametrize("hub_lives", [True, False], ids=["", "while the hub is down"])
def test_a_requeued_job_gets_a_fresh_address(faults: Faults, hub_lives: bool):
    alice = faults.person("alice")
    job = faults.running("alice")
    port = faults.hub.server("alice")["state"]["shopfloor"]["port"]
    if not hub_lives:
        faults.hub.kill_hub()
    requeue_and_hold(faults, job)
    if not hub_lives:
        faults.hub.start_hub()
    alice.reads('"stage": "waiting"', seconds=30)
    nothing_lost(faults.case, [alice])
    run_again(faults, job)
    faults.hub.wait_server("alice")
    state = faults.hub.server("alice")["state"]["shopfloor"]
    assert state["job_id"] == job
    assert state["address"] == faults.cluster.address("gpu01")
    assert state["port"] != port
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(9, "requeued before it was seen to run")
def test_a_job_that_is_requeued_right_after_its_report_becomes_ready(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    job = faults.asked("alice")
    alice.reads('"stage": "waiting"')
    with faults.commands.ordered("squeue", complains("Unable to contact slurm controller")):
        full_cpu_node()
        first = wait_until(lambda: faults.port("alice"), 60, "it reported")
        before = faults.commands.calls("squeue")
        requeue_and_hold(faults, job)
    alice.reads('"stage": "waiting"', seconds=30)
    # However long it takes, Slurm is asked at the view's pace.
    assert faults.commands.calls("squeue") - before < 60
    run_again(faults, job)
    faults.hub.wait_server("alice")
    assert (faults.job_id("alice"), faults.port("alice") == first) == (job, False)
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(9, "requeued before its server answered")
def test_a_job_that_is_requeued_before_its_server_has_answered_becomes_ready(faults: Faults):
    alice = faults.person("alice")
    faults.order("alice", "mute")
    faults.asked("alice")
    first = wait_until(lambda: faults.port("alice"), 60, "it reported")
    job = faults.job_id("alice")
    wait_until(lambda: faults.hub.server("alice")["state"]["shopfloor"]["address"], 20, "where")
    requeue_and_hold(faults, job)
    alice.reads('"stage": "waiting"', seconds=30)
    faults.take_back("alice", "mute")
    run_again(faults, job)
    faults.hub.wait_server("alice")
    assert (faults.job_id("alice"), faults.port("alice") == first) == (job, False)
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(8, "scancel from outside, of a server that has not answered yet")
def test_a_job_that_is_cancelled_before_its_server_has_answered_is_not_waited_for(faults: Faults):
    alice = faults.person("alice")
    faults.order("alice", "mute")
    faults.asked("alice")
    wait_until(lambda: faults.port("alice"), 60, "it reported")
    faults.cluster.run(["scancel", faults.job_id("alice")], check=True)
    alice.reads("outside Shopfloor", seconds=20)
    nothing_lost(faults.case, [alice])


def requeue_and_hold(faults: Faults, job: str) -> None:
    """Our jobs are not to be requeued; an administrator may all the same."""
    faults.cluster.run(["scontrol", "update", f"jobid={job}", "requeue=1"], check=True)
    faults.cluster.run(["scontrol", "requeuehold", job], check=True)


def run_again(faults: Faults, job: str) -> None:
    """Slurm itself lets a requeued job wait for two minutes, until the old one's credential has expired."""
    change = ["scontrol", "update", f"jobid={job}", "partition=gpu", "starttime=now"]
    faults.cluster.run(change, check=True)
    faults.cluster.run(["scontrol", "release", job], check=True)


@pytest.mark.fault(13, "cancelled while pending")
def test_a_pending_server_that_is_cancelled_is_gone(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    faults.asked("alice")
    token = faults.hub.server("alice")["state"]["shopfloor"]["api_token"]
    assert alice.stop().status_code in (202, 204)
    alice.reads("You cancelled it")
    faults.case.wait_no_jobs()
    assert faults.hub.api("GET", "user", token=token).status_code == 403
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(13, "cancelled in the second of starting, and reported late")
def test_a_report_that_comes_after_the_cancel_is_refused(faults: Faults):
    alice = faults.person("alice")
    faults.order("alice", "hold")
    alice.start(preset="stub")
    alice.reads('"stage": "starting"')
    intent = faults.hub.server("alice")["state"]["shopfloor"]
    assert alice.stop().status_code in (202, 204)
    report = {"data": json.dumps({"port": 40000, "nonce": intent["nonce"]})}
    answer = faults.hub.api("POST", "shopfloor/arrival", token=intent["api_token"], **report)
    assert answer.status_code in (403, 404)
    faults.case.wait_no_jobs()
    nothing_lost(faults.case, [alice])


def is_stopping(faults: Faults, name: str) -> bool:
    return (faults.hub.server(name) or {}).get("pending") == "stop"


@pytest.mark.fault(13, "cancelled while sbatch is on its way")
@pytest.mark.parametrize("order", [HOLD_BEFORE, HOLD_AFTER], ids=["before", "after"])
def test_what_is_submitted_after_its_cancel_does_not_stay(faults: Faults, order: str):
    alice = faults.person("alice")
    before = {job.id for job in all_jobs(faults.case)}
    with faults.commands.ordered("sbatch", order):
        alice.click(preset="stub")
        wait_until(lambda: faults.commands.held, 20, "sbatch is on its way")
        alice.click_stop()
        wait_until(lambda: is_stopping(faults, "alice"), 20, "it is stopping")
    wait_until(lambda: faults.hub.server("alice") is None, 30, "it has stopped")
    faults.case.wait_no_jobs(60)
    assert len({job.id for job in all_jobs(faults.case)} - before) == 1
    nothing_lost(faults.case, [alice])
    faults.running("alice")
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(13, "cancelled as it reports, when the last look still showed it waiting")
def test_a_server_that_just_reported_can_be_cancelled(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    alice.start(preset="stub")
    alice.reads('"stage": "waiting"')
    with faults.commands.ordered("squeue", complains("Unable to contact slurm controller")):
        full_cpu_node()
        wait_until(lambda: faults.port("alice"), 60, "it reported")
        alice.click_stop()
        wait_until(lambda: is_stopping(faults, "alice"), 20, "it is stopping")
    wait_until(lambda: faults.hub.server("alice") is None, 30, "it has stopped")
    faults.case.wait_no_jobs(60)
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(13, "cancelled while the hub, restarted, still checks")
def test_a_server_can_be_cancelled_right_after_a_restart(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    faults.asked("alice")
    faults.restart_hub()
    assert alice.stop().status_code in (202, 204)
    faults.case.wait_no_jobs(60)
    nothing_lost(faults.case, [alice])
