"""`shopfloor check` of Slurm's settings and clocks: by value, and on a real Slurm with one wrong clock."""

from __future__ import annotations

import asyncio
import time

import pytest
from shopfloor_hub import check_clocks, check_config, check_slurm
from shopfloor_hub.findings import FAIL, OK, WARN
from shopfloor_hub.site import load
from shopfloor_jobs.job import Job, State, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import SubmitRefused, scheduler_from

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
GOOD = {
    "AccountingStorageEnforce": "associations,limits,qos",
    "AccountingStoreFlags": "job_comment",
    "EnforcePartLimits": "ALL",
    "MinJobAge": "300 sec",
    "PrivateData": "none",
    "SchedulerParameters": "batch_sched_delay=0,bf_continue",
}


def slurm(level: str = "", counted: int = 0, shown: int = 0, ended: int = 0):
    """Slurm's answers to whoever asks about itself."""

    def ask(command):
        if command[0] == "sacctmgr":
            return f"{level}\n"
        if command[0] == "sdiag":
            return f"sdiag output at Mon Nov 23 (1)\nJobs pending:   {counted}\nJobs running:   0\n"
        assert command[0] == "squeue"
        lines = ["RUNNING"] * shown
        if "--states=all" in command:
            lines += ["COMPLETED"] * ended
        return "".join(f"{line}\n" for line in lines)

    return ask


def texts(level: str, changed=None, ask=None) -> list[str]:
    config = {**GOOD, **(changed or {})}
    found = check_config.findings(config, "hub", ask or slurm())
    return [one.text for one in found if one.level == level]


def test_a_slurm_that_is_set_well_gives_nothing_to_mend():
    assert texts(WARN) == texts(FAIL) == []
    assert "the hub sees everybody's jobs, for hub is not kept out; 0 now" in texts(OK)[0]


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({"PrivateData": "jobs"}, FAIL, "sacctmgr modify user hub set AdminLevel=Operator"),
        ({"PrivateData": "usage"}, WARN, "the start form lacks what a project has left"),
        ({"SchedulerParameters": "(null)"}, WARN, "wait up to 3 s for a scheduling round"),
        ({"SchedulerParameters": "batch_sched_delay=10"}, WARN, "wait up to 10 s"),
        ({"AccountingStoreFlags": "job_comment,job_env"}, WARN, "take out: job_env"),
        ({"MinJobAge": "30 sec"}, WARN, "set at least: MinJobAge=120"),
        ({"EnforcePartLimits": "NO"}, WARN, "set: EnforcePartLimits=ALL"),
        ({"AccountingStorageEnforce": "associations"}, WARN, "set: associations,limits,qos"),
    ],
)
def test_what_would_hurt_is_named_with_the_remedy(changed, level, words):
    [text] = texts(level, changed)
    assert words in text


def test_a_delay_of_one_second_is_well():
    assert texts(WARN, {"SchedulerParameters": "batch_sched_delay=1"}) == []


def test_an_operator_sees_what_is_hidden():
    hidden = {"PrivateData": "jobs,usage,users"}
    assert texts(FAIL, hidden, slurm("Operator")) == texts(WARN, hidden, slurm("Operator")) == []
    assert len(texts(WARN, hidden, slurm("None"))) == 2


def test_what_the_hub_sees_is_proven_by_asking():
    [text] = texts(WARN, ask=slurm(counted=3, shown=0))
    assert "Slurm counts 3 jobs and shows hub none" in text
    assert texts(WARN, ask=slurm(counted=3, shown=2)) == []
    # It counts now and then only: those may have ended since, and ended ones it shows, for a while.
    assert texts(WARN, ask=slurm(counted=3, ended=3)) == []


def test_what_does_not_answer_is_not_taken_for_well():
    def refuse(command):
        raise SubmitRefused("no")

    assert "was not tried: no" in texts(WARN, ask=refuse)[0]


@pytest.mark.parametrize(
    ("controller", "level", "words"),
    [
        (1000.0, OK, "agrees"),
        (998.0, OK, "agrees"),
        (1600.0, FAIL, "this machine's is 10 min behind Slurm's controller's"),
        (970.0, FAIL, "this machine's is 29 s ahead of Slurm's controller's"),
    ],
)
def test_the_hubs_clock_is_held_against_the_controllers(controller, level, words):
    [finding] = check_clocks.hub(controller, 1000.0, 1000.2)
    assert finding.level == level and words in finding.text


