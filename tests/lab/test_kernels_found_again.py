"""Kernels that are jobs, and a Lab server that ends or is killed: the next one has them again, with their documents."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs import directory
from shopfloor_lab.kernels.kept import KEPT
from shopfloor_lab.kernels.order import ORDER

from tests.jobs.waiting import wait_until

from .cluster_parts import Person
from .job_kernels import IPYTHON, kernelspec, leave_offer
from .lab_server import LabServer
from .pages import execute, opened, printed

NOTEBOOK = "work/flights.ipynb"
KEEPS = "kept = 36"


class Visits:
    """One Lab server after another of the same person's."""

    def __init__(self, person: Person, **environment: str):
        self.person = person
        leave_offer(person.home, person.offer)
        kernelspec(person.home / "data", "plain", IPYTHON, "python", {}, metadata={})
        (person.home / "work").mkdir()
        self.begin(**environment)

    def begin(self, **environment: str) -> None:
        self.server = LabServer(self.person.home, self.person.home, **environment)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Of our own API, and of Jupyter's where the path begins with ``api/``."""
        path = f"../../{path}" if path.startswith("api/") else path
        answer = self.server.ask(method, path, body)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def start(self, path: str = NOTEBOOK, **request: Any) -> str:
        """A kernel for the notebook, with its session."""
        body = {"name": "plain", "request": request, "path": path}
        kernel = str(self.ask("POST", "job-kernels", body)["id"])
        session = {"path": path, "name": "", "type": "notebook", "kernel": {"id": kernel}}
        made = self.ask("POST", "api/sessions", session)
        assert made["kernel"]["id"] == kernel
        return kernel

    def row(self, kernel: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"job-kernels/{kernel}"))

    def until(self, kernel: str, holds: Callable[[dict[str, Any]], bool], what: str) -> Any:
        return wait_until(lambda: (row := self.row(kernel)) and holds(row) and row, 40, what)

    def running(self, kernel: str) -> dict[str, Any]:
        return dict(self.until(kernel, lambda row: row["state"] == "running", "it runs"))

    def kill(self) -> None:
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(10)

    def close(self) -> None:
        if self.server.process.poll() is None:
            for kernel in self.ask("GET", "api/kernels"):
                self.ask("DELETE", f"api/kernels/{kernel['id']}")
            self.server.stop()

    def say(self, kernel: str, code: str) -> str:
        page = opened(self.server, kernel)
        try:
            return printed(page, execute(page, code))
        finally:
            page.close()


@pytest.fixture
def visits(person: Person) -> Iterator[Visits]:
    made = Visits(person)
    yield made
    made.close()


@pytest.mark.parametrize(
    "end", [Visits.kill, lambda visits: visits.server.stop()], ids=["killed", "ended"]
)
def test_the_next_server_has_kernel_and_session_again(visits: Visits, end):
    kernel = visits.start(cpus=1)
    before = visits.running(kernel)
    assert (before["path"], before["chosen"], before["name"]) == (NOTEBOOK, {"cpus": 1}, "plain")
    assert visits.say(kernel, f"{KEEPS}; print('kept')") == "kept\n"
    end(visits)
    visits.begin()
    [session] = visits.ask("GET", "api/sessions")
    assert (session["path"], session["kernel"]["id"]) == (NOTEBOOK, kernel)
    after = visits.running(kernel)
    assert (after["tag"], after["asked"]) == (before["tag"], before["asked"])
    assert visits.say(kernel, "print(kept)") == "36\n"
    visits.ask("POST", f"api/kernels/{kernel}/restart")
    assert visits.say(kernel, "print('kept' in globals())") == "False\n"
    visits.ask("DELETE", f"api/sessions/{session['id']}")
    wait_until(lambda: not visits.person.processes_of_jobs(), 15, "its job has ended")
    assert visits.ask("GET", "job-kernels")["kernels"] == []


def test_a_renamed_notebook_is_found_by_its_new_name(visits: Visits):
    kernel = visits.start()
    visits.running(kernel)
    [session] = visits.ask("GET", "api/sessions")
    visits.ask("PATCH", f"api/sessions/{session['id']}", {"path": "work/delays.ipynb"})
    visits.until(kernel, lambda row: row["path"] == "work/delays.ipynb", "the list has it")
    path = next(directory.jobs_root(visits.person.home).glob(f"*/{KEPT}"))
    wait_until(lambda: "delays" in path.read_text(), 20, "it is written down")
    visits.kill()
    visits.begin()
    [session] = visits.ask("GET", "api/sessions")
    assert session["path"] == "work/delays.ipynb"


def test_a_kernel_that_ended_meanwhile_says_why(visits: Visits):
    kernel = visits.start()
    row = visits.running(kernel)
    visits.kill()
    directory_of = directory.directory_of(visits.person.home, row["tag"])
    [runner] = visits.person.processes_of_jobs()
    runner.terminate()
    wait_until(lambda: directory.exit_record(directory_of), 15, "its job has ended")
    visits.begin()
    assert visits.ask("GET", "api/sessions") == []
    [shown] = visits.ask("GET", "job-kernels")["kernels"]
    assert (shown["id"], shown["state"], shown["cause"]) == (kernel, "ended", "was stopped")
    wait_until(lambda: not (directory_of / "private").exists(), 10, "its keys are removed")
    visits.ask("DELETE", f"job-kernels/{kernel}")
    visits.server.stop()
    visits.begin()
    assert visits.ask("GET", "job-kernels")["kernels"] == []


