"""Homes in which something goes wrong. All test clusters of a machine share them, so one run at a time has each."""

from __future__ import annotations

import contextlib
import fcntl
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.layout import ROOT


@contextlib.contextmanager
def to_itself(person: str) -> Iterator[Path]:
    """The home of a person who is no other run's meanwhile; waits for those."""
    with ROOT.with_name(f"{ROOT.name}-home-{person}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Path(pwd.getpwnam(person).pw_dir)


@contextlib.contextmanager
def small(person: str, size: str) -> Iterator[Path]:
    """Meanwhile somebody's home is an empty disk of this size (as mount's ``size``)."""
    account = pwd.getpwnam(person)
    options = f"size={size},mode=0700,uid={account.pw_uid},gid={account.pw_gid}"
    with to_itself(person) as home:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", str(home)], check=True)
        try:
            yield home
        finally:
            subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(file: Path) -> None:
    """Write until the disk takes no more."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