def test_a_nodes_clock_is_known_by_when_its_runner_began():
    begun = [("a", 100, 100.7), ("b", 100, 700.7), ("c", 1000, 400.7), ("d", 100, 130.0)]
    found = list(check_clocks.nodes(begun))
    assert [one.level for one in found] == [FAIL, FAIL, OK]
    assert found[0].text.startswith("clocks: b's is 10 min ahead of")
    assert found[1].text.startswith("clocks: c's is 10 min behind")
    assert "those of a, d agree" in found[2].text
    [nothing] = check_clocks.nodes([])
    assert nothing.level == OK and "once a server ran there" in nothing.text


def test_nodes_that_do_not_answer_are_named():
    [finding] = check_clocks.silent_nodes(lambda command: "n2\nn1\nn1\n")
    assert finding.level == WARN and finding.text.startswith("nodes: n1, n2 do not answer Slurm")
    assert list(check_clocks.silent_nodes(lambda command: "")) == []


@pytest.mark.fault(20, "clock of one node ten minutes off")
@pytest.mark.slurm
def test_the_node_whose_clock_is_ten_minutes_off_is_named(slurm_hub, tmp_path):
    """A runner on gpu01 lives ten minutes ahead (libfaketime), one on gpu02 with us."""
    site = load(slurm_hub.hub.site)
    tmp_path.chmod(0o755)
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\nif test $(hostname) = gpu01; then\n  export LD_PRELOAD={FAKETIME} FAKETIME=+600\n"
        'fi\nexec /usr/bin/python3 "$@"\n'
    )
    python.chmod(0o755)
    for parent in (tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o011)
    ids = asyncio.run(_run_on_both(site, str(python)))
    try:
        found = list(check_clocks.findings(check_slurm.as_hub(site), _scheduler(site)))
    finally:
        slurm_hub.cluster.run(["scancel", *ids])
        slurm_hub.wait_no_jobs()
        # Slurm still shows these jobs for a while, and what others check here shall find no such clock.
        for records in slurm_hub.home("alice").glob(".local/share/shopfloor/jobs/*/start-*.json"):
            records.unlink()
    wrong = [one.text for one in found if one.level == FAIL]
    assert len(wrong) == 1, found
    assert wrong[0].startswith("clocks: gpu01's is 10 min ahead of Slurm's controller's")
    assert [one.text for one in found if "agree" in one.text and "gpu02" in one.text]
    assert [one.text for one in found if "this machine's agrees" in one.text]


def _scheduler(site):
    return scheduler_from(site.hub_scheduler)


async def _run_on_both(site, python: str) -> list[str]:
    scheduler = scheduler_from({**site.hub_scheduler, "python": python})
    ids = []
    for gpu_type in ("a100", "l40"):
        request = Request(
            cpus=1, memory=200 << 20, gpus=1, gpu_type=gpu_type, time=300, partition="gpu"
        )
        job = Job(
            new_tag("server"), "alice", "server", request, ("/bin/sleep", "120"), title="clock"
        )
        ids += await scheduler.submit(job)
    deadline = time.monotonic() + 60
    while True:
        jobs = [one for one in await scheduler.look() if one.id in ids]
        if len(jobs) == 2 and all(one.state is State.RUNNING for one in jobs):
            records = [await scheduler.records("alice", one.tag) for one in jobs]
            if all(record["start"] for record in records):
                return ids
        assert time.monotonic() < deadline, jobs
        await asyncio.sleep(0.2)


@pytest.mark.slurm
def test_a_real_slurm_is_read_as_it_is(slurm_hub):
    site = load(slurm_hub.hub.site)
    ask = check_slurm.as_hub(site)
    config = check_config.parse(ask(["scontrol", "show", "config"]))
    found = list(check_config.findings(config, site.hub.user, ask))
    assert [one.text for one in found if one.level != OK] == []
    for key in GOOD:
        assert key in config, key
