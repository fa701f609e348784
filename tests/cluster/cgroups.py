"""A cgroup v1 subtree for each node, which enter_node.py makes the node's whole /sys/fs/cgroup.

Slurm 22.05 names its groups after the node alone; the subtree keeps two clusters' `gpu01` apart,
and lists every process of a node when the cluster stops.
"""

from __future__ import annotations

import signal
from pathlib import Path

from .errors import ClusterError
from .layout import NODES, Layout, Node
from .processes import send_signal, wait_until

NEEDED = ("memory", "devices", "freezer", "cpuset", "cpuacct")


def hierarchies() -> list[Path]:
    """Where this machine's cgroup v1 controllers are mounted.

    Raises ClusterError if one that Slurm needs is missing.
    """
    mounts, controllers = [], set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        names = set(options.split(",")) - {"rw", "ro"}
        if kind == "cgroup" and not any(name.startswith("name=") for name in names):
            mounts.append(Path(fields.split()[4]))
            controllers |= names
    missing = [name for name in NEEDED if name not in controllers]
    if missing:
        raise ClusterError(
            f"This machine has no cgroup v1 {missing[0]} controller, which the nodes' limits need; "
            "boot it with systemd.unified_cgroup_hierarchy=0."
        )
    return mounts


def node_groups(layout: Layout, node: Node) -> dict[Path, Path]:
    """For each hierarchy's mount point, the group that is the root of this node."""
    return {mount: mount / layout.cgroup / node.name for mount in hierarchies()}


def build(layout: Layout) -> None:
    """Make the groups of all nodes."""
    for node in NODES:
        for group in node_groups(layout, node).values():
            for path in (group.parent, group):
                path.mkdir(exist_ok=True)
                # A cpuset without cores or memory nodes takes no process.
                for key in ("cpuset.cpus", "cpuset.mems"):
                    if (path / key).exists():
                        (path / key).write_text((path.parent / key).read_text())


def processes(layout: Layout) -> set[int]:
    """Every process on the cluster's nodes, those of jobs included."""
    pids: set[int] = set()
    for mount in hierarchies():
        for listing in (mount / layout.cgroup).rglob("cgroup.procs"):
            try:
                pids.update(int(pid) for pid in listing.read_text().split())
            except OSError:
                continue  # The group went away between the walk and the read.
    return pids - {0}


def kill(layout: Layout, timeout: float = 20) -> None:
    """Kill every process on the nodes; raises ClusterError if one is left after `timeout` s."""

    def empty() -> bool:
        left = processes(layout)
        for pid in left:
            send_signal(pid, signal.SIGKILL)
        return not left

    wait_until(empty, timeout, f"the processes on the nodes of {layout.name} to end")


def remove(layout: Layout, timeout: float = 20) -> None:
    """Remove the groups of all nodes; the kernel frees a group only moments after its last task."""

    def gone() -> bool:
        left = [mount / layout.cgroup for mount in hierarchies()]
        return not [top for top in left if top.exists() and not _remove_tree(top)]

    wait_until(gone, timeout, f"the cgroups of {layout.name} to go")


def _remove_tree(top: Path) -> bool:
    for path in sorted(top.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
        if path.is_dir():
            _rmdir(path)
    return _rmdir(top)


def _rmdir(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
