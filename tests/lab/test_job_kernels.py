"""Kernels that are jobs, on one machine: everything that jupyter_client asks of a kernel, and what neighbours get."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.manager import AsyncKernelManager
from shopfloor_jobs import directory
from shopfloor_jobs.job import State
from shopfloor_jobs.local import Local
from shopfloor_lab.errors import NoAnswer
from shopfloor_lab.kernels.link import WITHIN, Link
from shopfloor_lab.kernels.order import ORDER, Arrival, Launch, Order
from shopfloor_lab.kernels.provisioner import JobProvisioner, KernelEnded

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person
from .job_kernels import (
    IPYTHON,
    NAME,
    SKIPPED,
    Talk,
    all_passed,
    conformance,
    jobs,
    kernelspec,
    nothing_runs,
    states,
)

DIES_AND_LEAVES_A_CHILD = """
import os, signal, time
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
# An agent that waits for a second only, as it would for a minute.
IMPATIENT = """
import sys
if "shopfloor_lab.kernels.agent" in sys.orig_argv:
    from shopfloor_lab.kernels import order
    order.WANTED_WITHIN = 1.0
"""
# A program that is killed while it waits for its kernel's job, which has just begun.
DIES_WHILE_IT_WAITS = """
import os, pathlib, signal, threading, time
from jupyter_client.manager import KernelManager

def die():
    while not list(pathlib.Path.home().glob(".local/share/shopfloor/jobs/*/start-0.json")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=die).start()
KernelManager(kernel_name="ipython-job").start_kernel()
"""
SLEEPS_IN_C = "import ctypes; ctypes.CDLL(None).sleep(60)"
Start = Callable[..., Awaitable[AsyncKernelManager]]


@pytest.fixture
async def start(kernel_home: Path) -> AsyncIterator[Start]:
    """Start a kernel, and end it after the test."""
    managers: list[AsyncKernelManager] = []

    async def begin(name: str = NAME, **given: Any) -> AsyncKernelManager:
        manager = AsyncKernelManager(kernel_name=name)
        managers.append(manager)
        await manager.start_kernel(**given)
        return manager

    yield begin
    for manager in managers:
        await manager.shutdown_kernel(now=True)


async def test_it_runs_in_a_job_with_what_was_asked_for(person: Person, start: Start):
    given = {**os.environ, "JPY_SESSION_NAME": "flights.ipynb", "JPY_API_TOKEN": "a-secret"}
    manager = await start(cwd=str(person.home), env=given)
    [job] = jobs(person)
    async with Talk(manager) as talk:
        status, printed = await talk.run(
            "import os; print(os.environ['SHOPFLOOR_TAG'], os.getcwd(), sorted(os.environ))"
        )
    assert status == "ok"
    tag, cwd, names = printed.split(" ", 2)
    assert (tag, cwd) == (job.name, str(person.home))
    assert "TOKEN" not in names, "no token of Lab's reaches it"
    assert "JPY_SESSION_NAME" in names
    assert "a-secret" not in (job / "private" / ORDER).read_text()
    asked = directory.read_json(job / "request.json")
    assert (asked["kind"], asked["request"]["time"]) == ("kernel", 3600)
    assert "secretkey" not in (job / "request.json").read_text()


@pytest.mark.parametrize("code", ["while True: pass", SLEEPS_IN_C], ids=["busy loop", "in C"])
async def test_an_interrupt_interrupts(start: Start, code: str):
    manager = await start()
    async with Talk(manager) as talk:
        await talk.run("kept = 36")
        asked = talk.client.execute(f"print('begun', flush=True)\n{code}")
        await talk.until(asked, "stream", text="begun\n")
        await manager.interrupt_kernel()
        assert (await talk.until(asked, "error"))["ename"] == "KeyboardInterrupt"
        await talk.until(asked, "status", execution_state="idle")
        assert (await talk.run("print(kept)"))[1] == "36\n"


async def test_an_interrupt_interrupts_a_kernel_that_knows_nothing_of_us(start: Start):
    manager = await start("r-job")
    async with Talk(manager) as talk:
        asked = talk.client.execute("kept <- 36; message('begun'); Sys.sleep(60)")
        await talk.until(asked, "stream")
        await manager.interrupt_kernel()
        await talk.until(asked, "status", execution_state="idle")
        assert (await talk.run("cat(kept)"))[1] == "36"


