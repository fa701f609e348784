"""What every scheduler must do; a test module subclasses it and provides the fixture ``scheduler_case``."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from shopfloor_jobs.job import State, new_tag
from shopfloor_jobs.scheduler import SubmitRefused

from tests.jobs.case import SchedulerCase, processes_of
from tests.jobs.waiting import async_wait_until

# Writes a file whole: sys.argv[1] is the directory of evidence.
WRITE = """
import json, os, signal, subprocess, sys, time
def write(name, text):
    path = os.path.join(sys.argv[1], name)
    with open(path + ".new", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.rename(path + ".new", path)
"""
SLEEP = WRITE + "write('up-' + os.environ['SHOPFLOOR_INDEX'], 'up'); time.sleep(600)"

NASTY = {
    "NEWLINES": "one\ntwo\r\n\nthree\n",
    "QUOTES": """it's "quoted" `twice` \\ and 'again'""",
    "UNICODE": "Grüße, 世界 🚀",
    "SHELL": "$(touch /tmp/shopfloor-was-here) ${HOME} ; rm -rf x && | > < * ? ~",
    "DIRECTIVE": "\n#SBATCH --partition=gpu\n#SBATCH --comment=x\n",
    "EMPTY": "",
    "EQUALS": "a=b=c",
    "SPACES": "  leading and trailing\t ",
    "LONG": "x" * 100_000,
}