def test_one_that_ended_is_listed_until_its_notebook_has_another_job(visits: Visits):
    first = visits.start()
    visits.running(first)
    [runner] = visits.person.processes_of_jobs()
    runner.terminate()
    visits.until(first, lambda row: row["state"] == "ended", "it has ended")
    second = visits.start()
    wait_until(
        lambda: [row["id"] for row in visits.ask("GET", "job-kernels")["kernels"]] == [second],
        5,
        "the second alone is listed",
    )


def test_what_one_printed_that_ended_stays_until_its_notebook_is_saved_with_it(visits: Visits):
    first = visits.start()
    visits.running(first)
    runs = f"job-kernels/{first}/runs"
    page = opened(visits.server, first)
    printed(page, execute(page, "print('the only copy')", cellId="c1"))
    page.close()
    assert visits.server.ask("DELETE", runs).status_code == 409
    [runner] = visits.person.processes_of_jobs()
    runner.terminate()
    visits.until(first, lambda row: row["unsaved"], "it has ended, and left what it printed")
    second = visits.start()
    tag = visits.running(second)["tag"]
    kept = directory.directory_of(visits.person.home, tag) / KEPT
    wait_until(lambda: NOTEBOOK in kept.read_text(), 20, "its session is written down")
    visits.kill()
    visits.begin()
    visits.ask("GET", "api/sessions")
    [run] = visits.ask("GET", runs)["runs"]
    assert run["outputs"][0]["text"] == "the only copy\n"
    visits.ask("DELETE", runs)
    assert first not in [row["id"] for row in visits.ask("GET", "job-kernels")["kernels"]]


@pytest.mark.parametrize(
    "tag", ["", "shopfloor-server-0123456789abcdef"], ids=["by hand", "in its job"]
)
def test_a_living_server_keeps_its_kernels_from_a_second_one(person: Person, tag: str):
    visits = Visits(person, SHOPFLOOR_TAG=tag)
    kernel = visits.start()
    visits.running(kernel)
    first = visits.server
    visits.begin(SHOPFLOOR_TAG=tag)
    try:
        assert visits.ask("GET", "api/sessions") == []
        assert visits.ask("GET", "job-kernels")["kernels"] == []
    finally:
        visits.server.stop()
        visits.server = first
    assert visits.running(kernel)["id"] == kernel
    visits.close()


def test_another_program_with_the_number_of_the_server_that_had_it_does_not_keep_it(
    visits: Visits,
):
    kernel = visits.start()
    path = directory.directory_of(visits.person.home, visits.running(kernel)["tag"]) / KEPT
    visits.kill()
    kept = json.loads(path.read_text())
    kept["holder"]["pid"] = os.getpid()
    path.write_text(json.dumps(kept))
    visits.begin()
    assert [row["id"] for row in visits.ask("GET", "job-kernels")["kernels"]] == [kernel]


@pytest.mark.parametrize("file", [KEPT, "request.json", f"private/{ORDER}"])
def test_a_record_that_is_not_whole_costs_that_kernel_only(visits: Visits, file: str):
    kernels = [visits.start(), visits.start("work/delays.ipynb")]
    tags = [visits.running(kernel)["tag"] for kernel in kernels]
    visits.kill()
    whole = directory.directory_of(visits.person.home, tags[0]) / file
    text = whole.read_text()
    for broken in (text[: len(text) // 2], json.dumps({name: [1] for name in json.loads(text)})):
        whole.write_text(broken)
        visits.begin()
        assert [row["id"] for row in visits.ask("GET", "job-kernels")["kernels"]] == kernels[1:]
        visits.kill()
    whole.write_text(text)
    visits.begin()
    assert len(visits.ask("GET", "job-kernels")["kernels"]) == 2


def test_a_kernel_that_computes_is_open_at_once_for_the_next_server(visits: Visits):
    kernel = visits.start()
    visits.running(kernel)
    page = opened(visits.server, kernel)
    execute(page, "import time\nfor n in range(600): print(n, flush=True); time.sleep(0.1)")
    visits.until(kernel, lambda row: row["execution"] == "busy", "it computes")
    visits.kill()
    visits.begin()
    visits.running(kernel)
    again = opened(visits.server, kernel)
    told = wait_until(lambda: json.loads(again.recv()), 10, "it is heard while the cell runs")
    assert told
    wait_until(
        lambda: visits.ask("GET", f"api/kernels/{kernel}")["execution_state"] == "busy", 5, "busy"
    )
    again.close()


def test_a_restart_whose_job_is_gone_ends_the_row(visits: Visits):
    kernel = visits.start()
    visits.running(kernel)
    [runner] = visits.person.processes_of_jobs()
    runner.kill()
    for process in visits.person.commands("shopfloor_lab.kernels.agent"):
        process.kill()
    assert not visits.server.ask("POST", f"../../api/kernels/{kernel}/restart").ok
    visits.until(kernel, lambda row: row["state"] == "ended", "it has ended")
    assert visits.ask("GET", "api/kernels") == []


WAITS_FOR_FILE = """
import os, time
while not os.path.exists({path!r}):
    time.sleep(0.02)
print("done")
"""


def test_whether_it_computes_is_known_at_once(visits: Visits, tmp_path: Path):
    kernel = visits.start()
    visits.running(kernel)
    page = opened(visits.server, kernel)
    for number in range(2):
        go = tmp_path / f"go-{number}"
        asked = execute(page, WAITS_FOR_FILE.format(path=str(go)))
        wait_until(lambda: visits.row(kernel)["execution"] == "busy", 4, "it computes")
        go.touch()
        assert printed(page, asked) == "done\n"
        wait_until(lambda: visits.row(kernel)["execution"] == "idle", 4, "it does not any more")
    page.close()
