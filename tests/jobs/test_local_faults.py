"""The local scheduler when something dies: its starter, a runner, a submission half-way, the machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from shopfloor_jobs import processes
from shopfloor_jobs.job import State
from shopfloor_jobs.local_index import KEPT_COUNT, KEPT_SECONDS, Entry, Index, boot_id

from tests.jobs.case import SchedulerCase, processes_of
from tests.jobs.contract import SLEEP, WRITE
from tests.jobs.waiting import async_wait_until

STARTER = """
import asyncio, json, os, sys
from shopfloor_jobs.job import Job
from shopfloor_jobs.local import Local
job = Job.from_json(json.loads(sys.argv[2]))
print(*asyncio.run(Local(sys.argv[1], grace=3).submit(job)), flush=True)
"""


def index_of(case: SchedulerCase) -> Index:
    return Index(case.scheduler.state / "jobs")


def entry_of(case: SchedulerCase, job_id: str) -> Entry:
    with index_of(case).locked():
        return next(one for one in index_of(case).settle() if one.id == job_id)


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


async def test_jobs_outlive_a_starter_that_is_killed_with_its_group(local: SchedulerCase):
    job = local.script(SLEEP)
    waiting = STARTER + "import signal; signal.pause()"
    starter = start(
        sys.executable, "-c", waiting, str(local.scheduler.state), json.dumps(job.to_json())
    )
    assert starter.stdout
    job_id = starter.stdout.readline().strip()
    await local.evidence("up-0")
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    assert (await local.until(job_id, State.RUNNING)).tag == job.tag
    assert await local.submit(job) == [job_id]
    await local.scheduler.cancel("alice", [job_id])
    await local.gone(job.tag)
    assert (await local.until(job_id, State.ENDED)).cause == "was stopped"


async def test_a_killed_runner_is_seen_and_what_it_left_is_ended(local: SchedulerCase):
    code = SLEEP.replace("time.sleep", "subprocess.Popen(['sleep', '605']); time.sleep")
    job = local.script(code)
    (job_id,) = await local.submit(job)
    await local.evidence("up-0")
    await async_wait_until(lambda: len(processes_of(job.tag)) == 3, 20, "runner and two others run")
    os.kill(entry_of(local, job_id).pid or 0, signal.SIGKILL)
    assert (await local.until(job_id, State.ENDED)).cause == "the runner was killed"
    await local.gone(job.tag)
    await local.scheduler.cancel("alice", [job_id])


async def test_a_process_that_reused_a_runners_number_is_left_alone(local: SchedulerCase):
    job = local.script("pass")
    (job_id,) = await local.submit(job)
    await local.until(job_id, State.ENDED)
    bystander = start("sleep", "606")
    try:
        ticks = processes.start_ticks(bystander.pid)
        assert ticks
        entry = entry_of(local, job_id)
        index_of(local).save(
            replace(entry, ended=None, cause="", pid=bystander.pid, ticks=ticks - 1)
        )
        await local.scheduler.signal("alice", [job_id], signal.SIGUSR1)
        await local.scheduler.cancel("alice", [job_id])
        assert (await local.until(job_id, State.ENDED)).cause == "ended by itself"
        processes.signal_runner(bystander.pid, ticks - 1, signal.SIGKILL)
        processes.kill_tree(bystander.pid, ticks - 1)
        assert bystander.poll() is None
        processes.kill_tree(bystander.pid, ticks)
        assert bystander.wait(5) == -signal.SIGKILL
    finally:
        bystander.kill()
        bystander.communicate()


async def test_a_submission_that_died_after_the_start_is_completed(local: SchedulerCase):
    job = local.script(SLEEP)
    (job_id,) = await local.submit(job)
    await local.evidence("up-0")
    entry = entry_of(local, job_id)
    index_of(local).save(replace(entry, pid=None, ticks=None, started=None))
    assert entry_of(local, job_id).pid == entry.pid
    assert await local.submit(job) == [job_id]


async def test_a_submission_that_died_before_the_start_is_ended(local: SchedulerCase):
    job = local.script("pass")
    (job_id,) = await local.submit(job)
    await local.until(job_id, State.ENDED)
    entry = entry_of(local, job_id)
    (local.directory(job) / "exit-0.json").unlink()
    index_of(local).save(replace(entry, pid=None, ticks=None, ended=None, cause=""))
    assert (await local.until(job_id, State.ENDED)).cause == "its start was interrupted"


async def test_after_a_restart_of_the_machine_no_process_is_taken_for_a_job(local: SchedulerCase):
    job = local.script(SLEEP)
    (job_id,) = await local.submit(job)
    await local.evidence("up-0")
    entry = entry_of(local, job_id)
    index_of(local).save(replace(entry, boot="another boot"))
    assert (await local.until(job_id, State.ENDED)).cause == "the machine was restarted"
    assert processes_of(job.tag)
    index_of(local).save(entry)


async def test_a_stop_before_the_runner_listens_is_not_lost(local: SchedulerCase):
    job = local.script(SLEEP)
    (job_id,) = await local.submit(job)
    await local.scheduler.cancel("alice", [job_id])
    assert (await local.seen(job_id)).cause == "was stopped"
    await local.gone(job.tag)


async def test_records_of_an_earlier_job_with_the_tag_are_not_taken_for_the_new_ones(
    local: SchedulerCase,
):
    job = local.script("pass")
    (first,) = await local.submit(job)
    await local.until(first, State.ENDED)
    earlier = await local.scheduler.records("alice", job.tag)
    await local.submit(job)
    # No wait in between: the new runner had no time to remove them itself.
    now = await local.scheduler.records("alice", job.tag)
    assert now["start"] != earlier["start"]
    assert now["exit"] != earlier["exit"]


async def test_a_command_that_ignores_its_end_is_killed(local: SchedulerCase):
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    local.scheduler.grace = 0.5
    job = local.script(WRITE + code + SLEEP)
    (job_id,) = await local.submit(job)
    await local.evidence("up-0")
    await local.scheduler.cancel("alice", [job_id])
    assert (await local.seen(job_id)).cause == "was stopped"
    assert processes_of(job.tag) == {}


async def test_a_runner_that_hangs_is_killed_with_all_it_started(
    local: SchedulerCase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shopfloor_jobs.local.PATIENCE", 0)
    local.scheduler.grace = 0.2
    job = local.script(SLEEP)
    (job_id,) = await local.submit(job)
    await local.evidence("up-0")
    os.kill(entry_of(local, job_id).pid or 0, signal.SIGSTOP)
    await local.scheduler.cancel("alice", [job_id])
    await local.gone(job.tag)


async def test_a_job_that_a_job_submitted_outlives_it(local: SchedulerCase):
    """As kernels and clusters that a Lab server starts outlive it."""
    inner = local.script(SLEEP)
    outer = local.job(
        sys.executable, "-c", STARTER, str(local.scheduler.state), json.dumps(inner.to_json())
    )
    (outer_id,) = await local.submit(outer)
    await local.evidence("up-0")
    await local.until(outer_id, State.ENDED)
    (inner_id,) = [one.id for one in await local.scheduler.look() if one.tag == inner.tag]
    assert (await local.until(inner_id, State.RUNNING)).alive
    assert processes_of(inner.tag)
    await local.scheduler.cancel("alice", [inner_id])
    await local.gone(inner.tag)


async def test_the_memory_of_a_job_that_a_job_submitted_is_its_own(local: SchedulerCase):
    code = WRITE + "kept = bytearray(b'x') * (150 << 20)\nwrite('full', 'yes'); time.sleep(600)"
    inner = local.script(code, memory=256 * 2**20)
    outer = local.job(
        sys.executable,
        "-c",
        STARTER + "import time; time.sleep(600)",
        str(local.scheduler.state),
        json.dumps(inner.to_json()),
        memory=128 * 2**20,
    )
    (outer_id,) = await local.submit(outer)
    await local.evidence("full")
    use = local.directory(outer) / "use-0.json"
    await async_wait_until(use.exists, 10, "the outer job's use is sampled")
    assert json.loads(use.read_text())["memory"] < 128 * 2**20
    assert (await local.until(outer_id, State.RUNNING)).alive


async def test_ended_jobs_are_forgotten_after_an_hour_and_beyond_a_number(local: SchedulerCase):
    (job_id,) = await local.submit(local.script("pass"))
    await local.until(job_id, State.ENDED)
    entry, now = entry_of(local, job_id), time.time()
    for number in range(KEPT_COUNT + 5):
        ended = now + number
        index_of(local).save(replace(entry, id=f"local-{1000 + number}", ended=ended))
    index_of(local).save(replace(entry, id="local-999", ended=now - KEPT_SECONDS - 1))
    ids = {one.id for one in await local.scheduler.look()}
    assert len(ids) == KEPT_COUNT
    assert f"local-{1000 + KEPT_COUNT + 4}" in ids
    assert not ids & {"local-999", "local-1000", job_id}


async def test_an_index_that_a_newer_version_wrote_can_be_read(local: SchedulerCase):
    (job_id,) = await local.submit(local.script(SLEEP))
    path = local.scheduler.state / "jobs" / f"{job_id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "blue"}))
    assert (await local.seen(job_id)).alive


async def test_the_event_loop_goes_on_while_jobs_are_submitted(local: SchedulerCase):
    longest, last = 0.0, time.perf_counter()

    async def beat() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    await local.scheduler.describe()
    with index_of(local).locked():  # as when another process submits: ours has to wait
        beating = asyncio.create_task(beat())
        submitting = asyncio.create_task(local.submit(local.script(SLEEP)))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(submitting), 0.5)
    await submitting
    beating.cancel()
    assert longest < 0.25


def test_a_boot_has_a_name():
    assert len(boot_id()) == 36