async def test_a_restart_keeps_the_job_and_the_ports(person: Person, start: Start):
    manager = await start()
    before = manager.get_connection_info()
    async with Talk(manager) as talk:
        await talk.run("kept = 36")
        await manager.restart_kernel()
        await talk.client.wait_for_ready(timeout=30)
        assert (await talk.run("print('kept' in globals())"))[1] == "False\n"
        for _ in range(2):
            asked = talk.client.session.send(
                talk.client.control_channel.socket, "kernel_info_request", {}
            )["header"]["msg_id"]
            answer = await talk.client.get_control_msg(timeout=10)
            assert answer["parent_header"]["msg_id"] == asked, "the control channel answers"
            await manager.restart_kernel()
            await talk.client.wait_for_ready(timeout=30)
    assert manager.get_connection_info() == before
    assert len(jobs(person)) == 1
    assert await states(person) == [State.RUNNING]


async def test_a_cell_can_ask_for_input(start: Start):
    manager = await start()
    async with Talk(manager) as talk:

        def answer(_: object) -> None:
            talk.client.input("Ada")

        status, printed = await talk.run(
            "print('hello', input('name? '))", allow_stdin=True, stdin_hook=answer
        )
    assert (status, printed) == ("ok", "hello Ada\n")


async def test_a_shutdown_ends_the_job_and_leaves_no_key(person: Person, start: Start):
    manager = await start()
    [job] = jobs(person)
    await manager.shutdown_kernel()
    assert not await manager.is_alive()

    await async_wait_until(lambda: nothing_runs(person), 10, "the job has ended")
    assert not (job / "private").exists() and not (job / "agent.json").exists()


async def test_a_kernel_that_dies_is_seen_and_can_be_had_again_in_its_job(
    person: Person, start: Start
):
    manager = await start()
    async with Talk(manager) as talk:
        talk.client.execute(DIES_AND_LEAVES_A_CHILD)

        async def dead() -> bool:
            return not await manager.is_alive()

        await async_wait_until(dead, 10, "its end is seen")
        assert await manager.provisioner.poll() == -9
        await manager.restart_kernel()
        await talk.client.wait_for_ready(timeout=30)
        assert (await talk.run("print(1)"))[1] == "1\n"
    assert len(jobs(person)) == 1


async def test_a_job_that_is_cancelled_ends_the_kernel_with_its_cause(person: Person, start: Start):
    manager = await start()
    [seen] = await person.scheduler.look()
    await person.scheduler.cancel("alice", [seen.id])

    async def dead() -> bool:
        return not await manager.is_alive()

    await async_wait_until(dead, 10, "its end is seen")
    assert isinstance(manager.provisioner, JobProvisioner)
    assert await manager.provisioner.why() == "was stopped"
    with pytest.raises(KernelEnded, match="was stopped"):
        await manager.restart_kernel(now=True)
    [job] = jobs(person)  # nothing is asked for again that nobody asked for
    await manager.provisioner.cleanup()
    assert not (job / "private").exists()


async def test_a_kernel_whose_software_is_missing_says_so(
    person: Person, start: Start, tmp_path: Path
):
    kernelspec(tmp_path / "share", "gone", ["/no/such/program", "{connection_file}"], "x", {})
    with pytest.raises(KernelEnded, match="/no/such/program: No such file or directory"):
        await start("gone")
    await async_wait_until(lambda: nothing_runs(person), 20, "and its job has ended")


async def test_a_start_that_is_given_up_while_it_is_submitted_leaves_no_job(
    person: Person, start: Start, monkeypatch: pytest.MonkeyPatch
):
    begun, go_on = threading.Event(), threading.Event()
    submit = Local._submit

    def slowly(self: Local, *asked: Any) -> list[str]:
        begun.set()
        go_on.wait(20)
        return submit(self, *asked)

    monkeypatch.setattr(Local, "_submit", slowly)
    starting = asyncio.create_task(start())
    await asyncio.to_thread(begun.wait, 10)
    starting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert jobs(person)
    await async_wait_until(lambda: nothing_runs(person), 10, "its job has ended")


async def test_a_restart_waits_for_a_node_that_is_slow_to_answer(person: Person, start: Start):
    manager = await start()
    [agent] = person.commands("kernels.agent")
    agent.suspend()
    try:
        restarting = asyncio.create_task(manager.restart_kernel(now=True))
        await asyncio.wait({restarting}, timeout=2 * WITHIN)
        assert not restarting.done()
    finally:
        agent.resume()
    await asyncio.wait_for(restarting, 30)
    async with Talk(manager) as talk:
        assert (await talk.run("print(1)"))[1] == "1\n"
    assert await states(person) == [State.RUNNING]


