"""Pages of a kernel whose job waits, on a real Jupyter server: open at once, cancelled, or served in the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
from shopfloor_lab.kernels.connection import SLOW
from shopfloor_lab.kernels.early import EARLY_BYTES

from tests.jobs.waiting import wait_until

from .cluster_parts import Person
from .job_kernels import IPYTHON, kernelspec, leave_offer
from .lab_server import LabServer
from .pages import V1, execute, opened, printed

# An agent that begins when the file is there: as if its job had waited so long.
WAITS_FOR = """
import os, sys, time
if "shopfloor_lab.kernels.agent" in sys.orig_argv:
    while not os.path.exists({path!r}):
        time.sleep(0.05)
"""
# A kernel that takes its time to load, until the file is there.
LOADS = """
import os, sys, time
while not os.path.exists({path!r}):
    time.sleep(0.02)
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""
WAITS_FOR_FILE = """
import os, time
while not os.path.exists({path!r}):
    time.sleep(0.02)
print("done")
"""
PATIENCE = (
    0.3  # seconds that Jupyter waits for a kernel's answer, where it is slow to load; 60 otherwise
)


class Queue:
    """A Lab server whose kernels' jobs begin with :meth:`move`."""

    def __init__(self, person: Person, folder: Path, patience: float = 60.0):
        self.person, self._moves, self._loads = person, folder / "moves", folder / "loads"
        (folder / "first").mkdir()
        (folder / "first" / "sitecustomize.py").write_text(WAITS_FOR.format(path=str(self._moves)))
        leave_offer(person.home, person.offer)
        kernelspec(person.home / "data", "ipython-job", IPYTHON, "python", {})
        kernelspec(person.home / "data", "gone", ["/no/such/program"], "x", {})
        slow = ["python", "-c", LOADS.format(path=str(self._loads)), "-f", "{connection_file}"]
        kernelspec(person.home / "data", "slow", slow, "python", {})
        (person.home / "config").mkdir()
        (person.home / "config" / "jupyter_server_config.json").write_text(
            json.dumps(
                {
                    "MappingKernelManager": {"kernel_info_timeout": patience},
                    "ServerApp": {"log_level": "DEBUG"},
                }
            )
        )
        self.server = LabServer(person.home, person.home, PYTHONPATH=str(folder / "first"))

    def move(self) -> None:
        self._moves.touch()

    def load(self) -> None:
        """Have the kernels of ``slow`` answer."""
        self._loads.touch()

    def says(self, what: str, times: int = 1) -> None:
        """Return when the server's log has it so often."""
        log = self.server.log
        wait_until(lambda: log.read_text().count(what) >= times, 20, f"the log says {what!r}")

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

    def open(self, kernel: str, session: str = "", protocol: str = "") -> websocket.WebSocket:
        return opened(self.server, kernel, session, protocol)

    def outputs(self, kernel: str, *cells: str) -> list[str]:
        """What these cells printed last, when the kernel has run them all."""

        def done() -> list[str] | None:
            answer = self.server.ask("GET", f"job-kernels/{kernel}/runs")
            runs = {run["cell"]: run for run in answer.json().get("runs", ()) if answer.ok}
            if any(cell not in runs or runs[cell]["state"] != "done" for cell in cells):
                return None
            return ["".join(one["text"] for one in runs[cell]["outputs"]) for cell in cells]

        return list(wait_until(done, 40, f"{', '.join(cells)} are done"))


@pytest.fixture
def queue(person: Person, tmp_path: Path) -> Iterator[Queue]:
    made = Queue(person, tmp_path)
    yield made
    made.server.stop()


@pytest.fixture
def impatient(person: Person, tmp_path: Path) -> Iterator[Queue]:
    """One whose server soon takes a kernel for slow."""
    made = Queue(person, tmp_path, PATIENCE)
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


@pytest.mark.parametrize("protocol", ["", V1])
def test_cells_of_a_page_that_was_closed_are_run_when_the_job_begins(queue: Queue, protocol: str):
    kernel = queue.begin()
    page = queue.open(kernel, protocol=protocol)
    execute(page, "n = 1; print(n)", cellId="first")
    execute(page, "n += 1; print(n)", cellId="second")
    page.close()
    queue.move()
    assert queue.outputs(kernel, "first", "second") == ["1\n", "2\n"]


