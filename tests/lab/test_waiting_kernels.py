"""Pages of a kernel whose job waits, on a real Jupyter server: open at once, cancelled, or served in the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.jobs.waiting import wait_until

from .cluster_parts import Person
from .job_kernels import IPYTHON, kernelspec, leave_offer
from .lab_server import LabServer
from .pages import execute, opened, printed

# An agent that begins when the file is there: as if its job had waited so long.
WAITS_FOR = """
import os, sys, time
if "shopfloor_lab.kernels.agent" in sys.orig_argv:
    while not os.path.exists({path!r}):
        time.sleep(0.05)
"""


class Queue:
    """A Lab server whose kernels' jobs begin with :meth:`move`."""

    def __init__(self, person: Person, folder: Path):
        self.person, self._moves = person, folder / "moves"
        (folder / "first").mkdir()
        (folder / "first" / "sitecustomize.py").write_text(WAITS_FOR.format(path=str(self._moves)))
        leave_offer(person.home, person.offer)
        kernelspec(person.home / "data", "ipython-job", IPYTHON, "python", {})
        kernelspec(person.home / "data", "gone", ["/no/such/program"], "x", {})
        self.server = LabServer(person.home, person.home, PYTHONPATH=str(folder / "first"))

    def move(self) -> None:
        self._moves.touch()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Of Jupyter's own API, which is beside ours."""
        answer = self.server.ask(method, f"../../api/{path}", body)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def begin(self, name: str = "ipython-job") -> str:
        began = time.monotonic()
        kernel = self.ask("POST", "kernels", {"name": name})
        assert time.monotonic() - began < 5 and kernel["execution_state"] == "starting"
        return str(kernel["id"])

    def open(self, kernel: str) -> websocket.WebSocket:
        return opened(self.server, kernel)


@pytest.fixture
def queue(person: Person, tmp_path: Path) -> Iterator[Queue]:
    made = Queue(person, tmp_path)
    yield made
    made.server.stop()


def test_cells_that_are_queued_while_the_job_waits_are_run_when_it_begins(queue: Queue):
    kernel = queue.begin()
    page = queue.open(kernel)
    status = json.loads(page.recv())
    assert status["content"] == {"execution_state": "starting"}
    first, second = execute(page, "print(6 * 7)"), execute(page, "print(6 * 8)")
    queue.move()
    assert (printed(page, first), printed(page, second)) == ("42\n", "48\n")
    other = queue.open(kernel)
    assert printed(other, execute(other, "print(6 * 9)")) == "54\n"
    other.close()
    page.close()


def test_a_page_that_leaves_takes_nothing_along(queue: Queue):
    kernel = queue.begin()
    queue.open(kernel).close()
    page = queue.open(kernel)
    queue.move()
    assert printed(page, execute(page, "print(1)")) == "1\n"
    page.close()


def test_a_waiting_kernel_that_is_cancelled_tells_its_page_and_leaves_no_job(queue: Queue):
    kernel = queue.begin()
    page = queue.open(kernel)
    page.recv()
    queue.ask("DELETE", f"kernels/{kernel}")
    assert ends(page) == "You cancelled it."
    assert queue.ask("GET", "kernels") == []
    wait_until(lambda: not queue.person.processes_of_jobs(), 10, "its job has ended")


def test_a_kernel_that_cannot_start_tells_its_page_why(queue: Queue):
    queue.move()
    page = queue.open(queue.begin("gone"))
    assert ends(page) == "/no/such/program: No such file or directory"


def ends(page: websocket.WebSocket) -> str:
    """Why the page's connection is closed, after the kernel was told to be dead."""
    told = []
    while True:
        opcode, data = page.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            assert told[-1] == {"execution_state": "dead"}
            return data[2:].decode()
        told.append(json.loads(data)["content"])
