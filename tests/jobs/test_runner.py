"""The runner by itself, as a scheduler runs it: one process beside one command."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs import runner
from shopfloor_jobs.directory import read_json, runner_source

from tests.jobs.case import processes_of
from tests.jobs.contract import SLEEP, WRITE
from tests.jobs.waiting import wait_until

MB = 1024**2
TAG = "shopfloor-test-0123456789abcdef"


class Running:
    """A runner that was started, and its directory."""

    def __init__(self, path: Path, env: dict[str, str] | None, index: int):
        self.path, self.index = path, index
        with (path / f"output-{index}.log").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-IS", runner.__file__, str(path), str(index)],
                env={**os.environ, **(env or {})},
                stdout=output,
                stderr=output,
            )

    def evidence(self, name: str) -> str:
        file = self.path / name
        wait_until(file.exists, 10, f"{name} is written")
        return file.read_text()

    def end(self, seconds: float = 15) -> dict[str, Any]:
        """The exit record."""
        self.status = self.process.wait(seconds)
        record = read_json(self.path / f"exit-{self.index}.json")
        assert record, (self.path / f"output-{self.index}.log").read_text()
        return record


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running = []

    def start(
        *command: str,
        memory: int | None = None,
        time: float | None = None,
        grace: float = 1,
        request_time: float = 600,
        env: dict[str, str] | None = None,
        index: int = 0,
        **keep: Any,
    ) -> Running:
        limits = {"memory": memory, "time": time, "grace": grace, **keep}
        job = {
            "tag": TAG,
            "command": [word.replace("EVIDENCE", str(tmp_path)) for word in command],
            "request": {"memory": memory or 512 * MB, "time": time or request_time},
            "runner": limits,
        }
        (tmp_path / "request.json").write_text(json.dumps(job))
        running.append(Running(tmp_path, env, index))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.wait()
        for pid in processes_of(TAG):
            os.kill(pid, signal.SIGKILL)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, "EVIDENCE")


def test_it_needs_nothing_but_the_standard_library():
    names = set()
    for node in ast.walk(ast.parse(runner_source())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(str(node.module).split(".")[0])
    assert names <= sys.stdlib_module_names


def test_its_syntax_is_that_of_old_nodes():
    ast.parse(runner_source(), feature_version=(3, 8))


def test_a_command_that_ends_well_says_so(start: Start):
    one = start("true")
    record = one.end()
    assert (record["code"], record["signal"], record["cause"]) == (0, None, "ended by itself")
    assert one.status == 0


def test_its_exit_status_is_the_commands(start: Start):
    one = start("sh", "-c", "exit 3")
    assert one.end()["cause"] == "failed with exit code 3"
    assert one.status == 3


@pytest.mark.parametrize(
    ("number", "cause"), [(9, "killed by signal 9 (SIGKILL)"), (40, "killed by signal 40")]
)
def test_a_command_that_is_killed_says_by_which_signal(start: Start, number: int, cause: str):
    one = start("sh", "-c", f"kill -{number} $$")
    record = one.end()
    assert (record["code"], record["signal"], record["cause"]) == (None, number, cause)
    assert one.status == 128 + number


@pytest.mark.parametrize(
    ("command", "cause", "status"),
    [
        ("/no/such", "the command /no/such was not found", 127),
        ("nosuchcommand", "the command nosuchcommand was not found", 127),
        ("/etc/passwd", "the command /etc/passwd cannot be run: Permission denied", 126),
        ("a\0b", "the command a\0b cannot be run: embedded null byte", 126),
    ],
)
def test_a_command_that_cannot_start_says_why(start: Start, command: str, cause: str, status: int):
    one = start(command)
    record = one.end()
    assert (record["cause"], record["code"], one.status) == (cause, status, status)


def test_a_file_that_is_no_program_says_so(start: Start, tmp_path: Path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fnot a program")
    program.chmod(0o755)
    assert "cannot be run: Exec format error" in start(str(program)).end()["cause"]


def test_the_command_has_a_session_default_signals_and_none_blocked(start: Start):
    code = WRITE + (
        "mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "ignored = [n for n in (1, 2, 10, 12, 13, 15, 17) if signal.getsignal(n) == signal.SIG_IGN]\n"
        "write('facts', json.dumps([os.getsid(0) == os.getpid(), list(mask), ignored]))"
    )
    one = start(*python(code))
    one.end()
    # Python itself ignores SIGPIPE.
    assert json.loads(one.evidence("facts")) == [True, [], [13]]


def test_the_start_record_says_where_and_until_when(start: Start):
    one = start(*python(SLEEP), index=2, env={"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "1"})
    one.evidence("up-2")
    record = wait_until(lambda: read_json(one.path / "start-2.json"), 20, "it is recorded")
    assert record["pid"] == one.process.pid
    assert record["host"] == os.uname().nodename
    assert record["ends"] == record["started"] + 600
    assert (record["job_id"], record["cuda_visible_devices"]) == ("7", "1")


def test_slurm_tells_an_arrays_copies_and_the_end(start: Start, tmp_path: Path):
    env = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "3"}
    one = start("sh", "-c", "echo $SHOPFLOOR_ENDS", env={**env, "SLURM_JOB_END_TIME": "5000000000"})
    one.end()
    assert (read_json(tmp_path / "start-0.json") or {})["job_id"] == "8_3"
    assert (tmp_path / "output-0.log").read_text() == "5000000000\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_are_passed_on_and_do_not_stop_the_job(start: Start, number: int):
    code = WRITE + (
        f"signal.signal({int(number)}, lambda *_: write('signalled', 'yes'))\n"
        "write('ready', 'yes')\n"
        "while not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.02)"
    )
    one = start(*python(code))
    one.evidence("ready")
    one.process.send_signal(number)
    one.evidence("signalled")
    (one.path / "go").touch()
    assert one.end()["cause"] == "ended by itself"


def test_a_stop_reaches_the_command_once_however_often_it_is_asked(start: Start):
    code = WRITE + (
        "seen = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: (seen.append(1), write('first', 'yes')))\n"
        "write('ready', 'yes')\n"
        "while not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.02)\n"
        "print(len(seen))"
    )
    one = start(*python(code), grace=20)
    one.evidence("ready")
    one.process.terminate()
    one.evidence("first")
    one.process.terminate()
    (one.path / "go").touch()
    record = one.end()
    assert (record["cause"], record["tail"]) == ("was stopped", "1")


def test_a_command_that_ignores_a_stop_is_killed_after_the_grace(start: Start):
    code = (
        WRITE
        + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwrite('ready', 'yes')\ntime.sleep(60)"
    )
    one = start(*python(code), grace=0.3)
    one.evidence("ready")
    one.process.terminate()
    record = one.end(5)
    assert (record["cause"], record["signal"]) == ("was stopped", signal.SIGKILL)


def test_a_stop_before_the_end_of_slurms_time_is_the_time_limit(start: Start):
    one = start(*python(SLEEP), request_time=4)
    one.evidence("up-0")
    one.process.terminate()
    assert one.end()["cause"] == "reached its time limit of 4 s"


def test_a_stop_within_the_announced_warning_is_the_time_limit(start: Start):
    one = start(*python(SLEEP), request_time=170, warning=120)
    one.evidence("up-0")
    one.process.terminate()
    assert one.end()["cause"] == "reached its time limit of 2 min"


def test_before_its_time_limit_a_command_is_asked_to_end(start: Start):
    code = WRITE + (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('saved'))\nwrite('ready', 'yes')\n"
        "time.sleep(60)"
    )
    one = start(*python(code), time=4, warning=3)
    record = one.end()
    assert record["cause"] == "reached its time limit of 4 s"
    assert (record["code"], record["tail"]) == (1, "saved")
    started = (read_json(one.path / "start-0.json") or {})["started"]
    assert record["ended"] < started + 4


def test_at_its_time_limit_a_command_is_killed(start: Start):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    one = start(*python(code), time=1.5)
    record = one.end()
    started = (read_json(one.path / "start-0.json") or {})["started"]
    assert record["cause"] == "reached its time limit of 1.5 s"
    assert record["signal"] == signal.SIGKILL
    assert 1.4 < record["ended"] - started < 5


def test_memory_counts_the_whole_tree(start: Start):
    child = "x = bytearray(b'x') * (60 << 20); import time; time.sleep(60)"
    code = (
        "import subprocess, sys, time\n"
        f"for _ in range(3): subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(60)"
    )
    one = start(*python(code), memory=130 * MB)
    told = re.fullmatch(r"ran out of memory: asked 130 MB, used (\d+) MB", one.end()["cause"])
    assert told
    assert 130 < int(told[1]) < 300
    assert processes_of(TAG) == {}


def test_memory_that_processes_share_counts_once(start: Start):
    code = WRITE + (
        "shared = bytearray(b'x') * (80 << 20)\n"
        "for _ in range(2):\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "write('up', 'yes'); time.sleep(60)"
    )
    one = start(*python(code), memory=160 * MB)
    one.evidence("up")
    # The first sample is written a second in: several looks have been taken by then.
    use = wait_until(lambda: read_json(one.path / "use-0.json"), 10, "use is sampled")
    assert 80 * MB < use["memory"] < 160 * MB
    assert one.process.poll() is None


def test_use_is_sampled(start: Start):
    code = "while True: pass"
    one = start(*python(code))
    use = wait_until(lambda: read_json(one.path / "use-0.json"), 10, "use is sampled")
    assert 0.05 < use["cpu_seconds"] < 2
    assert 2 * MB < use["memory"] <= use["memory_peak"] < 100 * MB


def test_what_ignores_the_end_of_its_command_is_killed(start: Start):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    code = WRITE + (
        f"child = subprocess.Popen([sys.executable, '-c', {stubborn!r}],"
        " stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline()"
    )
    one = start(*python(code), grace=0.3)
    assert one.end()["cause"] == "ended by itself"
    assert processes_of(TAG) == {}


LEAVE = WRITE + "write('ending-0.json', json.dumps({'cause': %r}))\n"


def test_a_command_that_ends_itself_may_say_why(start: Start):
    one = start(*python(LEAVE % "ended after 2 h without work" + "sys.exit(1)"))
    assert one.end()["cause"] == "ended after 2 h without work"
    assert one.status == 1


def test_what_a_command_says_of_its_end_is_one_short_line(start: Start):
    assert start(*python(LEAVE % ("a\n" + "b" * 1000))).end()["cause"] == "a " + "b" * 198


@pytest.mark.parametrize("text", ["", "[]", '{"cause": 7}', "{}", "\udcff"])
def test_what_is_no_cause_is_passed_over(start: Start, text: str):
    code = f"open(sys.argv[1] + '/ending-0.json', 'w', errors='surrogateescape').write({text!r})"
    assert start(*python("import sys; " + code)).end()["cause"] == "ended by itself"


def test_who_is_stopped_from_outside_was_stopped_whatever_it_says(start: Start):
    one = start(*python(LEAVE % "left" + "write('up-0', 'yes'); time.sleep(60)"))
    one.evidence("up-0")
    one.process.terminate()
    assert one.end()["cause"] == "was stopped"


def test_the_words_of_an_earlier_run_are_not_taken_for_this_ones(start: Start, tmp_path: Path):
    (tmp_path / "ending-0.json").write_text('{"cause": "left"}')
    assert start("true").end()["cause"] == "ended by itself"


@pytest.mark.parametrize(
    ("keep", "before"), [({}, 0), ({"time": 600}, 30), ({"warning": 120}, 120)]
)
def test_the_start_record_says_when_the_command_is_asked_to_end(
    start: Start, keep: dict[str, float], before: float
):
    one = start("true", **keep)
    one.end()
    record = read_json(one.path / "start-0.json") or {}
    assert record["ends"] - record["stops"] == pytest.approx(before)


def test_a_record_of_an_earlier_run_is_not_taken_for_this_one(start: Start, tmp_path: Path):
    (tmp_path / "exit-0.json").write_text('{"code": 9}')
    one = start(*python(SLEEP))
    one.evidence("up-0")
    assert not (tmp_path / "exit-0.json").exists()


def test_the_tail_is_short_and_survives_binary_output(start: Start):
    one = start("sh", "-c", "seq 100000; printf '\\377\\n'")
    tail = one.end()["tail"].splitlines()
    assert (len(tail), tail[-2], tail[-1]) == (20, "100000", "\ufffd")


def test_the_process_table_agrees_with_the_kernels_lists_of_children(start: Start):
    code = WRITE + "subprocess.Popen(['sleep', '60'])\nwrite('up', 'yes')\ntime.sleep(60)"
    one = start(*python(code))
    one.evidence("up")
    found = runner.descendants(one.process.pid)
    table = runner.process_table()
    (command,) = table[one.process.pid]
    assert found == [command, *table[command]]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(45, "45 s"), (60, "1 min"), (3600, "1 h"), (5400, "1 h 30 min"), (90000, "25 h")],
)
def test_times_are_told_in_words(seconds: int, words: str):
    assert runner.span(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(100 * MB, "100 MB"), (1024 * MB, "1024 MB"), (4096 * MB, "4.0 GB")]
)
def test_sizes_are_told_in_words(number: int, words: str):
    assert runner.size(number) == words
