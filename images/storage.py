"""Where build.py keeps what it makes, and how it calls buildah: one directory, nothing in the system's storage."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

NO_NETWORK = re.compile(
    "Temporary failure in name resolution|Name or service not known|Network is unreachable|Couldn't download"
    "|Failed getting release file|Failed to establish a new connection|Max retries exceeded|Connection refused"
    "|Read timed out|Could not resolve|dial tcp|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT",
    re.IGNORECASE,
)
NO_SPACE = re.compile("No space left on device|ENOSPC|Disk quota exceeded", re.IGNORECASE)


class Failed(Exception):
    """The image cannot be built; the text says why and what to do."""


class Storage:
    """Images, containers and caches under ``$SHOPFLOOR_IMAGES``, by default in /var/cache, whence they may go."""

    def __init__(self) -> None:
        self.path = Path(os.environ.get("SHOPFLOOR_IMAGES", "/var/cache/shopfloor-images"))
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @functools.cached_property
    def driver(self) -> str:
        """How layers are kept: ``overlay``, or ``vfs``, a whole copy of each, as inside most containers."""
        return "overlay" if overlay_works(self.path) else "vfs"

    def buildah(self) -> list[str]:
        return [
            "buildah",
            f"--storage-driver={self.driver}",
            f"--root={self.path}/{self.driver}",
            f"--runroot={self.path}/run-{self.driver}",
        ]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One builder at a time; the next one finds what this one made."""
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("waiting for another build …")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def label(self, image: str, name: str) -> str:
        """The label of an image; empty if there is no such image or label."""
        command = [*self.buildah(), "inspect", "--type=image", image]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return ""
        return (json.loads(done.stdout)["OCIv1"]["config"].get("Labels") or {}).get(name, "")

    def size(self, image: str) -> str:
        """How large an image lies unpacked, in words such as "1.2 GB"."""
        return run([*self.buildah(), "images", "--format={{.Size}}", image]).strip()

    @contextlib.contextmanager
    def container(self, image: str) -> Iterator[tuple[str, Path]]:
        """A working container of ``image`` and its root directory, removed afterwards."""
        name = run([*self.buildah(), "from", "--pull-never", image]).strip()
        try:
            yield name, Path(run([*self.buildah(), "mount", name]).strip())
        finally:
            run([*self.buildah(), "rm", name])

    def commit(self, container: str, image: str, labels: Mapping[str, str]) -> None:
        settings = [f"--label={name}={value}" for name, value in labels.items()]
        run([*self.buildah(), "config", *settings, container])
        run([*self.buildah(), "commit", "--quiet", container, image])

    def build(
        self, context: Path, image: str, labels: Mapping[str, str], arguments: Mapping[str, str]
    ) -> None:
        settings = [f"--label={name}={value}" for name, value in labels.items()]
        settings += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        run([*self.buildah(), "build", "--isolation=chroot", "--layers", f"--tag={image}", *settings,
             str(context)])  # fmt: skip
        # The image that had the name before, and layers of builds that nothing refers to any more.
        run([*self.buildah(), "rmi", "--prune"])


def overlay_works(path: Path) -> bool:
    """Whether this process may mount overlays of directories below ``path``: asked of the kernel, by doing it."""
    with tempfile.TemporaryDirectory(prefix="overlay-", dir=path) as name:
        parts = {part: Path(name, part) for part in ("lower", "upper", "work", "merged")}
        for part in parts.values():
            part.mkdir()
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(parts["merged"])]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return False
        run(["umount", "--lazy", str(parts["merged"])])
        return True


def run(command: list[str]) -> str:
    """Run a command and return what it prints. Raises Failed with a sentence."""
    # pip must neither meet another Python's settings nor hand ours on.
    foreign = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_USER", "PIP_PREFIX")
    environment = {key: value for key, value in os.environ.items() if key not in foreign}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(explain(command, done.stdout + done.stderr))
    return done.stdout


def explain(command: list[str], output: str) -> str:
    """What went wrong, in one sentence where it is one of the usual things."""
    name = Path(command[0]).name
    if NO_SPACE.search(output):
        return "The disk is full. Make room, or name another place (SHOPFLOOR_IMAGES=…), and run it again."
    if NO_NETWORK.search(output):
        return (
            f"{name} could not reach its package host or index. The first build needs the network, or a mirror"
            " (PIP_INDEX_URL; apt's own settings for Debian). Run the same command again then."
        )
    last = "\n".join(output.strip().splitlines()[-15:])
    return f"{name} failed:\n{last}"


def say(sentence: str) -> None:
    print(f"shopfloor: {sentence}", flush=True)
