"""Asks an interpreter which versions it would run, by starting it once; the answer serves until its packages change.

kernels.py says which interpreter, versions.py what the answer means. It is somebody's own software: it may hang, print
anything, or be gone, and none of that may hold up the Lab server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .versions import NEEDED, PACKAGES

TIMEOUT = 10.0  # seconds; a cold file system of a cluster may need some
AT_ONCE = 2  # interpreters that start at the same time: a server may have one core
OUTPUT_LIMIT = 64 * 1024  # bytes that are kept of what is printed
LAST_WORDS = 200  # characters of a complaint that are shown
DYING = 1.0  # seconds that are waited for one that was killed
MARK = "shopfloor-versions:"

# For any Python 3, whose importlib.metadata came with 3.8. The mark tells its line from what a wrapper or a
# sitecustomize prints.
SOURCE = f"""
import json, os, sys
try:
    from importlib import metadata
except ImportError:
    metadata = None
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
names = {list(dict.fromkeys((*PACKAGES, *NEEDED)))!r}
found = {{name: version(name) for name in names}} if metadata else {{}}
found["python"] = ".".join(map(str, sys.version_info[:3]))
paths = [path for path in sys.path if os.path.isdir(path)]
print({MARK!r} + json.dumps({{
    "versions": found, "prefix": sys.prefix, "executable": sys.executable, "paths": paths
}}))
"""


class NoVersions(Exception):
    """An interpreter did not say what it runs; the text is why, fit for the person."""


@dataclass(frozen=True)
class Inspected:
    """What an interpreter says of itself; ``versions`` by distribution, and ``python``."""

    versions: Mapping[str, str]
    prefix: str
    executable: str
    paths: tuple[str, ...]


class Interpreters:
    """Answers of interpreters, kept by command and environment for as long as no folder of packages changes."""

    def __init__(self, timeout: float = TIMEOUT):
        self.timeout = timeout
        self._known: dict[tuple[Any, ...], tuple[Inspected, tuple[float, ...]]] = {}
        self._asking: dict[tuple[Any, ...], asyncio.Task[Inspected]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def ask(self, python: Sequence[str], environment: Mapping[str, str]) -> Inspected:
        """``python`` is the argument list that starts the interpreter, in ``environment``. Raises NoVersions."""
        key = (*python, *sorted(environment.items()))
        if known := self._known.get(key):
            inspected, stamps = known
            if await asyncio.to_thread(_stamps, python, inspected) == stamps:
                return inspected
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._ask(key, python, environment))
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(self._asking[key])

    async def _ask(
        self, key: tuple[Any, ...], python: Sequence[str], environment: Mapping[str, str]
    ) -> Inspected:
        async with self._turn:
            inspected = parse(await self._output(python, environment))
        self._known[key] = inspected, await asyncio.to_thread(_stamps, python, inspected)
        return inspected

    async def _output(self, python: Sequence[str], environment: Mapping[str, str]) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *python,
                "-c",
                SOURCE,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(environment),
                cwd="/",  # python -c looks for modules where it stands
                start_new_session=True,
            )
        except OSError as error:
            raise NoVersions(f"{python[0]} could not be run: {error.strerror}") from error
        assert process.stdout and process.stderr
        reading = asyncio.gather(_tail(process.stdout), _tail(process.stderr), process.wait())
        try:
            done, _ = await asyncio.wait([reading], timeout=self.timeout)
        finally:
            # All that it started, for a wrapper's child would live on.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if not done:
            await asyncio.wait([reading], timeout=DYING)
            reading.cancel()
            raise NoVersions(
                f"{' '.join(python)} did not say within {self.timeout:g} s which packages it has"
            )
        out, err, code = reading.result()
        if code:
            words = " ".join(err.split())[-LAST_WORDS:] or "it printed no reason"
            raise NoVersions(f"{' '.join(python)} failed with exit code {code}: {words}")
        return out


def parse(output: str) -> Inspected:
    """What :data:`SOURCE` printed, among whatever else. Raises NoVersions."""
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    try:
        data = json.loads(lines[-1].removeprefix(MARK))
        return Inspected(
            versions={str(name): str(one) for name, one in data["versions"].items() if one},
            prefix=str(data["prefix"]),
            executable=str(data["executable"]),
            paths=tuple(map(str, data["paths"])),
        )
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoVersions("it did not answer as a Python does") from error


def _stamps(python: Sequence[str], inspected: Inspected) -> tuple[float, ...]:
    """When the interpreter and each of its folders of packages changed: installing a package changes its folder."""
    found = []
    for path in (python[0], *inspected.paths):
        try:
            found.append(Path(path).stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


async def _tail(stream: asyncio.StreamReader) -> str:
    """What comes last, which is what counts; all is read, so that nobody waits in a full pipe."""
    kept = b""
    while chunk := await stream.read(OUTPUT_LIMIT):
        kept = (kept + chunk)[-OUTPUT_LIMIT:]
    return kept.decode(errors="replace")
