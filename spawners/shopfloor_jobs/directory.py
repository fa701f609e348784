"""The directory of a job: where it lies, what is in it, and how it is read; written by helper, local and runner."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .job import TAG, Job

PRIVATE, SECRETS = "private", "secrets.json"  # what the runner knows by these names, too
LARGEST_RECORD = 4 * 1024**2  # bytes
PROBE = 4096  # bytes; a block, for what is smaller may still fit in a full disk
KEPT = 40  # directories of ended jobs that stay for the person to look at


def jobs_root(home: Path) -> Path:
    return home / ".local" / "share" / "shopfloor" / "jobs"


def directory_of(home: Path, tag: str) -> Path:
    """The directory of the job with this tag. Raises ValueError for what is no tag (paths stay inside)."""
    if not TAG.fullmatch(tag):
        raise ValueError(f"tag: {tag[:60]!r} is not shopfloor-<kind>-<16 hex digits>")
    return jobs_root(home) / tag


def runner_source() -> str:
    """The runner's text, as it is handed to a scheduler."""
    return (Path(__file__).parent / "runner.py").read_text()


def runner_command(python: str, path: Path, index: int) -> list[str]:
    """What runs one copy of the job that was prepared in this directory."""
    return [python, "-IS", str(path / "script"), str(path), str(index)]


def prepare(home: Path, job: Job, runner: Mapping[str, Any], python: str) -> Path:
    """Make the job's directory (0700) with its request and script in it, and return it.

    Records of an earlier job with this tag are removed, and its secrets and files replaced.

    ``runner`` is what the runner itself enforces (``memory`` in bytes, ``time`` and ``grace`` in seconds, each
    None where the scheduler does it) and ``copies``, how many there are (1 where absent); ``python`` is the
    interpreter on the node. Raises OSError.
    """
    path = directory_of(home, job.tag)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for kind in ("start", "exit", "ending"):
        for record in path.glob(f"{kind}-*.json"):
            record.unlink()
    discard(path)
    _write_private(path / PRIVATE, job)
    write_json(path / "request.json", {**job.to_json(), "runner": dict(runner)})
    write_text(path / "script", f"#!{python} -IS\n{runner_source()}", mode=0o700)
    return path


def _write_private(path: Path, job: Job) -> None:
    if not job.secrets and not job.files:
        return
    path.mkdir(mode=0o700)
    write_json(path / SECRETS, job.secrets)
    for name, text in job.files.items():
        write_text(path / name, text)


def file_variables(path: Path, job: Job) -> dict[str, str]:
    """The variables that lead the command to the job's files."""
    return {name: str(path / PRIVATE / name) for name in job.files}


def discard(path: Path) -> None:
    """Remove secrets and files of a job that has ended. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path / PRIVATE)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(dict(data), indent=1))


def write_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a whole file or nothing, readable by its owner only. Raises OSError."""
    write_pieces(path, [text], mode)


def write_pieces(path: Path, pieces: Iterable[str], mode: int = 0o600) -> None:
    """The same with a text that is better not made in one. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.writelines(pieces)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def open_plain(path: Path) -> BinaryIO:
    """A plain file, open for reading: in a home may lie a pipe that nobody feeds, or a link. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return os.fdopen(descriptor, "rb")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a record, or None where there is none yet. Raises OSError for what is no plain file."""
    try:
        with open_plain(path) as file:
            text = file.read(LARGEST_RECORD + 1)
        data = json.loads(text) if len(text) <= LARGEST_RECORD else None
    except (
        FileNotFoundError,
        ValueError,
        RecursionError,
    ):  # or it is being written, or was cut off
        return None
    return data if isinstance(data, dict) else None


def start_record(path: Path, index: int = 0) -> dict[str, Any] | None:
    return read_json(path / f"start-{index}.json")


def exit_record(path: Path, index: int = 0) -> dict[str, Any] | None:
    return read_json(path / f"exit-{index}.json")


def leave_cause(path: Path, index: int, cause: str) -> None:
    """Say, from inside a job that is about to end itself, why it does; goes into its exit record. Raises OSError."""
    write_json(path / f"ending-{index}.json", {"cause": cause})


def tail(path: Path, lines: int = 20, limit: int = 64 * 1024, index: int | None = None) -> str:
    """The last lines of what a copy of the job wrote (None: the newest); empty where there is nothing."""
    copies = "*" if index is None else index
    outputs = sorted(path.glob(f"output-{copies}.log"), key=lambda one: one.stat().st_mtime)
    if not outputs:
        return ""
    with open_plain(outputs[-1]) as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - limit))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def home_words(error: OSError, home: Path) -> str:
    """Why a home could not be written, and what to do, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"your home directory {home} is full: remove something there and try again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return f"your home directory {home} cannot be written ({error.strerror}): ask your administrator"
    return f"your home directory {home}: {error.strerror or error}"


def cannot_be_written(path: Path, home: Path) -> str:
    """Why nothing can be written beside the records of a job now, in words; empty where it can."""
    probe = path / "probe"
    try:
        write_text(probe, "x" * PROBE)
        probe.unlink()
    except OSError as error:
        return home_words(error, home)
    return ""


def tidy(home: Path, keep: int = KEPT) -> None:
    """Remove the oldest directories of ended jobs beyond ``keep``; one without all its exit records stays.

    What cannot be looked at or removed stays, and is no failure: others tidy the same home at the same time.
    """
    ended = []
    with contextlib.suppress(OSError):
        for path in jobs_root(home).glob("shopfloor-*"):
            with contextlib.suppress(OSError):
                if TAG.fullmatch(path.name) and _has_ended(path):
                    ended.append((path.stat().st_mtime, path))
    for _, path in sorted(ended, reverse=True)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def _has_ended(path: Path) -> bool:
    ends = len(list(path.glob("exit-*.json")))
    if not ends:
        return False
    # Copies may still wait in the queue, without any record.
    try:
        copies = (read_json(path / "request.json") or {}).get("runner", {}).get("copies", 1)
    except OSError:
        return False
    return ends >= max(copies, len(list(path.glob("start-*.json"))))
