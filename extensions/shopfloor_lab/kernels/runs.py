"""What a kernel's cells printed, run by run, made from its messages as a notebook would hold it.

recorder.py, in the agent, feeds it and keeps it in a file, which runs_file.py reads when the job is over.
"""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

import zmq

from .outputs import EACH, PIECE, Shown, Stream, output_of

LIMIT = 10 * 1024**2  # bytes of all outputs together
MOST, LOOSE = 1000, 5  # runs, and those of them without a cell
UPDATE = "update_display_data"
COMMS = ("comm_open", "comm_msg", "comm_close")  # of widgets
OUTPUTS = ("stream", "display_data", UPDATE, "execute_result", "error")
REQUEST = "execute_request"
DELIMITER = b"<IDS|MSG>"
MALFORMED = (LookupError, ValueError, TypeError, AttributeError, RecursionError)


class Run(TypedDict):
    """One execution: ``state`` is "running" or "done", ``began`` and ``ended`` are epoch seconds.

    ``outputs`` are those of nbformat v4; ``dropped`` is how many bytes are left out, the oldest first. ``broken``: its
    kernel ended before it, and no other one was started there.
    """

    msg_id: str
    session: str
    cell: str | None
    state: str
    execution_count: int | None
    outputs: list[dict[str, Any]]
    dropped: int
    began: float
    ended: float | None
    broken: bool


class Message(NamedTuple):
    """A message of Jupyter's that matters here, not yet read; ``at`` is when it passed, in epoch seconds.

    A large ``content`` stays where libzmq has it until it is read, for it may never be. It is empty where it was
    longer than :data:`LIMIT`; ``size`` is its length all the same.
    """

    kind: str
    header: bytes
    parent: bytes
    metadata: bytes
    content: bytes | zmq.Frame
    size: int
    at: float

    @classmethod
    def from_frames(cls, frames: Sequence[zmq.Frame], at: float) -> Message | None:
        """From frames that are not copied yet; None for anything else."""
        # Before the delimiter there are a topic, or who asked.
        for number, frame in enumerate(frames[:4]):
            if frame.bytes == DELIMITER and len(frames) >= number + 6:
                header, parent, metadata, content = frames[number + 2 : number + 6]
                kind = _kind(header.bytes)
                if not kind:
                    return None
                size = len(content)
                heads = (one.bytes for one in (header, parent, metadata))
                kept = content if PIECE < size <= LIMIT else content.bytes if size <= PIECE else b""
                return cls(kind, *heads, kept, size, at)
        return None

    def read(self) -> Any:
        """The content. Raises ValueError."""
        return json.loads(self.content if isinstance(self.content, bytes) else self.content.bytes)


class Captures:
    """Which executions' outputs go to a widget, and not below their cell: those of ``with Output():``, say.

    Such a widget names the execution in its ``msg_id``, and none when it is done (ipywidgets' Output model).
    """

    def __init__(self) -> None:
        self._by_comm: dict[str, str] = {}

    def __contains__(self, msg_id: str) -> bool:
        return msg_id in self._by_comm.values()

    def note(self, message: Message) -> None:
        """Take in what a widget says. Most say nothing of it, at length, and are not read."""
        if message.kind == "comm_close":
            self._by_comm.pop(message.read()["comm_id"], None)
            return
        said = message.content
        if not isinstance(said, bytes) or b'"msg_id"' not in said:
            return
        content = message.read()
        named = content["data"]["state"]["msg_id"]
        if named:
            self._by_comm[str(content["comm_id"])] = str(named)
        else:
            self._by_comm.pop(str(content["comm_id"]), None)


@dataclass
class _Recorded:
    msg_id: str
    session: str
    cell: str | None
    began: float
    ended: float | None = None
    count: int | None = None
    dropped: int = 0
    replied: bool = False
    broken: bool = False
    clears: bool = False  # as the next output comes
    outputs: deque[Stream | Shown] = field(default_factory=deque)

    def json(self) -> Iterator[str]:
        head = {
            "msg_id": self.msg_id,
            "session": self.session,
            "cell": self.cell,
            "state": "running" if self.ended is None else "done",
            "execution_count": self.count,
            "dropped": self.dropped,
            "began": self.began,
            "ended": self.ended,
            "broken": self.broken,
        }
        yield f'{json.dumps(head)[:-1]}, "outputs": ['
        for number, output in enumerate(self.outputs):
            yield ", " if number else ""
            yield from output.json()
        yield "]}"


