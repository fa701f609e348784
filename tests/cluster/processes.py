"""Waiting for conditions, and signals that never hit a process that took over an old id."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

from .errors import ClusterError


def wait_until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Return once `condition` holds; raises ClusterError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"Waited {timeout:g} s in vain for {what}.")
        time.sleep(0.03)


def started_at(pid: int) -> str | None:
    """Start time of a living process in clock ticks since boot; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def identity(pid: int) -> str:
    """What a pid file holds: process id and start time, which no later process shares."""
    return f"{pid} {started_at(pid)}"


def living(identity: str) -> int | None:
    """The process id in an `identity` if exactly that process still lives."""
    pid, _, started = identity.strip().partition(" ")
    return int(pid) if started and started_at(int(pid)) == started else None


def send_signal(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def end(identity: str, patience: float) -> None:
    """SIGTERM, after `patience` seconds SIGKILL, and reap it if it is our child."""
    pid = living(identity)
    if pid is None:
        _reap(int(identity.split()[0]))
        return
    handle = os.pidfd_open(pid)
    try:
        # Between look and open the id may have changed hands; the handle holds what it opened.
        if living(identity) is not None:
            for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
                _signal_handle(handle, number)
                if select.select([handle], [], [], seconds)[0]:
                    break
    finally:
        os.close(handle)
    _reap(pid)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _signal_handle(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
