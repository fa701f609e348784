"""What pages send to a kernel before it runs: kept in bounds and in order, and sent on, also for a page that left.

Lab sends nothing twice: what it gave to a websocket it takes for arrived. So cells that are queued here are run,
whether their page is there or not; the recorder on the node keeps what they print.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
)

# That wait for the kernel: of cells, which the person queued, and again of all else, which the page sends by itself.
MOST_EARLY = 1000
EARLY_BYTES = 10 * 1024**2
CELL = "execute_request"
# What a page asks with every pause in typing; nobody looks at the answer to an earlier one any more.
NEWEST_ONLY = frozenset(
    {"inspect_request", "complete_request", "history_request", "is_complete_request"}
)
LAST_WORDS = 10_000  # milliseconds for what was sent before the socket is closed
SENT_WITHIN = 60.0  # seconds

_numbers = itertools.count()


class Message(NamedTuple):
    """One for ``channel``; ``frames`` as Session.send_raw takes them, ``number`` says when it came."""

    number: int
    channel: str
    header: Mapping[str, Any]
    frames: list[bytes]

    @classmethod
    def read(cls, said: str | bytes, is_v1: bool, session: Session) -> Message:
        """As a page said it, by one of Jupyter's two protocols. Raises ValueError or KeyError."""
        if is_v1:
            channel, frames = deserialize_msg_from_ws_v1(said)
            return cls(next(_numbers), channel, session.unpack(frames[0]), frames)
        message = deserialize_binary_message(said) if isinstance(said, bytes) else json.loads(said)
        parts = ("header", "parent_header", "metadata", "content")
        frames = [session.pack(message[part]) for part in parts]
        header, buffers = message["header"], message.get("buffers") or []
        return cls(next(_numbers), message.get("channel") or "shell", header, [*frames, *buffers])

    @property
    def name(self) -> str:
        return str(self.header["msg_id"])

    @property
    def kind(self) -> str:
        return str(self.header["msg_type"])

    @property
    def is_cell(self) -> bool:
        return self.kind == CELL

    @property
    def size(self) -> int:
        return sum(map(len, self.frames))

    def outdates(self, other: Message) -> bool:
        return self.kind in NEWEST_ONLY and self.kind == other.kind


class Early:
    """Those that wait for one kernel, by their ids."""

    def __init__(self) -> None:
        self._messages: dict[str, Message] = {}

    def add(self, message: Message) -> bool:
        """False where it is more than is kept; one that is there already counts once."""
        if message.name in self._messages:
            return True
        alike = [one for one in self._messages.values() if one.is_cell == message.is_cell]
        beside = [one for one in alike if not message.outdates(one)]
        size = sum(one.size for one in beside) + message.size
        if len(beside) >= MOST_EARLY or size > EARLY_BYTES:
            return False
        for one in alike:
            if message.outdates(one):
                del self._messages[one.name]
        self._messages[message.name] = message
        return True

    def take_over(self, other: Early) -> None:
        for name, one in other._messages.items():
            self._messages[name] = min(one, self._messages.get(name, one))  # whichever came first

    def take_cells(self) -> Early:
        """The cells among them; nothing waits here any more."""
        cells = Early()
        cells._messages = {name: one for name, one in self._messages.items() if one.is_cell}
        self._messages = {}
        return cells

    def take(self) -> list[Message]:
        """All of them, as they came."""
        taken, self._messages = self._messages, {}
        return sorted(taken.values(), key=lambda one: one.number)

    def __bool__(self) -> bool:
        return bool(self._messages)


class Left:
    """Cells that wait for a kernel while no page does; sent when it runs, unless a page comes that takes them."""

    _all: dict[str, Left] = {}

    def __init__(self, kernel: Any, cells: Early):
        self._kernel, self._cells = kernel, cells
        self._all[kernel.kernel_id] = self
        self._sending = asyncio.create_task(self._send_when_ready())

    @classmethod
    def taken(cls, kernel_id: str) -> Early:
        """What waits there for this kernel, for a page that sends it from now on."""
        left = cls._all.pop(kernel_id, None)
        if left is None:
            return Early()
        left._sending.cancel()
        return left._cells

    async def _send_when_ready(self) -> None:
        ready = self._kernel.ready
        # Whatever its start failed with: its row says so, and to whom else could it be told?
        with contextlib.suppress(Exception):
            await asyncio.shield(ready)
        del self._all[self._kernel.kernel_id]
        if ready.exception() is None:
            await self._send()

    async def _send(self) -> None:
        # By a name of its own: a page that comes back has its session's, and the kernel's door knows each once.
        stream, sent = self._kernel.connect_shell(), asyncio.Event()
        self._kernel.take_for_known()  # the answer would come behind these cells
        try:
            stream.on_send(lambda *_: stream.sending() or sent.set())
            for message in self._cells.take():
                self._kernel.session.send_raw(stream, message.frames)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(sent.wait(), SENT_WITHIN)
        finally:
            stream.close(LAST_WORDS)
