"""What a person's earlier visits left in their home, and which processes a story left on its machine or nodes."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cases import Case
from tests.cluster.layout import NODES

# Lab's open tabs, the examples, their results, and the records of jobs.
TRACES = (".jupyter/lab", "shopfloor-examples", "shopfloor-data", ".local/share/shopfloor")


def forget_earlier_visits(case: Case, person: str) -> None:
    """Homes outlive a test run as long as any test cluster of this machine is up."""
    for trace in TRACES:
        shutil.rmtree(case.home(person) / trace, ignore_errors=True)


def processes_of(case: Case, person: str) -> list[str]:
    """Command lines of living processes whose home is the person's, in this story's own place.

    Other test clusters on this machine have the same Unix users: what tells their processes apart is
    the network namespace of the node that they run on.
    """
    home = f"HOME={case.home(person)}".encode()
    networks = None
    if case.cluster:
        names = map(case.cluster.layout.namespace, NODES)
        networks = {(Path("/run/netns") / name).stat().st_ino for name in names}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            network = (process / "ns" / "net").stat().st_ino
            arguments = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or is not ours to look at
        if home in environment and (networks is None or network in networks):
            found.append(f"{process.name} {arguments.replace(bytes(1), b' ').decode()}")
    return found
