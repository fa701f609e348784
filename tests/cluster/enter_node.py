"""Become a machine of the cluster, then run its daemon: `enter_node.py SPEC.json`.

Run by service.py as a program of its own: one process, no fork, so that the pid that was started is
the daemon's. SPEC holds `hostname`, `netns` (a path or null), `cgroups` (groups to join), `binds`
(pairs of source and target, seen by this machine only) and `argv`. `nsenter` and `unshare` together
cannot join groups between the two, and `ip netns exec` hides the cgroups by mounting /sys anew.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x02000000,
    0x40000000,
)
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, flags: int) -> None:
    arguments = (source.encode(), target.encode(), None, ctypes.c_ulong(flags), None)
    _checked(_libc.mount(*arguments), f"mount {source} on {target}")


def enter(spec: dict) -> None:
    """Join the groups, take the namespaces and mount the node's own files. Raises OSError."""
    for group in spec["cgroups"]:
        Path(group, "cgroup.procs").write_text("0")
    if spec["netns"]:
        handle = os.open(spec["netns"], os.O_RDONLY)
        _checked(_libc.setns(handle, CLONE_NEWNET), f"setns {spec['netns']}")
        os.close(handle)
    # The groups were joined first: the cgroup namespace's root is where the process stands now.
    _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWCGROUP), "unshare")
    # Slave: what the host unmounts later goes here too and is not held busy.
    _mount("none", "/", MS_REC | MS_SLAVE)
    for source, target in spec["binds"]:
        _mount(source, target, MS_BIND)
    socket.sethostname(spec["hostname"])


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    enter(spec)
    os.execv(spec["argv"][0], spec["argv"])


if __name__ == "__main__":
    main()
