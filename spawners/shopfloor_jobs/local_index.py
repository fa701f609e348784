"""The local scheduler's memory: one file a job, shared under one lock by the hub and by Lab servers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from . import processes
from .directory import exit_record, read_json, start_record, write_json, write_text
from .runner import send

KEPT_SECONDS, KEPT_COUNT = 3600, 200  # ended jobs that are still shown
KILL = 9


@dataclass(frozen=True)
class Entry:
    """One copy of one job: what it was given, its runner's process, and its end once that is known.

    ``memory`` is in bytes, ``submitted`` and ``ended`` in seconds since the epoch, ``ticks`` the runner's start in
    clock ticks since boot.
    """

    id: str
    tag: str
    owner: str
    index: int
    directory: str
    cores: list[int]
    gpus: list[str]
    memory: int
    submitted: float
    boot: str
    pid: int | None = None
    ticks: int | None = None
    ended: float | None = None
    cause: str = ""
    started: float | None = None
    ends: float | None = None

    @property
    def alive(self) -> bool:
        return self.ended is None


KNOWN = {row.name for row in fields(Entry)}  # another version of us may write more


class Index:
    """The entries below ``folder``. Everything here blocks, if only for milliseconds: call it in a thread."""

    def __init__(self, folder: Path):
        self.folder = folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process and thread from submitting and settling. Raises OSError."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def next_number(self) -> int:
        path = self.folder / "last"
        number = int(path.read_text()) + 1 if path.exists() else 1
        write_text(path, str(number))
        return number

    def forget(self, job_id: str) -> None:
        (self.folder / f"{job_id}.json").unlink(missing_ok=True)

    def save(self, entry: Entry) -> None:
        write_json(self.folder / f"{entry.id}.json", asdict(entry))

    def settle(self) -> list[Entry]:
        """All entries, oldest first, after noting which have ended meanwhile; only under the lock."""
        entries = [self._settled(entry) for entry in self._read()]
        ended = sorted((one.ended, one.id) for one in entries if one.ended is not None)
        old = time.time() - KEPT_SECONDS
        dropped = {name for at, name in ended if at < old} | {
            name for _, name in ended[:-KEPT_COUNT]
        }
        for name in dropped:
            self.forget(name)
        kept = [one for one in entries if one.id not in dropped]
        return sorted(kept, key=lambda one: (one.submitted, one.index))

    def _read(self) -> Iterator[Entry]:
        for path in self.folder.glob("local-*.json"):
            if data := read_json(path):
                yield Entry(**{key: value for key, value in data.items() if key in KNOWN})

    def _settled(self, entry: Entry) -> Entry:
        if not entry.alive:
            return entry
        path = Path(entry.directory)
        if entry.pid is None:
            entry = self._adopt(entry)
        if entry.started is None and (record := start_record(path, entry.index)):
            entry = replace(entry, started=record["started"], ends=record["ends"])
            self._save_if_possible(entry)
        if entry.boot == boot_id() and processes.is_alive(entry.pid, entry.ticks):
            return entry
        if record := exit_record(path, entry.index):
            entry = replace(entry, ended=record["ended"], cause=record["cause"])
        else:
            if entry.boot != boot_id():
                cause = "the machine was restarted"
            else:
                cause = "the runner was killed" if entry.pid else "its start was interrupted"
                send(processes.orphans(entry.directory, entry.index), KILL)
            entry = replace(entry, ended=time.time(), cause=cause)
        self._save_if_possible(entry)
        return entry

    def _adopt(self, entry: Entry) -> Entry:
        """Complete an entry whose submitter was killed between starting the runner and writing it down."""
        pid = processes.find_runner(entry.directory, entry.index)
        return replace(entry, pid=pid, ticks=processes.start_ticks(pid) if pid else None)

    def _save_if_possible(self, entry: Entry) -> None:
        # With a full disk the same is found out again at the next look.
        with contextlib.suppress(OSError):
            self.save(entry)


def boot_id() -> str:
    """This boot of this machine: process numbers and ticks mean nothing in another one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
