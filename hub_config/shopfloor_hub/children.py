"""Processes that `up` starts, each in a session of its own, and the record by which a later `up` finds leftovers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from shopfloor_jobs.directory import read_json, write_text
from shopfloor_jobs.processes import start_ticks

PATIENCE = 10.0  # seconds between TERM and KILL


class Child:
    """One program, its log, and whatever it starts itself. ``name`` is what messages call it."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path):
        self.name, self.command, self.env, self.log = name, list(command), dict(env), log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; the log of its last run is kept beside the new one as ``.old``. Raises OSError."""
        if self._process is None and self.log.exists():
            self.log.replace(self.log.with_suffix(".log.old"))
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # Its own session: Ctrl-C reaches `up` alone, which ends things in their order.
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                env=self.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def wait(self) -> int:
        """Its exit status, once it has one."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """End it and all that is left in its session, politely first."""
        if self._process is None:
            return
        _signal_group(self.pid, signal.SIGTERM)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        _signal_group(self.pid, signal.SIGKILL)
        await self._process.wait()

    def tail(self, lines: int = 12) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def record(path: Path, children: Sequence[Child]) -> None:
    """Write down which processes run, so that they can be ended after a crash of `up`."""
    pids = {str(child.pid): start_ticks(child.pid) for child in children if not child.ended}
    write_text(path, json.dumps(pids))


def end_leftovers(path: Path) -> int:
    """End what an `up` that was killed left behind, and return how many there were.

    A process counts as ours only when it started at the moment that was recorded: numbers are reused.
    """
    ours = [
        int(pid)
        for pid, ticks in (read_json(path) or {}).items()
        if ticks is not None and start_ticks(int(pid)) == ticks
    ]
    for pid in ours:
        # Killed: a hub or proxy has nothing to save, and its ports are wanted now.
        _signal_group(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while any(_group_lives(pid) for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.02)
    path.unlink(missing_ok=True)
    return len(ours)


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
