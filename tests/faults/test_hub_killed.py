"""Rows 1 to 5: the hub is killed at moments of a server's life, chosen and at random, and loses nothing."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness import wait_until

from .case import Faults
from .checks import all_jobs, nothing_lost
from .commands import HOLD_AFTER, HOLD_BEFORE, complains

pytestmark = pytest.mark.slurm


@pytest.mark.fault(1, "hub killed before the job is noted")
def test_nothing_was_started_and_the_page_offers_to(faults: Faults):
    alice = faults.person("alice")
    moment = faults.moment
    moment.touch()
    before = {job.id for job in all_jobs(faults.case)}
    alice.click(preset="stub")
    wait_until(moment.with_suffix(".held").exists, 20, "the moment has come")
    faults.hub.kill_hub()
    moment.unlink()
    moment.with_suffix(".held").unlink()
    faults.hub.start_hub()
    alice.reads("is not running")
    assert [one["action"] for one in alice.page("/hub/spawn-pending/alice").all("form")]
    assert not {job.id for job in all_jobs(faults.case)} - before
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(2, "hub killed while sbatch is on its way")
def test_a_job_that_is_submitted_after_the_hub_died_is_found_by_its_tag(faults: Faults):
    alice = faults.person("alice")
    with faults.commands.ordered("sbatch", HOLD_BEFORE):
        alice.click(preset="stub")
        wait_until(lambda: faults.commands.held, 20, "sbatch is about to be run")
        faults.hub.kill_hub()
        faults.hub.start_hub()
        alice.reads('"stage": "asked"')
    faults.hub.wait_server("alice")
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(2, "hub and helper killed before sbatch")
def test_a_job_that_was_never_submitted_is_submitted_by_the_next_hub(faults: Faults):
    alice = faults.person("alice")
    with faults.commands.ordered("sbatch", HOLD_BEFORE):
        alice.click(preset="stub")
        wait_until(lambda: faults.commands.held, 20, "sbatch is about to be run")
        tag = faults.hub.server("alice")["state"]["shopfloor"]["tag"]
        faults.hub.crash()
    assert tag not in {job.tag for job in all_jobs(faults.case)}
    faults.hub.start_hub()
    faults.hub.wait_server("alice")
    assert [job.tag for job in faults.case.jobs()] == [tag]
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(2, "hub and helper killed after sbatch, before its answer is stored")
def test_a_job_whose_answer_was_lost_is_found_by_its_tag(faults: Faults):
    alice = faults.person("alice")
    with faults.commands.ordered("sbatch", HOLD_AFTER):
        alice.click(preset="stub")
        wait_until(lambda: faults.commands.held, 20, "sbatch has submitted")
        [job] = faults.case.jobs()
        assert faults.job_id("alice") == ""
        faults.hub.crash()
    faults.hub.start_hub()
    faults.hub.wait_server("alice")
    assert [one.id for one in faults.case.jobs()] == [job.id]
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(3, "hub killed while the job is pending")
def test_a_pending_job_waits_on_and_becomes_ready(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    job = faults.asked("alice")
    faults.restart_hub()
    alice.reads('"stage": "waiting"')
    nothing_lost(faults.case, [alice])
    full_cpu_node()
    faults.hub.wait_server("alice")
    assert [one.id for one in faults.case.jobs()] == [job]
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(3, "hub killed while the job runs, before it reported")
def test_a_server_that_has_not_reported_yet_becomes_ready(faults: Faults):
    alice = faults.person("alice")
    faults.order("alice", "hold")
    job = faults.asked("alice")
    wait_until(lambda: [one.detail for one in faults.case.jobs()] == ["RUNNING"], 20, "it runs")
    faults.restart_hub()
    alice.reads('"stage": "starting"')
    nothing_lost(faults.case, [alice])
    faults.take_back("alice", "hold")
    faults.hub.wait_server("alice")
    assert [one.id for one in faults.case.jobs()] == [job]
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(3, "hub killed while the server reports")
def test_a_server_that_reports_while_there_is_no_hub_becomes_ready(faults: Faults):
    alice = faults.person("alice")
    faults.order("alice", "hold")
    job = faults.asked("alice")
    wait_until(lambda: [one.detail for one in faults.case.jobs()] == ["RUNNING"], 20, "it runs")
    faults.hub.kill_hub()
    faults.take_back("alice", "hold")
    tag = faults.case.jobs()[0].tag
    output = faults.case.home("alice") / ".local/share/shopfloor/jobs" / tag / "output-0.log"
    wait_until(lambda: "did not take the report" in output.read_text(), 20, "it has tried to")
    faults.hub.start_hub()
    faults.hub.wait_server("alice")
    assert [one.id for one in faults.case.jobs()] == [job]
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(3, "hub killed when the server has just reported")
def test_a_server_whose_report_is_all_that_was_noted_becomes_ready(faults: Faults, full_cpu_node):
    alice = faults.person("alice")
    job = faults.asked("alice")
    alice.reads('"stage": "waiting"')
    # The hub learns no more than the port: that the job runs, and so where, it cannot see.
    with faults.commands.ordered("squeue", complains("Unable to contact slurm controller")):
        full_cpu_node()
        wait_until(lambda: faults.port("alice"), 20, "its port is noted")
        faults.hub.kill_hub()
    faults.hub.start_hub()
    faults.hub.wait_server("alice")
    assert [one.id for one in faults.case.jobs()] == [job]
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(3, "hub killed while the server is ready")
def test_a_ready_server_is_used_all_the_time(faults: Faults):
    alice = faults.person("alice")
    job = faults.running("alice")
    faults.hub.kill_hub()
    url = f"{faults.hub.url}/user/alice/api"
    assert alice.get(url, timeout=10).text.startswith("shopfloor-server-")
    faults.hub.start_hub()
    faults.hub.wait_server("alice")
    alice.reads("Lab")
    assert [one.id for one in faults.case.jobs()] == [job]
    nothing_lost(faults.case, [alice])


STARTERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")


@pytest.mark.fault(4, "hub killed at a random point of 10 starts at once")
def test_each_of_ten_starts_becomes_one_server_or_none(faults: Faults):
    people = [faults.person(name) for name in STARTERS]
    seed = os.environ.get("SHOPFLOOR_FAULT_SEED") or str(random.randrange(10**6))
    seconds = random.Random(seed).uniform(0, 5)
    print(f"SHOPFLOOR_FAULT_SEED={seed}: killed after {seconds:.2f} s")
    before = {job.id for job in all_jobs(faults.case)}
    with ThreadPoolExecutor(len(people)) as pool:
        began = time.monotonic()
        for one in people:
            pool.submit(one.click, preset="stub")
        wait_until(lambda: time.monotonic() - began > seconds, 10, "the moment", pause=0.01)
        faults.hub.kill_hub()
    faults.hub.start_hub()
    # Who was asked for becomes ready; a click that did not reach the hub started nothing.
    wait_until(lambda: not _unsettled(faults), 60, "all are ready or not there", pause=0.5)
    nothing_lost(faults.case, people)
    ready = sum(len(user["servers"]) for user in faults.hub.api("GET", "users").json())
    assert len({job.id for job in all_jobs(faults.case)} - before) == ready


def _unsettled(faults: Faults) -> list[str]:
    return [
        user["name"]
        for user in faults.hub.api("GET", "users").json()
        for server in user["servers"].values()
        if not server["ready"]
    ]


@pytest.mark.fault(5, "hub restarted with 50 jobs")
@pytest.mark.fault_long(40)
@pytest.mark.parametrize("how", ["kill_hub", "stop_hub"])
def test_fifty_servers_do_not_notice_a_restart(faults: Faults, how: str):
    people = [faults.person(name) for name in STARTERS]
    with ThreadPoolExecutor(len(people)) as pool:
        for number in range(5):
            for one in people:
                pool.submit(one.start, f"s{number}", preset="stub")
    # How long that takes is the machine's affair, which is busy where fault tests run side by side.
    wait_until(lambda: len(_ready(faults)) == 50, 300, "50 are ready", pause=0.5)
    before = {job.id: (job.node, job.started) for job in faults.case.jobs()}
    getattr(faults.hub, how)()
    assert {job.id: (job.node, job.started) for job in faults.case.jobs()} == before
    faults.hub.start_hub()
    wait_until(lambda: len(_ready(faults)) == 50, 120, "50 are ready again", pause=0.5)
    assert {job.id: (job.node, job.started) for job in faults.case.jobs()} == before
    nothing_lost(faults.case, people)


def _ready(faults: Faults) -> list[str]:
    return [
        f"{user['name']}/{server['name']}"
        for user in faults.hub.api("GET", "users").json()
        for server in user["servers"].values()
        if server["ready"]
    ]
