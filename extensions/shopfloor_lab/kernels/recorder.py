"""The agent's recorder: sees what passes the kernel's doors (channels.py), and keeps what cells printed (runs.py).

All of it is one thread's work, beside the one that writes the file: libzmq copies the messages to it without Python,
so it is never in their way, and two busy threads would only take the interpreter from each other. It reads a message
when the kernel is quiet, and of a flood only what will be kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import Any

import zmq
from shopfloor_jobs.directory import write_pieces

from .channels import SEEN, Doors
from .outputs import EACH
from .runs import LIMIT, REQUEST, Message, Runs
from .runs_file import FILE, forget_runs

MOST_WAITING = 10_000  # messages that libzmq holds for it; what comes beyond them is lost
TOGETHER = 20  # milliseconds in which messages gather before they are taken
QUIET = 50  # milliseconds without a message after which they are read
LATEST = 1.0  # seconds after which they are read in any case
PIECE = 2 * 1024**2  # bytes that are taken before what is too much is left out
WRITE_EVERY = 5.0  # seconds between writes of the file
WRITE_RATE = 512 * 1024  # bytes a second that the home is asked to take, on average
WRITTEN_WITHIN = 4.0  # seconds for the last write: the agent has 10 s for its end

log = logging.getLogger("shopfloor.kernel")


class Recorder:
    """Records what passes ``doors``, in the job directory ``path``. Use it with ``async with``, inside theirs."""

    def __init__(self, doors: Doors, path: Path):
        self._shell, self._iopub = (doors.seen(channel, MOST_WAITING) for channel in SEEN)
        self._runs, self._file = Runs(), _File(path)
        self._worked = time.monotonic()
        self._waiting: deque[Message] = deque()
        self._size = self._handled = 0  # bytes of those, and of those before
        self._length = 0  # of that, what they say
        self._asked: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._over = False
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    @property
    def busy(self) -> bool:
        """Whether a cell runs, or waits for its turn."""
        return self._runs.busy

    @property
    def worked(self) -> float:
        """The last sign of a running cell, of time.monotonic(); now, while one runs."""
        return time.monotonic() if self.busy else self._worked

    @property
    def execution(self) -> str:
        """What the kernel does, for anybody: "starting", "idle" or "busy"."""
        return self._runs.execution

    async def __aenter__(self) -> Recorder:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Note the kernel's last words, and write the file a last time."""
        with contextlib.suppress(RuntimeError):
            await self._ask(self._finish)
        await asyncio.to_thread(self._thread.join)
        os.close(self._bell)

    async def json(self) -> bytes:
        """All runs until now, as a JSON list of :class:`~.runs.Run`. Raises RuntimeError once it has ended."""
        return await self._ask(lambda: "".join(self._runs.json()).encode())

    def kernel_begins(self) -> None:
        self._tell(self._runs.kernel_begins)

    def kernel_ended(self) -> None:
        self._tell(lambda: self._runs.kernel_ended(time.time()))

    def forget(self) -> None:
        """Leave no file behind."""
        self._file.wanted = False

    async def _ask(self, do: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self._tell(do))

    def _tell(self, do: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._asked.append((do, future))
        if self._over:
            self._refuse()
        else:
            os.eventfd_write(self._bell, 1)
        return future

    def _refuse(self) -> None:
        while self._asked:
            with contextlib.suppress(InvalidStateError):
                self._asked.popleft()[1].set_exception(RuntimeError("the recorder has ended"))

    # What follows runs in the thread.

    def _work(self) -> None:
        try:
            self._record()
        finally:
            self._over = True
            self._refuse()
            self._shell.close()
            self._iopub.close()

    def _record(self) -> None:
        anything, bell = zmq.Poller(), zmq.Poller()
        for socket in (self._shell, self._iopub):
            anything.register(socket, zmq.POLLIN)
        for poller in (anything, bell):
            poller.register(self._bell, zmq.POLLIN)
        read = 0.0
        while not self._over:
            came = anything.poll(self._pause())
            # Woken for each message, it would cost more than they do; of this it is not woken.
            if came and not bell.poll(TOGETHER):
                self._take()
            now = time.monotonic()
            if self._asked or not came or now - read > LATEST:
                self._answer()
                read = now
            self._file.write_if_due(self._runs)
            if not came and self._handled > PIECE:
                self._handled = 0
                _give_back()

    def _pause(self) -> float | None:
        """Milliseconds for which nothing need be done."""
        return QUIET if self._waiting else self._file.due_in(self._runs)

    def _take(self) -> None:
        """Take what is there. Not for ever: who asks for it waits."""
        until = time.monotonic() + LATEST
        more = True
        while more and time.monotonic() < until:
            more = self._take_piece()
            # Requests after output, for each passes before what it printed.
            while message := self._next(self._shell):
                if message.kind == REQUEST:
                    self._note(message)
                else:
                    self._wait(message)
            while self._length > LIMIT:
                self._note(self._oldest(), keep=False)
            if self._size > LIMIT:
                self._read()  # short ones, of which nothing need be left out

    def _take_piece(self) -> bool:
        taken = 0
        while taken < PIECE:
            message = self._next(self._iopub)
            if message is None:
                return False
            self._wait(message)
            taken += _weight(message)
        return True

    def _next(self, socket: zmq.Socket[bytes]) -> Message | None:
        """The next message of Jupyter's that waits there."""
        while True:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return None
            if message := Message.from_frames(frames, time.time()):
                return message

    def _wait(self, message: Message) -> None:
        self._waiting.append(message)
        self._size += _weight(message)
        self._length += message.size

    def _oldest(self) -> Message:
        message = self._waiting.popleft()
        weight = _weight(message)
        self._size -= weight
        self._length -= message.size
        self._handled += weight
        return message

    def _note(self, message: Message, keep: bool = True) -> None:
        signs = self._runs.signs
        self._runs.note(message, keep)
        if self._runs.signs != signs:
            self._worked = time.monotonic()

    def _answer(self) -> None:
        """Read what waits, then do what was asked before it was taken."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        asked = len(self._asked)
        if asked:
            self._take()
        self._read()
        for _ in range(asked):
            do, future = self._asked[0]
            if future.set_running_or_notify_cancel():
                future.set_result(do())
            self._asked.popleft()

    def _read(self) -> None:
        while self._waiting:
            self._note(self._oldest())

    def _finish(self) -> None:
        until = time.monotonic() + LATEST
        while self._iopub.poll(QUIET) and time.monotonic() < until:
            self._take()
            self._read()
        self._runs.kernel_ended(time.time())
        self._file.write_last(self._runs)
        self._over = True


class _File:
    """The runs in the job directory ``path``; a home that is full or away costs the last of them, and no more."""

    def __init__(self, path: Path):
        self._path = path
        self._written = 0  # what of Runs.changes is in it
        self._failed = False
        self._next = time.monotonic()
        self._thread: threading.Thread | None = None
        self.wanted = True

    def due_in(self, runs: Runs) -> float | None:
        """Milliseconds until it is to be written; None while nothing changed."""
        if runs.changes == self._written:
            return None
        wait = WRITE_EVERY if self._writes() else self._next - time.monotonic()
        return max(0.0, 1000 * wait)

    def write_if_due(self, runs: Runs) -> None:
        if runs.changes != self._written and time.monotonic() >= self._next and not self._writes():
            self._write(runs)

    def write_last(self, runs: Runs) -> None:
        """Wait for it, but not for a home that is away."""
        until = time.monotonic() + WRITTEN_WITHIN
        if self._thread:
            self._thread.join(WRITTEN_WITHIN)
        if self._writes():
            log.warning("The home is away: what cells printed last is not kept")
        elif not self.wanted:
            self._begin(self._remove)
        elif runs.changes != self._written:
            self._write(runs)
        if self._thread:
            self._thread.join(max(0.0, until - time.monotonic()))

    def _writes(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _write(self, runs: Runs) -> None:
        pieces = ['{"runs": ', *runs.json(), "}"]
        self._next = time.monotonic() + max(WRITE_EVERY, sum(map(len, pieces)) / WRITE_RATE)
        self._begin(self._put, pieces, runs.changes)

    def _begin(self, do: Callable[..., None], *given: Any) -> None:
        # Not one of a pool, whose threads Python waits for at its end.
        self._thread = threading.Thread(target=do, args=given, name="runs", daemon=True)
        self._thread.start()

    def _put(self, pieces: list[str], changes: int) -> None:
        try:
            write_pieces(self._path / FILE, pieces)
            self._written, self._failed = changes, False
        except OSError as error:
            if not self._failed:
                log.warning("What cells printed is not kept for now: %s", error)
            self._failed = True

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            forget_runs(self._path)


def _give_back() -> None:
    """Return memory to the node, of which C's allocator keeps several times what a flood of output took."""
    with contextlib.suppress(AttributeError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)


def _weight(message: Message) -> int:
    return EACH + sum(map(len, message[1:5]))
