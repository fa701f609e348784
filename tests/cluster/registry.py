"""Which clusters this machine has: one folder each under ROOT, and a lock for what they share."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from . import network
from .errors import ClusterError
from .layout import HIGHEST_INDEX, ROOT, Layout, check_name
from .processes import identity, living


@contextmanager
def lock() -> Iterator[None]:
    """Hold the machine-wide lock; names, indexes and Unix users change only under it."""
    ROOT.mkdir(mode=0o755, exist_ok=True)
    # Beside ROOT, for ROOT itself goes with the last cluster.
    with ROOT.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
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
            layout.run.mkdir(mode=0o755)
            owner = None if detached else identity(os.getpid())
            write(layout, {"name": layout.name, "index": index, "owner": owner, "ready": False})
            return layout
    raise ClusterError("No free subnet of 10.87.0.0/16 is left for another cluster.")


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
