"""The Lab server's end of an agent's port for orders.

It reads what came whenever it is asked, and needs no task of its own: jupyter_client's blocking managers run an
event loop during their calls only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import zmq
from shopfloor_jobs.records import of_known

from shopfloor_lab.errors import NoAnswer

from .order import Arrival, Launch, Order

WITHIN = 5.0  # seconds for an answer
RUNS_WITHIN = 20.0  # seconds for one with megabytes of output
QUIET = 5.0  # seconds of silence after which it is asked whether it is still there
PAUSE = 0.005  # seconds between looks while one is awaited


class NotDone(NoAnswer):
    """The agent answered that it cannot do what it was told: it would say the same again."""


@dataclass(frozen=True)
class Told:
    """What the agent said last of its kernel; ``code`` is as :class:`~.process.Kernel` reports it.

    ``ending`` says that the agent ends, and the job with it: no kernel is started there any more.
    """

    starts: int = 0
    lives: bool = False
    code: int | None = None
    trouble: str = ""
    pid: int | None = None
    death: Mapping[str, Any] | None = None
    ending: bool = False


class Link:
    """A connection to the agent that arrived there.

    ``kernel`` is what it said last of the kernel, ``job`` of its job: use, time left and idle rule; empty for an agent
    of a version that says nothing of it.
    """

    def __init__(self, order: Order, arrival: Arrival):
        self._numbers = itertools.count(1)
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.ipv6 = ":" in arrival.host
        self._socket.curve_serverkey = self._socket.curve_publickey = order.publickey.encode()
        self._socket.curve_secretkey = order.secretkey.encode()
        host = f"[{arrival.host}]" if ":" in arrival.host else arrival.host
        self._socket.connect(f"tcp://{host}:{arrival.orders}")
        self.kernel = Told()
        self.job: Mapping[str, Any] = {}
        self._awaited: dict[int, dict[str, Any] | None] = {}
        self._heard = time.monotonic()
        self._asked: float | None = None
        self._asked_last = self._heard

    async def start(self, launch: Launch) -> Told:
        """Start a kernel where none lives. Raises NoAnswer."""
        await self._order({"do": "start", "launch": asdict(launch)})
        return self.kernel

    async def signal(self, number: int) -> Told:
        """Signal the kernel and its process group. Raises NoAnswer."""
        await self._order({"do": "signal", "number": number})
        return self.kernel

    async def report(self, within: float = WITHIN) -> Told:
        """How the kernel is. Raises NoAnswer."""
        await self._order({"do": "report"}, within)
        return self.kernel

    async def end(self, keep: bool = False) -> Told:
        """End the kernel, and the job with it; ``keep`` what it printed. Raises NoAnswer."""
        await self._order({"do": "end", "keep": keep})
        return self.kernel

    async def keep(self) -> None:
        """Say that the person wants the kernel, though it computes nothing. Raises NoAnswer."""
        await self._order({"do": "keep"})

    async def move_end(self, ends: float) -> None:
        """Say when the scheduler ends the job, in epoch seconds: its limit was moved. Raises NoAnswer."""
        await self._order({"do": "move_end", "ends": ends})

    async def runs(self) -> list[dict[str, Any]]:
        """What was printed by the last run of each cell. Raises NoAnswer."""
        answer = await self._order({"do": "runs"}, RUNS_WITHIN)
        return list(answer.get("runs", ()))

    def look(self) -> Told:
        """What the agent said until now; it speaks unasked when the kernel ends."""
        while (answer := self._next()) is not None:
            self._note(answer)
        return self.kernel

    def silence(self) -> float:
        """Seconds for which the agent has owed an answer; it is asked whenever it was quiet for :data:`QUIET`."""
        now = time.monotonic()
        if now - max(self._heard, self._asked_last) > QUIET:
            # Again and again: a connection that broke may have taken a question along, or its answer.
            self._asked_last = now
            self._asked = self._asked or now
            with contextlib.suppress(NoAnswer):
                self._send({"do": "report"})
        return now - self._asked if self._asked else 0.0

    def close(self) -> None:
        self._socket.close()

    async def _order(self, asked: dict[str, Any], within: float = WITHIN) -> dict[str, Any]:
        number = self._send(asked)
        # Whoever looks first reads all that came: the answers of others among it.
        self._awaited[number] = None
        try:
            deadline = time.monotonic() + within
            while time.monotonic() < deadline:
                self.look()
                if (answer := self._awaited[number]) is not None:
                    if "error" in answer:
                        raise NotDone(str(answer["error"]))
                    return answer
                await asyncio.sleep(PAUSE)
        finally:
            del self._awaited[number]
        raise NoAnswer(f"the kernel's node did not answer within {within:.0f} s")

    def _send(self, asked: dict[str, Any]) -> int:
        """Raises NoAnswer where the connection was closed."""
        number = next(self._numbers)
        if self._socket.closed:
            raise NoAnswer("the connection to its job is closed")
        # What does not fit any more, for the node has been silent for hours, is not answered either.
        with contextlib.suppress(zmq.Again):
            self._socket.send(json.dumps({"id": number, **asked}).encode(), zmq.NOBLOCK)
        return number

    def _next(self) -> dict[str, Any] | None:
        if self._socket.closed:
            return None
        try:
            return dict(json.loads(self._socket.recv(zmq.NOBLOCK)))
        except zmq.Again:
            return None

    def _note(self, answer: dict[str, Any]) -> None:
        self._heard, self._asked = time.monotonic(), None
        # The agent may be of another version: it lives on while Lab is brought up to date.
        self.kernel = of_known(Told, answer["kernel"])
        self.job = answer.get("job") or self.job
        if answer.get("id") in self._awaited:
            self._awaited[answer["id"]] = answer
