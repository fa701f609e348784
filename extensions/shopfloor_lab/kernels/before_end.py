"""The agent's side of what a notebook wants done before its kernel's job ends; the kernel's is inside/shopfloor.py.

A signal asks for it, for a kernel that is busy reads no messages; and only one that registered something gets it, for
others would end of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from shopfloor_jobs.directory import read_json, write_text
from shopfloor_jobs.runner import descendants

from .inside.shopfloor import NOTES
from .order import Launch
from .process import CONNECTION

SIGNAL = signal.SIGUSR1
PAUSE = 0.1  # seconds between looks at what the kernel tells, while it is at it
HELD_AFTER = 2.0  # seconds in which a main thread that runs Python has begun
LONGEST = 1000  # characters told

log = logging.getLogger("shopfloor.kernel")


class BeforeEnd:
    """Of the kernels in the private directory ``inside`` of the job with the directory ``path``; ``changed`` is called
    with each new :attr:`report`.

    The module lies in the home. A notebook's own jobs get its path along, to nodes where a name in /tmp is anybody's.
    """

    def __init__(self, inside: Path, path: Path, changed: Callable[[], None]):
        self._inside, self._changed = inside, changed
        self._notes, self._python = inside / "notes", path / "python"
        self._process: int | None = None
        self.report: dict[str, str] | None = None
        self._notes.mkdir()
        module = Path(__file__).parent / "inside" / "shopfloor.py"
        try:
            self._python.mkdir(mode=0o700, exist_ok=True)
            write_text(self._python / module.name, module.read_text())
        except OSError as error:
            log.warning("Notebooks cannot import shopfloor: %s", error)

    def launch(self, launch: Launch, environment: Mapping[str, str]) -> Launch:
        """The same with our module on its path, behind all that is the person's, for a kernel that has not registered
        anything. ``environment`` is the job's."""
        self.forget()
        paths = {**environment, **launch.env}.get("PYTHONPATH", "")
        path = os.pathsep.join([*([paths] if paths else []), str(self._python)])
        return replace(launch, env={**launch.env, "PYTHONPATH": path, NOTES: str(self._notes)})

    def forget(self) -> None:
        """The end was called off, or its kernel is no more: what is registered is to be done at the next one."""
        self._process, self.report = None, None

    @property
    def begun(self) -> bool:
        return self._process is not None

    def wanted(self, kernel: int | None) -> bool:
        """Whether this kernel (its process id) has registered something that was not asked for yet."""
        return not self.begun and kernel is not None and self._registered(kernel) is not None

    async def run(self, kernel: int | None, seconds: float) -> None:
        """Have the kernel do it, once, and see it through for so long; what became of it is in :attr:`report`."""
        process = None if self.begun or kernel is None else self._registered(kernel)
        if process is None:
            return
        self._process = process
        told = self._notes / f"told-{process}.json"
        with contextlib.suppress(FileNotFoundError):
            told.unlink()
        self._tell("running", "")
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, SIGNAL)
        while (passed := time.monotonic() - began) < seconds and _lives(process):
            if self._process != process:
                break
            note = _read(told)
            if note:
                self._tell(str(note.get("state")), str(note.get("text")))
                if note.get("state") in ("done", "failed"):
                    return
            elif passed > HELD_AFTER:
                self._tell("held", "a call into compiled code does not return: Python waits for it")
            await asyncio.sleep(PAUSE)
        self._give_up(process, seconds)

    def _give_up(self, process: int, seconds: float) -> None:
        if self._process != process:
            return  # another kernel was started
        if not _lives(process):
            self._tell("failed", "the kernel ended meanwhile")
        elif self.report and self.report["state"] == "running":
            text = self.report["text"]
            self._tell("failed", f"{text}{' ' if text else ''}was not done within {seconds:.0f} s")

    def _tell(self, state: str, text: str) -> None:
        report = {"state": state, "text": text[:LONGEST]}
        if report != self.report:
            self.report = report
            log.info("Before the end: %s. %s", state, report["text"])
            self._changed()

    def _registered(self, kernel: int) -> int | None:
        """The process that registered something, is the kernel, and would not end of the signal.

        That is the one that was started, or what a wrapper of it started instead: none of the kernel's children is
        started with the connection file.
        """
        below = [kernel, *descendants(kernel)]
        for process in below:
            if (self._notes / f"registered-{process}.json").exists():
                file = str(self._inside / CONNECTION).encode()
                if (process == kernel or file in _command(process)) and _catches(process):
                    return process
        return None


def _read(told: Path) -> dict[str, object] | None:
    with contextlib.suppress(OSError):  # the notebook may have put there what it likes
        return read_json(told)
    return None


def _lives(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def _command(process: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def _catches(process: int) -> bool:
    """Whether a process has a handler for the signal."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "SigCgt":
                return bool(int(value, 16) & 1 << (SIGNAL - 1))
    return False