class SchedulerContract:
    async def test_a_command_gets_its_arguments_and_environment_exactly(
        self, scheduler_case: SchedulerCase
    ):
        arguments = [value for value in NASTY.values() if value]
        code = WRITE + "write('all', json.dumps([sys.argv[2:], dict(os.environ)]))"
        job = scheduler_case.script(code, *arguments, env={f"X_{k}": v for k, v in NASTY.items()})
        (job_id,) = await scheduler_case.submit(job)
        got_arguments, got_environment = json.loads(await scheduler_case.evidence("all"))
        assert got_arguments == arguments
        assert {k: v for k, v in got_environment.items() if k.startswith("X_")} == {
            f"X_{k}": v for k, v in NASTY.items()
        }
        assert got_environment["SHOPFLOOR_TAG"] == job.tag
        assert got_environment["SHOPFLOOR_INDEX"] == "0"
        assert Path(got_environment["SHOPFLOOR_JOB_DIR"]) == scheduler_case.directory(job)
        assert got_environment["HOME"] == str(scheduler_case.home)
        seen = await scheduler_case.until(job_id, State.ENDED)
        assert int(got_environment["SHOPFLOOR_ENDS"]) > (seen.started or 0)

    async def test_the_environment_is_in_no_file_and_in_no_command_line(
        self, scheduler_case: SchedulerCase
    ):
        secret = "s3cr3t-" + new_tag("x")[-16:]
        job = scheduler_case.script(SLEEP, env={"API_TOKEN": secret})
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.evidence("up-0")
        await scheduler_case.until(job_id, State.RUNNING)
        assert command_lines_with(secret) == []
        assert files_with(scheduler_case.directory(job), secret) == []
        await scheduler_case.scheduler.cancel(job.owner, [job_id])
        await scheduler_case.exit_record(job)
        assert files_with(scheduler_case.directory(job), secret) == []

    async def test_secrets_and_files_reach_the_command_and_are_gone_once_it_ended(
        self, scheduler_case: SchedulerCase
    ):
        code = WRITE + (
            "path = os.environ['A_FILE']\n"
            "modes = [oct(os.stat(one).st_mode)[-3:] for one in (path, os.path.dirname(path))]\n"
            "write('got', json.dumps([dict(os.environ), open(path).read(), modes]))"
        )
        secrets = {f"X_{name}": value for name, value in NASTY.items()}
        job = scheduler_case.script(code, secrets=secrets, files={"A_FILE": "one\ntwo\n"})
        await scheduler_case.submit(job)
        environment, text, modes = json.loads(await scheduler_case.evidence("got"))
        assert {name: environment[name] for name in secrets} == secrets
        assert (text, modes) == ("one\ntwo\n", ["600", "700"])
        assert (await scheduler_case.exit_record(job))["cause"] == "ended by itself"
        assert not (scheduler_case.directory(job) / "private").exists()

    async def test_what_a_stopped_job_was_given_is_kept_until_it_is_discarded(
        self, scheduler_case: SchedulerCase
    ):
        secret = "s3cr3t-" + new_tag("x")[-16:]
        job = scheduler_case.script(SLEEP, secrets={"TOKEN": secret}, files={"A_FILE": secret})
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.evidence("up-0")
        path = scheduler_case.directory(job)
        assert command_lines_with(secret) == []
        assert {Path(one).parent.name for one in files_with(path, secret)} == {"private"}
        await scheduler_case.scheduler.cancel(job.owner, [job_id])
        await scheduler_case.exit_record(job)
        assert files_with(path, secret)  # a job that is sent elsewhere needs them again
        for _ in range(2):
            await scheduler_case.scheduler.discard(job.owner, job.tag)
        assert files_with(path, secret) == []

    async def test_asking_twice_for_a_tag_gives_one_job(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script(SLEEP)
        first = await scheduler_case.submit(job)
        assert await scheduler_case.submit(job) == first
        await scheduler_case.evidence("up-0")
        assert [one.id for one in await of_tag(scheduler_case, job.tag)] == first

    async def test_asking_at_the_same_moment_for_a_tag_gives_one_job(
        self, scheduler_case: SchedulerCase
    ):
        job = scheduler_case.script(SLEEP)
        answers = await asyncio.gather(*(scheduler_case.submit(job) for _ in range(5)))
        assert answers == [answers[0]] * 5
        await scheduler_case.evidence("up-0")
        assert [one.id for one in await of_tag(scheduler_case, job.tag)] == answers[0]

    async def test_a_tag_whose_job_ended_can_be_started_again(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script("raise SystemExit(4)")
        (first,) = await scheduler_case.submit(job)
        await scheduler_case.until(first, State.ENDED)
        (second,) = await scheduler_case.submit(job)
        assert second != first
        await scheduler_case.until(second, State.ENDED)
        assert (await scheduler_case.exit_record(job))["code"] == 4

    async def test_copies_know_their_index(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script(SLEEP, memory=64 * 1024**2)
        ids = await scheduler_case.submit(job, count=3)
        assert len(set(ids)) == 3
        for index in range(3):
            await scheduler_case.evidence(f"up-{index}")
        await scheduler_case.scheduler.cancel(job.owner, [ids[1]])
        await scheduler_case.until(ids[1], State.ENDED)
        assert (await scheduler_case.exit_record(job, 1))["cause"] == "was stopped"
        for other in (ids[0], ids[2]):
            assert (await scheduler_case.until(other, State.RUNNING)).tag == job.tag

    async def test_a_look_tells_a_job_from_its_start_to_its_end(
        self, scheduler_case: SchedulerCase
    ):
        code = WRITE + (
            "write('up', 'yes')\nwhile not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.02)"
        )
        job = scheduler_case.script(code)
        (job_id,) = await scheduler_case.submit(job)
        seen = await scheduler_case.seen(job_id)
        assert seen, "a job is seen as soon as it is submitted"
        assert seen.alive
        running = await scheduler_case.until(job_id, State.RUNNING)
        assert (running.tag, running.owner) == (job.tag, job.owner)
        assert running.node and running.address and running.partition
        assert running.submitted and running.started
        assert running.ends == pytest.approx(running.started + job.request.time, abs=60)
        assert running.cause == ""
        await scheduler_case.evidence("up")
        (scheduler_case.command_dir / "go").touch()
        ended = await scheduler_case.until(job_id, State.ENDED)
        assert ended.cause == "ended by itself"
        await scheduler_case.gone(job.tag)

    async def test_an_exit_code_is_recorded(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script("print('last words'); raise SystemExit(3)")
        (job_id,) = await scheduler_case.submit(job)
        record = await scheduler_case.exit_record(job)
        assert (record["code"], record["signal"]) == (3, None)
        assert record["cause"] == "failed with exit code 3"
        assert record["tail"] == "last words"
        assert "failed" in (await scheduler_case.until(job_id, State.ENDED)).cause

    async def test_cancel_ends_daemons_too(self, scheduler_case: SchedulerCase):
        code = WRITE + (
            "subprocess.Popen(['sleep', '601'])\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        write('daemon', str(os.getpid())); time.sleep(602)\n"
            "    os._exit(0)\n"
            "os.wait()\n"
            "time.sleep(603)"
        )
        job = scheduler_case.script(code)
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.evidence("daemon")
        assert len(processes_of(job.tag)) >= 3
        await scheduler_case.until(job_id, State.RUNNING)
        await scheduler_case.scheduler.cancel(job.owner, [job_id])
        await scheduler_case.gone(job.tag)
        seen = await scheduler_case.until(job_id, State.ENDED)
        assert "stopped" in seen.cause or "cancelled" in seen.cause

    async def test_what_a_command_leaves_behind_ends_with_it(self, scheduler_case: SchedulerCase):
        code = WRITE + (
            "subprocess.Popen(['sleep', '604'], start_new_session=True)\nwrite('done', 'yes')"
        )
        job = scheduler_case.script(code)
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.evidence("done")
        await scheduler_case.until(job_id, State.ENDED)
        await scheduler_case.gone(job.tag)

    async def test_cancelling_what_is_unknown_or_ended_is_no_error(
        self, scheduler_case: SchedulerCase
    ):
        ended, living = scheduler_case.script("pass"), scheduler_case.script(SLEEP)
        (ended_id,) = await scheduler_case.submit(ended)
        (living_id,) = await scheduler_case.submit(living)
        await scheduler_case.until(ended_id, State.ENDED)
        owner, scheduler = scheduler_case.owner, scheduler_case.scheduler
        await scheduler.cancel(owner, [ended_id, "99999999", "no such id", "../1", "-1", ""])
        await scheduler.signal(owner, [ended_id, "99999999"], signal.SIGUSR1)
        await scheduler.cancel(owner, [])
        await scheduler_case.evidence("up-0")
        await scheduler_case.until(living_id, State.RUNNING)

    async def test_nobody_can_end_or_signal_anothers_job(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script(SLEEP)
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.evidence("up-0")
        await scheduler_case.scheduler.signal(scheduler_case.other, [job_id], signal.SIGUSR1)
        await scheduler_case.scheduler.cancel(scheduler_case.other, [job_id])
        # USR1 would end it. That its own signal still arrives proves that no earlier one did.
        await scheduler_case.until(job_id, State.RUNNING)
        await scheduler_case.scheduler.signal(job.owner, [job_id], signal.SIGINT)
        record = await scheduler_case.exit_record(job)
        assert record["signal"] == signal.SIGINT or "KeyboardInterrupt" in record["tail"]

    async def test_a_signal_reaches_the_command(self, scheduler_case: SchedulerCase):
        code = WRITE + (
            "signal.signal(signal.SIGUSR1, lambda *_: write('signalled', 'yes'))\n"
            "write('ready', 'yes')\n"
            "while True: time.sleep(0.05)"
        )
        job = scheduler_case.script(code)
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.evidence("ready")
        await scheduler_case.until(job_id, State.RUNNING)
        await scheduler_case.scheduler.signal(job.owner, [job_id], signal.SIGUSR1)
        assert await scheduler_case.evidence("signalled") == "yes"
        assert (await scheduler_case.until(job_id, State.RUNNING)).alive

    async def test_a_job_over_its_memory_is_ended_and_the_cause_says_so(
        self, scheduler_case: SchedulerCase
    ):
        code = "kept = []\nfor _ in range(100): kept.append(bytearray(b'x') * (8 << 20))\n"
        job = scheduler_case.script(code + "import time; time.sleep(600)", memory=128 * 1024**2)
        (job_id,) = await scheduler_case.submit(job)
        seen = await scheduler_case.until(job_id, State.ENDED)
        assert "ran out of memory" in seen.cause
        await scheduler_case.gone(job.tag)

    async def test_what_the_scheduler_cannot_give_is_refused_in_its_words(
        self, scheduler_case: SchedulerCase
    ):
        job = scheduler_case.script(SLEEP, cpus=90_000)
        with pytest.raises(SubmitRefused, match=scheduler_case.refusal):
            await scheduler_case.submit(job)
        assert await of_tag(scheduler_case, job.tag) == []
        assert processes_of(job.tag) == {}

    async def test_the_jobs_directory_is_the_owners_alone(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script("print('hello')")
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.until(job_id, State.ENDED)
        directory = scheduler_case.directory(job)
        assert directory.stat().st_mode & 0o777 == 0o700
        files = {path.name: path.stat().st_mode & 0o077 for path in directory.iterdir()}
        assert {"request.json", "script", "output-0.log", "start-0.json", "exit-0.json"} <= set(
            files
        )
        assert {name for name, mode in files.items() if mode} == set()

    async def test_the_tail_is_the_last_lines(self, scheduler_case: SchedulerCase):
        job = scheduler_case.script("for n in range(1000): print('line', n)")
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.until(job_id, State.ENDED)

        async def tail() -> bool:
            text = await scheduler_case.scheduler.tail(job.owner, job.tag, lines=2)
            return text == "line 998\nline 999"

        await async_wait_until(tail, scheduler_case.seconds, "the tail holds the last two lines")
        unknown = await scheduler_case.scheduler.tail(job.owner, new_tag("test"))
        assert unknown == ""

    async def test_a_command_that_is_not_there_ends_with_its_name(
        self, scheduler_case: SchedulerCase
    ):
        job = scheduler_case.job("/no/such/command")
        (job_id,) = await scheduler_case.submit(job)
        record = await scheduler_case.exit_record(job)
        assert record["cause"] == "the command /no/such/command was not found"
        assert record["code"] == 127
        await scheduler_case.until(job_id, State.ENDED)

    async def test_the_machine_is_described(self, scheduler_case: SchedulerCase):
        described = await scheduler_case.scheduler.describe()
        assert described.name and described.version
        for partition in described.partitions:
            assert partition.nodes >= 1 and partition.cpus >= 1
            assert partition.memory >= 64 * 1024**2
            assert all(count >= 1 for count in partition.gpus.values())
        assert [partition.default for partition in described.partitions].count(True) == 1
        job = scheduler_case.script(SLEEP)
        (job_id,) = await scheduler_case.submit(job)
        running = await scheduler_case.until(job_id, State.RUNNING)
        assert described.addresses[running.node] == running.address
        assert described.partition(running.partition)


class TimeLimitContract:
    """Apart, because Slurm counts in minutes; the case's request has the shortest time that can be asked."""

    async def test_a_job_over_its_time_is_ended_and_the_cause_says_so(
        self, scheduler_case: SchedulerCase
    ):
        job = scheduler_case.script(SLEEP)
        (job_id,) = await scheduler_case.submit(job)
        seen = await scheduler_case.until(job_id, State.ENDED)
        assert "reached its time limit" in seen.cause
        await scheduler_case.gone(job.tag)


async def of_tag(case: SchedulerCase, tag: str) -> list:
    return [one for one in await case.scheduler.look() if one.tag == tag]


def command_lines_with(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if text.encode() in command:
            found.append(command.decode(errors="replace"))
    return found


def files_with(directory: Path, text: str) -> list[str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if text.encode() in path.read_bytes()]