class Runs:
    """The last run of each cell, and a few that belong to none; their outputs take ``limit`` bytes at most.

    ``signs`` counts what was noted of running cells, ``changes`` whatever changed.
    """

    def __init__(self, limit: int = LIMIT):
        self._limit, self._size = limit, 0
        self._runs: dict[str, _Recorded] = {}
        self._running: dict[str, _Recorded] = {}
        self._captures = Captures()
        self._state, self._lives = "starting", False
        self.signs = self.changes = 0

    @property
    def busy(self) -> bool:
        """Whether a cell runs, or waits for its turn."""
        return bool(self._running)

    @property
    def execution(self) -> str:
        """ "starting", "idle" or "busy": of the kernel, whoever asked it."""
        # What is asked on the control channel has a busy and an idle of its own, in the midst of a cell.
        return "busy" if self._running and self._state == "idle" else self._state

    def kernel_begins(self) -> None:
        self._captures, self._state, self._lives = Captures(), "starting", True
        for run in self._runs.values():
            self.changes += run.broken
            run.broken = False

    def kernel_ended(self, at: float) -> None:
        """Whatever ran has ended with the kernel."""
        self._lives = False
        for run in list(self._running.values()):
            run.broken = True
            self._end(run, at)

    def json(self) -> Iterator[str]:
        """A list of :class:`Run` as JSON, piece by piece, in ASCII, in the order in which they were asked for."""
        yield "["
        for number, run in enumerate(self._runs.values()):
            yield ", " if number else ""
            yield from run.json()
        yield "]"

    def note(self, message: Message, keep: bool = True) -> None:
        """Take in what a message says; without ``keep`` an output is counted as dropped, and not read.

        What is malformed is passed over, as Lab passes over it.
        """
        with contextlib.suppress(*MALFORMED):
            if message.kind == REQUEST:
                self._ask(message)
                return
            parent = json.loads(message.parent).get("msg_id")
            run = self._runs.get(parent) or self._running.get(parent)
            self.signs += parent in self._running
            if message.kind not in OUTPUTS or (keep and message.size <= LIMIT):
                _NOTES[message.kind](self, run, message)
            elif run and self._takes(run, message.kind):
                run.dropped += message.size
                self.changes += 1

    def _ask(self, message: Message) -> None:
        header, content = json.loads(message.header), message.read()
        cell = json.loads(message.metadata).get("cellId")
        cell = str(cell) if cell else None
        # What a program asks for itself is nobody's work, and has no place to be shown.
        if content.get("silent") or not (cell or content.get("store_history", True)):
            return
        run = _Recorded(str(header["msg_id"]), str(header["session"]), cell, message.at)
        self._forget(
            [
                one
                for one in self._runs.values()
                if (cell and one.cell == cell) or one.msg_id == run.msg_id
            ]
        )
        self._runs[run.msg_id] = self._running[run.msg_id] = run
        loose = [one for one in self._runs.values() if not one.cell]
        self._forget([*loose[:-LOOSE], *list(self._runs.values())[:-MOST]])
        self.signs += 1
        self.changes += 1

    def _forget(self, runs: Sequence[_Recorded]) -> None:
        for run in runs:
            if self._runs.pop(run.msg_id, None):
                self._clear(run)

    def _clear(self, run: _Recorded) -> None:
        self._size -= sum(output.size for output in run.outputs)
        run.outputs.clear()
        run.dropped, run.clears = 0, False
        self.changes += 1

    def _end(self, run: _Recorded, at: float) -> None:
        run.ended = at
        del self._running[run.msg_id]
        self.signs += 1
        self.changes += 1

    def _status(self, run: _Recorded | None, message: Message) -> None:
        state = message.read()["execution_state"]
        if state in ("starting", "idle", "busy"):
            self._state = state
        if state == "idle":
            # Of a flood of output the kernel's own queue may have dropped the end of an earlier one.
            over = [one for one in self._running.values() if one is run or one.replied]
            for one in over:
                self._end(one, message.at)

    def _input(self, run: _Recorded | None, message: Message) -> None:
        if run:
            if run.ended is not None and self._lives and run.msg_id in self._runs:
                # It waited as the kernel before this one died, and is computed now.
                run.ended, run.broken, run.replied = None, False, False
                self._running[run.msg_id] = run
            run.began = message.at
            self._count(run, message)

    def _reply(self, run: _Recorded | None, message: Message) -> None:
        if not run:
            return
        run.replied = True
        self._count(run, message)
        content = message.read()
        pages = [one for one in content.get("payload") or () if one["source"] == "page"]
        if pages and content["status"] == "ok" and self._takes(run, "display_data"):
            # Help that is asked for with "?", which Lab shows below the cell.
            self._add(run, Shown(output_of("display_data", pages[0], None)))
            self._fit()

    def _count(self, run: _Recorded, message: Message) -> None:
        count = message.read().get("execution_count")
        if isinstance(count, int):
            run.count = count
            self.changes += 1

    def _stream(self, run: _Recorded | None, message: Message) -> None:
        if not run or not self._takes(run, "stream"):
            return
        content = message.read()
        name, text = str(content["name"]), content["text"].encode(errors="replace")
        if not text:
            return
        last = run.outputs[-1] if run.outputs else None
        if not isinstance(last, Stream) or last.name != name:
            last = Stream(name)
            self._add(run, last)
        last.add(text)
        self._size += len(text)
        self.changes += 1
        self._fit()

    def _display(self, run: _Recorded | None, message: Message) -> None:
        kind, content = message.kind, message.read()
        display = (content.get("transient") or {}).get("display_id")
        # Lab shows the newest under this name wherever it was shown before.
        self._update(display, content)
        if run and self._takes(run, kind) and kind != UPDATE:
            output = output_of(kind, content, content.get("execution_count"))
            self._add(run, Shown(output, display))
        self._fit()

    def _error(self, run: _Recorded | None, message: Message) -> None:
        if run and self._takes(run, "error"):
            content = message.read()
            told = {name: content[name] for name in ("ename", "evalue", "traceback")}
            self._add(run, Shown({"output_type": "error", **told}))
            self._fit()

    def _clear_output(self, run: _Recorded | None, message: Message) -> None:
        if not run or run.msg_id in self._captures:
            return
        if message.read().get("wait"):
            run.clears = True
        else:
            self._clear(run)

    def _takes(self, run: _Recorded, kind: str) -> bool:
        """Whether the run's outputs are kept: not if its cell was run again, or while a widget takes them."""
        if run.msg_id not in self._runs or run.msg_id in self._captures:
            return False
        if run.clears and kind != UPDATE:
            self._clear(run)
        return True

    def _comm(self, run: _Recorded | None, message: Message) -> None:
        self._captures.note(message)

    def _update(self, display: str | None, content: Mapping[str, Any]) -> None:
        for run in self._runs.values() if display else ():
            for one in run.outputs:
                if isinstance(one, Shown) and one.display == display:
                    before = one.size
                    one.update(content)
                    self._size += one.size - before
                    self.changes += 1

    def _add(self, run: _Recorded, output: Stream | Shown) -> None:
        run.outputs.append(output)
        self._size += output.size
        self.changes += 1

    def _fit(self) -> None:
        while (excess := self._size - self._limit) > 0:
            full = [run for run in self._runs.values() if run.outputs]
            run = next((one for one in full if one.ended is not None), full[0])
            oldest = run.outputs[0]
            before = oldest.size
            if isinstance(oldest, Stream) and oldest.length > excess:
                oldest.cut(excess)
                cut = freed = before - oldest.size
            else:
                run.outputs.popleft()
                cut, freed = before - EACH, before
            run.dropped += cut
            self._size -= freed
            self.changes += 1


_NOTES = {
    "execute_reply": Runs._reply,
    "status": Runs._status,
    "execute_input": Runs._input,
    "stream": Runs._stream,
    "display_data": Runs._display,
    UPDATE: Runs._display,
    "execute_result": Runs._display,
    "error": Runs._error,
    "clear_output": Runs._clear_output,
    **dict.fromkeys(COMMS, Runs._comm),
}


def _kind(header: bytes) -> str | None:
    """The message's type, if it is one that is noted."""
    try:
        kind = json.loads(header)["msg_type"]
        return str(kind) if kind == REQUEST or kind in _NOTES else None
    except MALFORMED:
        return None
