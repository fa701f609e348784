"""The command of a kernel's job: runs the kernel on the node, and answers for it while Lab comes and goes.

It opens the kernel's channels (channels.py) and one port for orders: start, signal, end. So a kernel is interrupted
and started again without the scheduler, in the job that holds its GPU. It watches the job (life.py), too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import zmq
from shopfloor_jobs.directory import home_words, leave_cause, read_json, tail
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.within import set_within

from shopfloor_lab.address import listening_address

from . import not_begun
from . import order as orders
from .before_end import BeforeEnd
from .channels import Doors
from .life import Life, own_job
from .order import ARRIVAL, ORDER, Arrival, Launch, Order
from .process import Kernel
from .recorder import Recorder

LONGEST_SOCKET = 60  # bytes of the directory's name: a socket's path may have 107
LONGEST = 3600.0  # seconds; nothing is missed while nothing changes

log = logging.getLogger("shopfloor.kernel")


class Agent:
    """One kernel's agent, in the job directory ``path``."""

    def __init__(self, path: Path, order: Order):
        self._path, self._order = path, order
        self._changed = asyncio.Event()
        self._ending = False
        self._known: set[bytes] = set()
        self._life: Life | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run the kernel until the agent is told to end, or nobody wants another kernel."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        inside = Path(tempfile.mkdtemp(prefix="shopfloor-kernel-", dir=_short()))
        try:
            order = self._order
            tag = os.environ.get("SHOPFLOOR_TAG", "")
            host = await listening_address(order.scheduler, order.peer, tag)
            with Doors(order, host, inside) as self._doors:
                doors = self._doors
                self._orders, port = doors.orders()
                async with Recorder(doors, self._path) as self._recorder:
                    connection, memory = doors.connection(), await self._memory()
                    self._kernel = Kernel(inside, connection, self._tell_of_kernel, memory)
                    self._before_end = BeforeEnd(inside, self._path, self._tell_of_job)
                    await self._start(order.launch)
                    try:
                        self._arrive(Arrival(host, doors.ports, port))
                        await self._until_the_end()
                    finally:
                        await self._kernel.end()
        finally:
            with contextlib.suppress(OSError):
                (self._path / ARRIVAL).unlink()
            shutil.rmtree(inside, ignore_errors=True)

    async def _memory(self) -> int:
        """What the job asked for, in bytes."""
        job = await asyncio.to_thread(read_json, self._path / "request.json")
        return int((job or {}).get("request", {}).get("memory", 0))

    def _arrive(self, arrival: Arrival) -> None:
        try:
            arrival.write(self._path)
        except OSError as error:
            raise SystemExit(home_words(error, Path.home())) from error

    def _end(self) -> None:
        self._ending = True
        self._changed.set()

    async def _until_the_end(self) -> None:
        taking = asyncio.create_task(self._take_orders())
        taking.add_done_callback(lambda _: self._changed.set())
        living = asyncio.create_task(self._live())
        living.add_done_callback(_report)
        try:
            while not self._ending:
                self._changed.clear()
                wanted = self._known and self._kernel.lives
                changed = await set_within(
                    self._changed, LONGEST if wanted else orders.WANTED_WITHIN
                )
                if taking.done():
                    taking.result()
                if not changed and not wanted:
                    self._leave_cause()
                    return
        finally:
            taking.cancel()
            living.cancel()
            if self._life:
                await self._life.write()

    async def _live(self) -> None:
        """Watch the job; a failure in there ends no kernel."""
        self._life = Life(
            await own_job(),
            Rule(**self._order.idle),
            self._kernel,
            self._before_end,
            self._recorder,
            tell=self._tell,
            end=self._end,
            home=Path.home(),
        )
        await self._life.run()

    async def _take_orders(self) -> None:
        while True:
            who, *frames = await self._orders.recv_multipart()
            if who not in self._known:
                self._known.add(who)
                self._changed.set()
            answer: dict[str, Any] = {}
            try:
                asked = json.loads(b"".join(frames))
                answer["id"] = asked["id"]
                if asked["do"] == "runs":
                    # Beside the other orders: an interrupt does not wait for 10 MB.
                    task = asyncio.create_task(self._send_runs(who, answer))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
                    continue
                await self._obey(asked)
            except (KeyError, TypeError, ValueError) as error:
                answer["error"] = f"{type(error).__name__}: {error}"
            self._send(who, answer)

    async def _obey(self, asked: dict[str, Any]) -> None:
        what = asked["do"]
        if what == "start":
            await self._start(Launch.from_json(asked["launch"]))
        elif what == "signal":
            self._kernel.signal(signal.Signals(asked["number"]))
        elif what == "keep":
            if self._life:
                self._life.keep()
        elif what == "move_end":
            if self._life:
                self._life.move_end(float(asked["ends"]))
        elif what == "end":
            if not asked.get("keep"):
                # Whoever ends it has seen what it printed, or does not care.
                self._recorder.forget()
            self._end()
        elif what != "report":
            raise ValueError(f"do: {what!r} is no order")

    async def _start(self, launch: Launch) -> None:
        if not self._kernel.lives:
            self._doors.kernel_begins()
            self._recorder.kernel_begins()
            self._launched = launch
            await self._kernel.start(self._before_end.launch(launch, os.environ))

    def _tell_of_kernel(self) -> None:
        kernel = self._kernel
        if not kernel.lives:
            if self._recorder.execution == "starting" and kernel.code and kernel.code > 0:
                kernel.trouble = kernel.trouble or self._why_not_begun(kernel.code)
            self._doors.kernel_ended()
            self._recorder.kernel_ended()
        self._changed.set()
        self._tell()

    def _why_not_begun(self, code: int) -> str:
        try:
            log = tail(self._path, index=_index())
        except OSError:
            log = ""
        return not_begun.why(self._launched.argv, code, log)

    def _tell_of_job(self) -> None:
        if self._life:
            self._life.tell_changes()

    def _tell(self) -> None:
        """Say to whoever has asked before what became of the kernel, or of the job."""
        for who in self._known:
            self._send(who, {})

    async def _send_runs(self, who: bytes, answer: dict[str, Any]) -> None:
        try:
            self._send(who, answer, await self._recorder.json())
        except RuntimeError as error:
            self._send(who, {**answer, "error": str(error)})

    def _send(self, who: bytes, answer: dict[str, Any], runs: bytes = b"") -> None:
        told = {"kernel": {**self._kernel.report(), "ending": self._ending}}
        if self._life:
            told["job"] = self._life.report()
        text = json.dumps({**answer, **told}).encode()
        if runs:
            text = b'%s, "runs": %s}' % (text[:-1], runs)
        # To one that is gone, libzmq drops it.
        self._orders.send_multipart([who, text], zmq.NOBLOCK)

    def _leave_cause(self) -> None:
        code = self._kernel.code
        how = f"by signal {-code}" if code and code < 0 else f"with exit code {code}"
        ended = self._kernel.trouble or f"the kernel ended {how}, and was not started again"
        cause = "nobody came for the kernel" if self._kernel.lives else ended
        with contextlib.suppress(OSError):
            leave_cause(self._path, _index(), cause)


def _report(living: asyncio.Task[None]) -> None:
    if not living.cancelled() and (error := living.exception()):
        log.error("This job is not watched any more", exc_info=error)


def _index() -> int:
    return int(os.environ.get("SHOPFLOOR_INDEX", "0"))


def _short() -> str:
    """Where temporary files go, if a socket's path fits in there."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= LONGEST_SOCKET else "/tmp"


def main() -> None:
    """Run the agent of the job that this process is: SHOPFLOOR_JOB_DIR names its directory."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    path, order = os.environ.get("SHOPFLOOR_JOB_DIR"), os.environ.pop(ORDER, None)
    if not path or not order:
        raise SystemExit(f"SHOPFLOOR_JOB_DIR or {ORDER} is not set: this is the command of a job")
    asyncio.run(Agent(Path(path), Order.read(Path(order))).run())


if __name__ == "__main__":
    main()
