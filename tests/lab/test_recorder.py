"""What cells printed while nobody listened: seen at a kernel's doors, told when it is asked for, and kept in a file."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.session import Session
from shopfloor_jobs import directory
from shopfloor_lab.kernels import recorder
from shopfloor_lab.kernels.channels import SUBSCRIBE, Doors
from shopfloor_lab.kernels.link import Link
from shopfloor_lab.kernels.order import ORDER, Arrival, Launch, Order
from shopfloor_lab.kernels.outputs import EACH
from shopfloor_lab.kernels.recorder import Recorder
from shopfloor_lab.kernels.runs import LIMIT, Run
from shopfloor_lab.kernels.runs_file import FILE, read_runs

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person
from .job_kernels import NAME

MB = 1024**2
PRINTS_12_MB = "for n in range(12 * 64):\n    print(f'{n:05}', 'x' * (16 * 1024 - 7), flush=True)"


class RawKernel:
    """What a kernel is to libzmq, and a person at the door: they say what they are told to."""

    def __init__(self, doors: Doors, folder: Path, order: Order):
        self._context, self.session = zmq.Context(), Session(key=b"")
        self.shell = self._context.socket(zmq.ROUTER)
        self.iopub = self._context.socket(zmq.XPUB)
        self.shell.bind(f"ipc://{folder}/kernel-1")
        self.iopub.bind(f"ipc://{folder}/kernel-2")
        self.iopub.sndhwm = 0
        self.iopub.xpub_verbose = True
        self._doors, self._order = doors, order
        self._person = self._outside(zmq.DEALER, "shell_port")

    def _outside(self, kind: int, port: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.curve_serverkey = socket.curve_publickey = self._order.publickey.encode()
        socket.curve_secretkey = self._order.secretkey.encode()
        socket.connect(f"tcp://127.0.0.1:{self._doors.ports[port]}")
        return socket

    async def listener(self) -> zmq.Socket[bytes]:
        """Somebody who sees all that the kernel says, from now on."""
        socket = self._outside(zmq.SUB, "iopub_port")
        socket.subscribe(b"")
        # Not in the loop, which lets them in.
        assert await asyncio.to_thread(self.iopub.poll, 10_000)
        assert self.iopub.recv() == SUBSCRIBE
        return socket

    async def request(self, cell: str) -> dict[str, Any]:
        """Somebody runs this cell, and the kernel has got it."""
        content = {"code": "", "silent": False, "store_history": True}
        asked = self.session.msg("execute_request", content, metadata={"cellId": cell})
        self.session.send(self._person, asked)
        assert await asyncio.to_thread(self.shell.poll, 10_000)
        self.shell.recv_multipart()
        return asked

    def say(self, asked: dict[str, Any], kind: str, **content: Any) -> None:
        self.session.send(self.iopub, kind, content, parent=asked, ident=kind.encode())

    async def run(self, cell: str, *texts: str) -> None:
        asked = await self.request(cell)
        for text in texts:
            self.say(asked, "stream", name="stdout", text=text)
        self.say(asked, "status", execution_state="idle")

    def close(self) -> None:
        self._context.destroy(linger=0)


@dataclass
class Place:
    """A recorder behind doors with a raw kernel inside, whose file lies in ``path``."""

    path: Path
    kernel: RawKernel
    recorder: Recorder

    async def runs(self) -> list[Run]:
        return json.loads(await self.recorder.json())

    async def until_done(self, cell: str) -> Run:
        async def done() -> Run | None:
            runs = [run for run in await self.runs() if run["cell"] == cell]
            return runs[0] if runs and runs[0]["state"] == "done" else None

        return await async_wait_until(done, 30, f"{cell} is done")


@asynccontextmanager
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    order = Order(Launch(["x"]), "", "hmac-sha256", public, secret, "x", {})
    inside, path = tmp_path / "inside", tmp_path / "job"
    inside.mkdir()
    path.mkdir()
    with Doors(order, "127.0.0.1", inside) as doors:
        kernel = RawKernel(doors, inside, order)
        try:
            async with Recorder(doors, path) as made:
                assert await asyncio.to_thread(kernel.iopub.recv) == SUBSCRIBE
                yield Place(path, kernel, made)
        finally:
            kernel.close()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as made:
        yield made


async def test_it_says_whether_a_cell_runs_and_when_one_ran(here: Place):
    before = here.recorder.worked
    assert (here.recorder.busy, here.recorder.execution) == (False, "starting")
    asked = await here.kernel.request("a")
    here.kernel.say(asked, "status", execution_state="busy")
    await async_wait_until(lambda: here.recorder.execution == "busy", 10, "it is seen unasked")
    now = here.recorder.worked
    assert here.recorder.busy and before < now < here.recorder.worked
    here.kernel.say(asked, "status", execution_state="idle")
    await async_wait_until(lambda: not here.recorder.busy, 10, "so is its end")
    ended = here.recorder.worked
    assert here.recorder.execution == "idle" and before < ended <= time.monotonic()
    here.kernel.say({}, "status", execution_state="busy")
    await async_wait_until(lambda: here.recorder.execution == "busy", 10, "somebody asks for more")
    assert here.recorder.worked == ended and not here.recorder.busy, "but that is no work"
    here.recorder.kernel_begins()
    await async_wait_until(lambda: here.recorder.execution == "starting", 10, "a new one begins")


async def test_of_a_flood_the_newest_is_kept_and_the_rest_is_counted(here: Place):
    texts = [f"{number:03}".ljust(MB - 1, "x") + "\n" for number in range(100)]
    await here.kernel.run("flood", *texts)
    run = await here.until_done("flood")
    [output] = run["outputs"]
    # What nobody read in time goes a message at a time: nine of these, or what of ten there is room for.
    assert LIMIT - MB <= len(output["text"]) <= LIMIT
    assert "".join(texts).endswith(output["text"])
    assert run["dropped"] == pytest.approx(100 * MB - len(output["text"]), rel=0.001)


async def test_of_what_is_not_read_in_time_no_more_waits_than_is_kept(
    here: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder, "QUIET", 60_000)
    monkeypatch.setattr(recorder, "LATEST", 60)
    await here.kernel.run("flood", *["x" * MB] * 30)
    # Nine of them have room. The last that is left out is so once all are taken.
    left_out = 20.5 * MB
    await async_wait_until(lambda: here.recorder._handled > left_out, 20, "the rest is left out")
    assert here.recorder._size <= LIMIT
    run = await here.until_done("flood")
    assert len(run["outputs"][0]["text"]) + run["dropped"] == pytest.approx(30 * MB, rel=0.001)


async def test_of_many_short_outputs_nothing_is_left_out(
    here: Place, monkeypatch: pytest.MonkeyPatch
):
    """They take far more memory while they wait than they are long."""
    monkeypatch.setattr(recorder, "QUIET", 60_000)
    monkeypatch.setattr(recorder, "LATEST", 60)
    texts = [f"{n};" for n in range(15_000)]
    await here.kernel.run("flood", *texts)
    await async_wait_until(lambda: here.recorder._handled > 0, 20, "no more wait than may")
    run = await here.until_done("flood")
    assert run["dropped"] == 0
    assert run["outputs"][0]["text"] == "".join(texts)


async def test_what_somebody_has_seen_is_in_the_answer(here: Place):
    listener = await here.kernel.listener()
    for number in range(20):
        await here.kernel.run(f"cell {number}", "x")
        assert await asyncio.to_thread(listener.poll, 10_000)
        while b'"idle"' not in (await asyncio.to_thread(listener.recv_multipart))[-1]:
            pass
        assert (await here.runs())[-1]["state"] == "done"


async def test_the_order_of_many_cells_and_their_output_is_kept(here: Place):
    for number in range(200):
        await here.kernel.run(f"cell {number}", "a\n", f"{number}\n")
    await here.until_done("cell 199")
    told = {run["cell"]: run["outputs"][0]["text"] for run in await here.runs()}
    assert told == {f"cell {number}": f"a\n{number}\n" for number in range(200)}


async def test_the_file_is_private_and_is_written_while_cells_run(here: Place):
    asked = await here.kernel.request("a")
    here.kernel.say(asked, "stream", name="stdout", text="half")
    file = here.path / FILE
    await async_wait_until(lambda: read_runs(here.path), 10, "it is written")
    assert oct(file.stat().st_mode & 0o777) == "0o600"


async def test_the_last_words_are_in_the_file_and_what_ran_is_done(tmp_path: Path):
    async with place(tmp_path) as here:
        asked = await here.kernel.request("a")
        for word in ("last ", "words"):
            here.kernel.say(asked, "stream", name="stdout", text=word)
    [run] = read_runs(here.path)
    assert run["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "last words"}]
    assert run["ended"] is not None


async def test_what_is_not_wanted_leaves_no_file(tmp_path: Path):
    async with place(tmp_path) as here:
        await here.kernel.run("a", "a secret")
        await async_wait_until((here.path / FILE).exists, 10, "it is written")
        here.recorder.forget()
    assert list(here.path.iterdir()) == []


async def test_a_home_that_cannot_be_written_for_a_while_costs_nothing(
    here: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder, "WRITE_EVERY", 0.1)
    away = here.path.rename(here.path.with_name("away"))
    await here.kernel.run("a", "x")
    assert (await here.until_done("a"))["outputs"]
    away.rename(here.path)
    await async_wait_until(lambda: read_runs(here.path), 10, "it is tried again")


async def test_a_home_that_hangs_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(path: Path, pieces: list[str]) -> None:
        hangs.set()
        goes_on.wait()

    monkeypatch.setattr(recorder, "write_pieces", hang)
    monkeypatch.setattr(recorder, "WRITTEN_WITHIN", 0.1)
    try:
        async with place(tmp_path) as here:
            await here.kernel.run("a", "x")
            await asyncio.to_thread(hangs.wait, 10)
            await here.kernel.run("b", "y")
            assert (await here.until_done("b"))["outputs"]
    finally:
        goes_on.set()


async def test_once_it_has_ended_it_says_so(tmp_path: Path):
    async with place(tmp_path) as here:
        pass
    here.recorder.kernel_ended()
    with pytest.raises(RuntimeError, match="the recorder has ended"):
        await here.recorder.json()


class Job:
    """A kernel that is a job of alice's, and its agent, asked as Lab asks it."""

    def __init__(self, manager: AsyncKernelManager, path: Path):
        self.manager, self.path = manager, path
        self._link = Link(Order.read(path / directory.PRIVATE / ORDER), Arrival.read(path))

    async def ask(self, cell: str, code: str) -> None:
        """Somebody runs a cell, and is gone before it prints anything."""
        client = self.manager.client()
        client.session = Session(key=self.manager.session.key)  # another page
        client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        try:
            content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
            shell = client.shell_channel.socket
            asked = client.session.send(
                shell, "execute_request", content, metadata={"cellId": cell}
            )

            async def is_sent() -> bool:
                return any(run["msg_id"] == asked["msg_id"] for run in await self.runs())

            await async_wait_until(is_sent, 20, f"{cell} has been sent")
        finally:
            client.stop_channels()

    async def runs(self) -> list[Run]:
        number = self._link._send({"do": "runs"})

        def answered() -> dict[str, Any] | None:
            answer = self._link._next()
            return answer if answer and answer.get("id") == number else None

        answer = await async_wait_until(answered, 20, "the agent answers")
        assert answer["kernel"]["starts"], "as all its answers"
        return answer["runs"]

    async def run_of(self, cell: str) -> Run | None:
        return next((run for run in await self.runs() if run["cell"] == cell), None)

    async def until_done(self, cell: str) -> Run:
        async def done() -> Run | None:
            run = await self.run_of(cell)
            return run if run and run["state"] == "done" else None

        return await async_wait_until(done, 60, f"{cell} is done")

    def close(self) -> None:
        self._link.close()


