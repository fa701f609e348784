"""The server's own job, over HTTP of a real Jupyter server: time left, use, what counts as work, and the end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.request import Request

from tests.jobs.waiting import wait_until

from .lab_server import LabServer
from .session_parts import GB, TAG, BusyKernel, JobServer

WATCHED = Rule(after=600, warning=2)  # looks five times a second, and never ends while a test runs
SHORT = Rule(after=4, warning=2)
Start = Callable[..., JobServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[JobServer] = []

    def start(rule: Rule, **options: object) -> JobServer:
        servers.append(JobServer(tmp_path / f"home-{len(servers)}", rule, **options))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    server = JobServer(tmp_path_factory.mktemp("session") / "home", WATCHED)
    yield server
    server.stop()


def test_a_server_that_is_no_job_says_so(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    server = LabServer(tmp_path, tmp_path / "files", SHOPFLOOR_JOB_DIR="")
    try:
        assert server.ask("GET", "session").json() == {"job": None}
        assert server.ask("POST", "session/keep").status_code == 204
    finally:
        server.stop()


def test_it_says_what_the_job_was_given_and_what_is_left_of_it(watched: JobServer) -> None:
    seen = watched.session()
    assert seen["job"] == TAG and seen["request"]["memory"] == 4 * GB
    assert 7000 < seen["time"]["left"] <= 7200 and seen["time"]["warning"] is None
    assert seen["idle"]["state"] == "active" and seen["idle"]["left"] is None
    assert seen["memory_ends"] == "kernel"


def test_it_says_what_the_job_uses(watched: JobServer) -> None:
    use = wait_until(
        lambda: (found := watched.session()["use"]) and found["cpu"] is not None and found,
        10,
        "a second look is taken",
    )
    assert set(use) == {
        *("cpu", "cpu_limit", "memory", "memory_limit", "gpus", "home_free", "home_size")
    }
    assert 20 * 1024**2 < use["memory"] < GB and use["memory_limit"] == 4 * GB
    assert use["gpus"] == [] and use["cpu_limit"] == 1
    assert 0 < use["home_free"] <= use["home_size"]


def test_warnings_are_due_when_little_time_is_left(start: Start) -> None:
    server = start(Rule(), request=Request(time=400), stops_in=190)
    seen = server.session()
    assert 100 < seen["time"]["left"] <= 190 and seen["time"]["warning"] == 200
    assert seen["idle"]["state"] == "off"


def test_pages_hear_of_it_on_the_stream_that_they_have_anyway(watched: JobServer) -> None:
    events = watched.socket("events/subscribe")
    try:
        heard = [json.loads(events.recv()) for _ in range(2)]
    finally:
        events.close()
    for event in heard:
        assert event["schema_id"] == "urn:shopfloor:session"
        assert set(event["session"]) == set(watched.session())
    assert heard[1]["session"]["time"]["left"] < heard[0]["session"]["time"]["left"]


def test_open_pages_are_not_work(watched: JobServer) -> None:
    def as_a_page_asks() -> bool:
        for path in ("kernels", "sessions", "terminals", "contents", "status"):
            watched.jupyter("GET", path)
        return watched.quiet() > 2

    wait_until(as_a_page_asks, 30, "nothing works for two seconds while a page asks on")


def keep(server: JobServer) -> None:
    assert server.ask("POST", "session/keep").status_code == 204


def save_a_file(server: JobServer) -> None:
    body = {"type": "file", "format": "text", "content": str(time.time())}
    server.jupyter("PUT", "contents/notes.txt", body)


def type_in_a_terminal(server: JobServer) -> None:
    name = server.jupyter("POST", "terminals").json()["name"]
    server.wait_quiet(1)
    terminal = server.socket(name, "terminals/websocket/")
    terminal.send(json.dumps(["stdin", "echo hello\r"]))
    terminal.close()


def run_a_cell(server: JobServer) -> None:
    kernel = BusyKernel(server)
    kernel.until(kernel.run("1"), "execute_reply")
    server.wait_quiet(1)
    kernel.until(kernel.run("2"), "execute_reply")


@pytest.mark.parametrize("act", [keep, save_a_file, type_in_a_terminal, run_a_cell])
def test_it_is_work(watched: JobServer, act: Callable[[JobServer], None]) -> None:
    watched.wait_quiet(1)
    act(watched)
    wait_until(lambda: watched.quiet() < 1, 20, f"{act.__name__} counts as work")


def test_a_program_that_computes_without_a_word_is_work(watched: JobServer) -> None:
    kernel = BusyKernel(watched)
    compute = f"subprocess.Popen([{sys.executable!r}, '-c', 'while True: pass'])"
    kernel.until(
        kernel.run(f"import subprocess; child = {compute}; print(child.pid)"), "execute_reply"
    )
    try:
        began = time.monotonic()
        while time.monotonic() < began + 3:
            assert watched.quiet() < 1.5
    finally:
        kernel.until(kernel.run("child.kill(); child.wait()"), "execute_reply")
    watched.wait_quiet(1)


def test_without_work_it_warns_and_then_ends_itself_saying_why(start: Start) -> None:
    server = start(SHORT)
    warned = wait_until(
        lambda: (found := server.session()["idle"])["state"] == "warned" and found, 20, "it warns"
    )
    assert 0 < warned["left"] <= SHORT.warning and warned["after"] == 4
    assert server.cause() == "ended after 4 s without work"
    log = server.log.read_text()
    assert "Idle rule: warned after 2 s without work (" in log
    assert "Idle rule: expired after 4 s without work (the person's hand: 2" in log
    assert "Traceback" not in log


def test_who_is_kept_goes_on_and_is_warned_again(start: Start) -> None:
    server = start(SHORT)
    wait_until(lambda: server.session()["idle"]["state"] == "warned", 20, "it warns")
    keep(server)
    assert server.cause() == "ended after 4 s without work"
    decided = re.findall(r"Idle rule: (\w+) after", server.log.read_text())
    assert decided == ["active", "warned", "active", "warned", "expired"]


def test_it_is_never_ended_while_a_cell_runs(start: Start) -> None:
    server = start(SHORT)
    kernel = BusyKernel(server)
    server.session()  # it is watched from now on
    cell = kernel.run("import time; time.sleep(12); print('done')")
    assert kernel.until(cell, "stream")["text"] == "done\n"
    assert "expired" not in server.log.read_text()
    assert kernel.until(cell, "execute_reply")["status"] == "ok"
    kernel.channels.close()
    assert server.cause() == "ended after 4 s without work"


def test_not_even_when_the_server_takes_its_kernel_for_idle(start: Start) -> None:
    """What a widget asks of a kernel beside a running cell makes Jupyter's server forget the cell."""
    server = start(SHORT)
    kernel = BusyKernel(server)
    server.session()  # it is watched from now on
    made = kernel.send("create_subshell_request", {}, channel="control")
    subshell = kernel.until(made, "create_subshell_reply")["subshell_id"]
    cell = kernel.run("import time; time.sleep(12); print('done')")
    kernel.until(cell, "execute_input")
    inspected = kernel.send(
        "inspect_request",
        {"code": "time", "cursor_pos": 4, "detail_level": 0},
        subshell_id=subshell,
    )
    kernel.until(inspected, "inspect_reply")
    wait_until(lambda: kernel.state == "idle", 10, "the server takes the kernel for idle")
    assert kernel.until(cell, "stream")["text"] == "done\n"
    assert "expired" not in server.log.read_text()


def test_saves_that_the_end_itself_brings_about_do_not_put_it_off(start: Start) -> None:
    server = start(Rule(after=8, warning=4))
    final = server.session()["idle"]["final"]
    assert final == 1

    def in_the_last_moment() -> bool:
        left = server.session()["idle"]["left"]
        return left is not None and left < final - 0.3

    wait_until(in_the_last_moment, 20, "the end is near")
    save_a_file(server)
    assert server.process.wait(10) == 0
    assert "Idle rule: active after" not in server.log.read_text().partition("warned")[2]


def test_importing_the_routes_loads_nothing_that_a_start_would_wait_for() -> None:
    code = (
        "import sys, shopfloor_lab.session.handlers\n"
        "print([one for one in ('pynvml', 'shopfloor_lab.session.watch') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
