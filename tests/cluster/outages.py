"""What goes wrong with a cluster's parts, done to one on purpose: a daemon hangs or is gone, a node's cable is cut."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from . import daemons, service
from .cluster import Cluster
from .layout import NODES
from .processes import end, send_signal


@contextmanager
def hanging(cluster: Cluster, daemon: str) -> Iterator[None]:
    """Meanwhile the daemon is there and does nothing, as when its disk does not answer."""
    pid = service.running(cluster.layout)[daemon]
    send_signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        send_signal(pid, signal.SIGCONT)


@contextmanager
def down(cluster: Cluster, daemon: str) -> Iterator[None]:
    """Meanwhile the daemon is not there; afterwards it is started again and ready.

    It is ended in order: a slurmctld that is killed loses the jobs of its last seconds, as Slurm saves them then.
    """
    layout = cluster.layout
    end(service.pid_file(layout, daemon).read_text(), patience=30)
    try:
        yield
    finally:
        known = {one.name: one for one in (*daemons.login_node(layout), *daemons.nodes(layout))}
        known[daemon].start(layout)
        known[daemon].wait_ready(layout)


@contextmanager
def cut_off(cluster: Cluster, node: str) -> Iterator[None]:
    """Meanwhile nothing reaches the node and nothing comes from it; what runs on it runs on."""
    [found] = [one for one in NODES if one.name == node]
    _link(cluster.layout.interface(found), "down")
    try:
        yield
    finally:
        _link(cluster.layout.interface(found), "up")


def _link(interface: str, state: str) -> None:
    subprocess.run(["ip", "link", "set", interface, state], check=True, timeout=20)