@pytest.fixture
async def job(kernel_home: Path) -> AsyncIterator[Job]:
    """Nobody listens to it."""
    manager = AsyncKernelManager(kernel_name=NAME)
    await manager.start_kernel()
    [path] = directory.jobs_root(kernel_home).glob("shopfloor-kernel-*")
    made = Job(manager, path)
    yield made
    made.close()
    await manager.shutdown_kernel(now=True)


async def test_what_a_cell_prints_while_nobody_listens_is_there_afterwards(job: Job):
    code = "for n in range(1000): print(n)\nimport sys; print('oh', file=sys.stderr)\n6 * 7"
    await job.ask("a", code)
    run = await job.until_done("a")
    printed, error, result = run["outputs"]
    assert printed["text"] == "".join(f"{n}\n" for n in range(1000))
    assert (error["name"], error["text"]) == ("stderr", "oh\n")
    assert (result["data"], result["execution_count"]) == ({"text/plain": "42"}, 1)
    assert (run["execution_count"], run["dropped"]) == (1, 0)
    assert run["began"] <= run["ended"]


LIVE = """
from ipywidgets import Output
from IPython.display import clear_output, display
out = Output()
display(out)
print("before")
for step in range(3):
    with out:
        clear_output(wait=True)
        print("step", step)
print("after")
"""