async def test_an_agent_that_refuses_an_order_is_not_asked_again(start: Start):
    manager = await start()
    senseless = Launch(["python"], env=[1])  # as one of another version might find it
    with pytest.raises(KernelEnded, match="TypeError"):
        await asyncio.wait_for(manager.provisioner._started(senseless), WITHIN)


async def test_a_kernel_for_which_nobody_comes_is_ended(
    person: Person, kernel_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "sitecustomize.py").write_text(IMPATIENT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    program = [sys.executable, "-c", DIES_WHILE_IT_WAITS]
    ends = await asyncio.to_thread(subprocess.run, program, check=False)
    assert ends.returncode == -signal.SIGKILL
    await async_wait_until(lambda: nothing_runs(person), 30, "its job has ended")
    [job] = jobs(person)
    assert directory.exit_record(job)["cause"] == "nobody came for the kernel"


async def test_a_start_that_is_given_up_leaves_no_job(
    person: Person, start: Start, nobody_arrives: asyncio.Event
):
    starting = asyncio.create_task(start())
    await asyncio.wait_for(nobody_arrives.wait(), 10)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert jobs(person)
    await async_wait_until(lambda: nothing_runs(person), 10, "its job has ended")


async def test_a_kernel_out_of_the_offer_is_refused_by_field_value_and_limit(
    start: Start, tmp_path: Path
):
    kernelspec(tmp_path / "share", "huge", IPYTHON, "python", {"cpus": 99})
    with pytest.raises(Exception, match="cpus: 99 is not possible"):
        await start("huge")


async def test_neighbours_get_nothing(person: Person, start: Start, tmp_path: Path):
    manager = await start()
    [job] = jobs(person)
    order, arrival = Order.read(job / "private" / ORDER), Arrival.read(job)
    assert mode(job / "private" / ORDER) == "0o600"
    assert {mode(path) for path in sockets()} == {"0o700"}, "and the signing key"
    stranger, own = zmq.curve_keypair(), (order.publickey.encode(), order.secretkey.encode())
    ports = [*arrival.ports.items(), ("orders", arrival.orders)]
    for name, port in ports:
        assert await asyncio.to_thread(answers, arrival.host, port, name, own[0], *own) == 1, name
        for key in ((None, *stranger), (order.publickey.encode(), *stranger)):
            if name == "hb_port" and key[0]:
                continue  # an echo, for who knows the public key, which is in private files only
            assert await asyncio.to_thread(answers, arrival.host, port, name, *key) == 0, name
    assert await manager.is_alive()


def sockets() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("shopfloor-kernel-*"))


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def answers(
    host: str, port: int, name: str, server: bytes | None, public: bytes, secret: bytes
) -> int:
    """How many handshakes succeed at a port within a second, for whoever comes with these keys."""
    kind = zmq.SUB if name == "iopub_port" else zmq.DEALER
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        if server:
            socket.curve_serverkey, socket.curve_publickey = server, public
            socket.curve_secretkey = secret
        socket.connect(f"tcp://{host}:{port}")
        came = monitor.poll(1000)
        socket.disable_monitor()
        monitor.close()
        return came


async def test_with_the_keys_the_agent_answers_and_bad_orders_do_no_harm(
    person: Person, start: Start
):
    await start()
    [job] = jobs(person)
    order, arrival = Order.read(job / "private" / ORDER), Arrival.read(job)
    link = Link(order, arrival)
    try:
        with pytest.raises(NoAnswer, match="'dance' is no order"):
            await link._order({"do": "dance"})
        with pytest.raises(NoAnswer, match="KeyError"):
            await link._order({"do": "signal"})
        with pytest.raises(NoAnswer, match="999 is not a valid"):
            await link.signal(999)
        link._socket.send(b"\xff\x00")
        assert (await link.report()).lives
    finally:
        link.close()


@pytest.mark.parametrize("kernel", SKIPPED)
def test_jupyters_conformance_suite_passes(kernel_home: Path, tmp_path: Path, kernel: str):
    environment = {**os.environ, "PYTHONPATH": str(conformance(tmp_path / "suite"))}
    done = subprocess.run(
        [sys.executable, "-m", "unittest", f"kernel_conformance.{kernel}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert all_passed(done.stderr, kernel), done.stderr
