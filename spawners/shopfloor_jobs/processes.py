"""Processes of local jobs, found again by number and start time, so that a reused number is never mistaken."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from .runner import descendants, send, stat


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where it has ended."""
    fields = stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return int(fields[19])


def is_alive(pid: int | None, ticks: int | None) -> bool:
    return pid is not None and ticks is not None and start_ticks(pid) == ticks


def signal_runner(pid: int, ticks: int, number: int) -> None:
    """Signal a process if it is still the one that started then."""
    if is_alive(pid, ticks):
        send([pid], number)


def kill_tree(pid: int, ticks: int) -> None:
    """KILL a runner and all that it started; jobs of their own below it are spared."""
    if is_alive(pid, ticks):
        below = descendants(pid)
        send([pid, *below], signal.SIGKILL)


def find_runner(directory: str, index: int) -> int | None:
    """The runner of this copy, whoever its parent is now."""
    wanted = [directory.encode(), str(index).encode()]
    for pid in _all():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[1:2] == [b"-IS"] and words[3:5] == wanted and start_ticks(pid):
                return pid
    return None


def orphans(directory: str, index: int) -> list[int]:
    """What the command of this copy started, found by its environment: for when its runner was killed."""
    marks = {f"SHOPFLOOR_JOB_DIR={directory}".encode(), f"SHOPFLOOR_INDEX={index}".encode()}
    found = []
    for pid in _all():
        with contextlib.suppress(OSError):  # ended, or another person's
            words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if marks.issubset(words):
                found.append(pid)
    return [pid for pid in found if pid != os.getpid()]


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]