async def test_what_goes_to_a_widget_is_not_taken_for_the_cells(job: Job):
    await job.ask("a", LIVE)
    run = await job.until_done("a")
    view, printed = run["outputs"]
    assert "application/vnd.jupyter.widget-view+json" in view["data"]
    assert printed["text"] == "before\nafter\n"


async def test_help_is_an_output_as_lab_shows_it(job: Job):
    await job.ask("a", "len?")
    run = await job.until_done("a")
    [page] = run["outputs"]
    assert page["output_type"] == "display_data" and "number of items" in page["data"]["text/plain"]


async def test_of_two_runs_of_a_cell_the_second_is_told_and_the_kernels_end_ends_it(job: Job):
    await job.ask("a", "print('first')")
    await job.until_done("a")
    await job.ask("a", "print('second', flush=True)\nimport time; time.sleep(600)")

    async def printed() -> bool:
        return [one["text"] for one in (await job.run_of("a"))["outputs"]] == ["second\n"]

    await async_wait_until(printed, 20, "the second has printed")
    [run] = await job.runs()
    assert run["state"] == "running"
    await job.manager.restart_kernel(now=True)
    [run] = await job.runs()
    assert (run["outputs"][0]["text"], run["state"]) == ("second\n", "done")
    assert run["ended"] is not None
    await job.ask("b", "print('third')")
    assert (await job.until_done("b"))["execution_count"] == 1
    assert len(await job.runs()) == 2, "a restart keeps what was printed before"