def test_cells_are_run_once_and_in_their_order_whichever_page_is_left(queue: Queue):
    kernel = queue.begin()
    alone = queue.open(kernel, "one", V1)
    execute(alone, "n = [1]", cellId="first")
    alone.close()
    beside, again = queue.open(kernel), queue.open(kernel, "one", V1)
    asked = execute(beside, "n.append(2)", cellId="second")
    execute(beside, "n.append(2)", asked, cellId="second")
    beside.close()
    last = queue.open(kernel)
    execute(last, "n.append(2)", asked, cellId="second")
    third = execute(last, "n.append(3); print(n)", cellId="third")
    again.close()
    queue.move()
    assert printed(last, third) == "[1, 2, 3]\n"
    last.close()
    assert queue.outputs(kernel, "third") == ["[1, 2, 3]\n"]


def test_a_page_that_reconnects_hears_how_its_cells_ended(queue: Queue):
    kernel = queue.begin()
    page = queue.open(kernel, "one")
    asked = execute(page, "6 * 7")
    page.close()
    page = queue.open(kernel, "one")
    queue.move()
    assert answered(page, asked)["status"] == "ok"
    page.close()


def test_a_page_that_comes_while_the_cells_run_that_it_left_is_open_at_once(
    queue: Queue, tmp_path: Path
):
    kernel, go = queue.begin(), tmp_path / "go"
    page = queue.open(kernel)
    execute(page, WAITS_FOR_FILE.format(path=str(go)), cellId="first")
    page.close()
    queue.move()

    def state() -> Any:
        return queue.ask("GET", f"kernels/{kernel}")["execution_state"]

    wait_until(lambda: state() == "busy", 30, "the cell runs")
    page = queue.open(kernel)  # within less than Jupyter waits for an answer
    go.touch()
    # A page hears what is said once it is subscribed, some time after it is open; it has the rest from the record.
    assert queue.outputs(kernel, "first") == ["done\n"]
    page.close()


def test_a_kernel_that_is_slow_to_load_runs_what_was_queued_and_its_page_stays(impatient: Queue):
    kernel = impatient.begin("slow")
    page = impatient.open(kernel)
    first = execute(page, "print(6 * 7)")
    impatient.move()
    impatient.says(SLOW % kernel, 2)
    second = execute(page, "print(6 * 8)")
    impatient.load()
    assert (printed(page, first), printed(page, second)) == ("42\n", "48\n")
    page.close()


def test_cells_of_a_page_that_left_a_kernel_slow_to_load_are_run(impatient: Queue):
    kernel = impatient.begin("slow")
    page = impatient.open(kernel)
    execute(page, "n = 1; print(n)", cellId="first")
    impatient.move()
    impatient.says(SLOW % kernel)
    page.close()
    no_page_is_there(impatient, kernel)
    impatient.load()
    assert impatient.outputs(kernel, "first") == ["1\n"]
    page = impatient.open(kernel)
    assert printed(page, execute(page, "n += 1; print(n)")) == "2\n"
    page.close()


def test_a_page_that_leaves_while_the_kernel_loads_is_counted_once(queue: Queue):
    kernel = queue.begin("slow")
    page = queue.open(kernel)
    execute(page, "print(1)", cellId="first")
    queue.move()
    queue.says(f"Requesting kernel info from {kernel}")
    page.close()
    queue.load()
    assert queue.outputs(kernel, "first") == ["1\n"]
    no_page_is_there(queue, kernel)


def test_a_page_that_queues_too_much_is_told_so_at_the_cell(queue: Queue):
    kernel = queue.begin()
    page = queue.open(kernel)
    kept = execute(page, "print(1)", cellId="kept")
    _, lost = (execute(page, "#" * (EARLY_BYTES // 2)) for _ in range(2))
    heard = [json.loads(page.recv()) for _ in range(4)][1:]
    assert [one["parent_header"]["msg_id"] for one in heard] == [lost] * 3
    assert [one["msg_type"] for one in heard] == ["error", "execute_reply", "status"]
    assert (
        heard[0]["content"]["evalue"]
        == "It was not queued: more waits for this kernel than is kept for it."
    )
    queue.move()
    assert printed(page, kept) == "1\n"
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


def no_page_is_there(queue: Queue, kernel: str) -> None:
    wait_until(lambda: queue.ask("GET", f"kernels/{kernel}")["connections"] == 0, 10, "no page")


def answered(page: websocket.WebSocket, asked: str) -> dict[str, Any]:
    """What the kernel itself replied to who asked."""
    while True:
        message = json.loads(page.recv())
        if message["parent_header"].get("msg_id") == asked and message["channel"] == "shell":
            return dict(message["content"])


def ends(page: websocket.WebSocket) -> str:
    """Why the page's connection is closed, after the kernel was told to be dead."""
    told = []
    while True:
        opcode, data = page.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            assert told[-1] == {"execution_state": "dead"}
            return data[2:].decode()
        told.append(json.loads(data)["content"])
