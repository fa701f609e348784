"""The kernel itself, as the child of its agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shopfloor_jobs.directory import write_json
from shopfloor_jobs.request import FIELDS
from shopfloor_jobs.runner import by_signal, kernel_memory_kills

from .order import Launch

CONNECTION = "connection.json"
NOT_STARTED = 127  # a shell's exit code for a command that is not there
END_WITHIN = 2.0  # seconds between TERM and KILL


class Kernel:
    """One kernel after another, in the private directory ``inside`` of a job that asked for ``memory`` (bytes);
    ``changed`` is called as one begins or ends."""

    def __init__(
        self,
        inside: Path,
        connection: Mapping[str, object],
        changed: Callable[[], None],
        memory: int = 0,
    ):
        self._inside, self._connection, self._changed = inside, connection, changed
        self._memory = memory
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: asyncio.Task[None] | None = None
        self.starts = 0
        self.code: int | None = None
        self.trouble = ""
        self.death: dict[str, Any] | None = None
        self._is_told_to_end = False
        self._memory_kills = 0

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """None while none lives."""
        return self._process.pid if self._process and self.lives else None

    def report(self) -> dict[str, Any]:
        """``code`` is that of the exit, below zero for a signal's number; None while it lives.

        ``death`` is why the one before ended that nobody had told to (``at``, in epoch seconds, and ``cause``).
        """
        return {
            "starts": self.starts,
            "lives": self.lives,
            "code": self.code,
            "trouble": self.trouble,
            "death": self.death,
            "pid": self._process.pid if self._process else None,
        }

    async def start(self, launch: Launch) -> None:
        """Start a kernel, where none lives; one that cannot be started has an exit code and says why."""
        file = self._inside / CONNECTION
        argv = [word.replace("{connection_file}", str(file)) for word in launch.argv]
        self.starts, self.code, self.trouble = self.starts + 1, None, ""
        self._is_told_to_end, self._memory_kills = False, kernel_memory_kills()
        try:
            write_json(file, self._connection)
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                env={**os.environ, **launch.env},
                cwd=launch.cwd or None,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._process, self.code = None, NOT_STARTED
            self.trouble = f"{error.filename or argv[0]}: {error.strerror}"
        else:
            self._waiting = asyncio.create_task(self._wait(self._process))
        self._changed()

    def signal(self, number: int) -> None:
        """Send a signal to the kernel and what it started in its process group; nothing if it has ended."""
        self._is_told_to_end |= number in (signal.SIGTERM, signal.SIGKILL)
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def end(self) -> None:
        """End it, politely first."""
        if not self.lives or self._waiting is None:
            return
        self.signal(signal.SIGTERM)
        await asyncio.wait({self._waiting}, timeout=END_WITHIN)
        self.signal(signal.SIGKILL)
        await asyncio.wait({self._waiting}, timeout=END_WITHIN)

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        self.code = await process.wait()
        told = self._is_told_to_end or self.code == 0
        self.death = None if told else {"at": time.time(), "cause": self._why(self.code)}
        # What it forked holds its sockets, and memory of the GPU.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._changed()

    def _why(self, code: int) -> str:
        """Why a kernel ended that nobody had told to, in words."""
        if code == -signal.SIGKILL and kernel_memory_kills() > self._memory_kills:
            return f"ran out of memory: asked {FIELDS['memory'].show(self._memory)}"
        if code < 0:
            return f"was {by_signal(-code)}"
        return f"ended with exit code {code}"