async def test_more_than_is_kept_leaves_the_newest_in_the_answer_and_in_the_file(
    person: Person, job: Job
):
    await job.ask("a", PRINTS_12_MB)
    run = await job.until_done("a")
    [output] = run["outputs"]
    assert len(output["text"]) <= LIMIT - EACH and output["text"].count("\n") >= 639
    assert output["text"].splitlines()[-1].startswith("00767 ")
    assert run["dropped"] == pytest.approx(12 * MB - len(output["text"]), rel=0.1)
    # What is not ended by whoever asked for it: its node is about to go, say.
    [agent] = person.commands("kernels.agent")
    agent.terminate()
    await async_wait_until(lambda: directory.exit_record(job.path), 20, "the job is over")
    assert oct((job.path / FILE).stat().st_mode & 0o777) == "0o600"
    assert read_runs(job.path) == [run]


async def test_a_kernel_that_is_shut_down_leaves_nothing_that_it_printed(job: Job):
    await job.ask("a", "print('a secret')")
    await job.until_done("a")
    await async_wait_until((job.path / FILE).exists, 20, "it is written")
    await job.manager.shutdown_kernel()
    await async_wait_until(lambda: directory.exit_record(job.path), 20, "the job is over")
    assert [path.name for path in job.path.glob("*outputs*")] == []
