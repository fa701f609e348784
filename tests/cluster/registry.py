"""Which clusters this machine has: one folder each under ROOT, and a lock for what they share."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from . import network
from .errors import ClusterError
from .layout import HIGHEST_INDEX, ROOT, Layout, check_name
from .processes import identity, living


@contextmanager
def lock() -> Iterator[None]:
    """Hold the machine-wide lock; names, indexes and Unix users change only under it."""
    # Beside ROOT, for ROOT itself goes with the last cluster: under the lock, so that it is made under it, too.
    with ROOT.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ROOT.mkdir(mode=0o755, exist_ok=True)
        yield


def names() -> list[str]:
    """Names of all clusters, living or left behind."""
    if not ROOT.exists():
        return []
    return sorted(path.name for path in ROOT.iterdir() if path.is_dir())


def read(name: str) -> dict | None:
    """A cluster's state file; None if there is none (yet, or any more)."""
    check_name(name)
    try:
        return json.loads((ROOT / name / "cluster.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(layout: Layout, state: dict) -> None:
    """Replace the state file in one step."""
    new = layout.state_file.with_suffix(".new")
    new.write_text(json.dumps(state, indent=2) + "\n")
    new.chmod(0o644)
    new.replace(layout.state_file)


def layout_of(name: str) -> Layout:
    """The layout of a cluster that exists; index 0, which none has, if it died before choosing."""
    return Layout(name, (read(name) or {"index": 0})["index"])


def claim(name: str | None, detached: bool) -> Layout:
    """Take a free name, subnet and ports and write the first state file; call under the lock.

    A cluster is owned by this process, and falls with it, unless it is `detached`.
    """
    taken = {layout_of(other).index for other in names()}
    for index in range(1, HIGHEST_INDEX + 1):
        layout = Layout(name or f"c{index}", index)
        if index in taken or layout.run.exists():
            continue
        if network.is_free(layout) and _bindable(layout.slurmdbd_port):
            _make_run(layout)
            owner = None if detached else identity(os.getpid())
            state = {"name": layout.name, "index": index, "id": secrets.token_hex(8)}
            write(layout, state | {"owner": owner, "ready": False})
            return layout
    raise ClusterError("No free subnet of 10.87.0.0/16 is left for another cluster.")


def release(layout: Layout) -> None:
    """Remove the cluster's folder, and with it its claim; call under the lock."""
    # A crashed start may have mounted or not; lazily, for a slurmd's last moments keep it busy.
    while os.path.ismount(layout.run):
        _run(["umount", "--lazy", str(layout.run)])
    shutil.rmtree(layout.run, ignore_errors=True)


def _make_run(layout: Layout) -> None:
    layout.run.mkdir(mode=0o755)
    # Its own file system: /run forbids device nodes and programs on an ordinary Debian, and a
    # database in memory starts faster.
    _run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=1g", layout.cgroup, str(layout.run)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def abandoned(name: str) -> bool:
    """Whether the process that owned the cluster died without stopping it."""
    state = read(name)
    if state is None:
        return True
    return state["owner"] is not None and living(state["owner"]) is None


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
