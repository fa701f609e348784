"""The command behind `make cluster`: `python3 -m tests.cluster up|down|status [--name NAME]`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.software import ensure_software

from . import registry, requirements, service, site_file
from .cluster import Cluster, remove
from .errors import ClusterError
from .layout import NODES, PEOPLE_GROUP, SERVICE_USER

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a cluster; Ctrl-C stops it and leaves nothing behind")
    up.add_argument("--detach", action="store_true", help="return once it is up; `down` stops it")
    down = verbs.add_parser("down", help="stop a cluster and remove all that it made")
    verbs.add_parser("status", help="list the clusters of this machine")
    for verb in (up, down):
        verb.add_argument("--name", default="main", help="which one of several (default: main)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "up":
            return _up(chosen.name, chosen.detach)
        requirements.check()
        return _down(chosen.name) if chosen.verb == "down" else _status()
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def _up(name: str, detach: bool) -> int:
    for number in STOPPING:
        signal.signal(number, _interrupt)
    cluster = Cluster(
        name, detached=detach, say=lambda sentence: print(f"… {sentence}", flush=True)
    )
    try:
        cluster.start()
        print(
            "… installing the software for its people; a minute or two the first time", flush=True
        )
        site = site_file.write(cluster, ensure_software())
        print(_how_to_use(cluster, site, detach), flush=True)
        if detach:
            return 0
        # From here on signals are awaited, not handled: nothing can cut the stop short.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    except _Interrupted:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        cluster.stop()
        return 130
    died = _wait(cluster)
    print("… stopping", flush=True)
    cluster.stop()
    if died:
        raise ClusterError(f"{died} died; the cluster was stopped.")
    return 0


def _wait(cluster: Cluster) -> str | None:
    """Return at a signal, or with the name of a daemon that died by itself."""
    expected = set(cluster.state["pids"])
    while signal.sigtimedwait(STOPPING, 2) is None:
        missing = expected - set(service.running(cluster.layout))
        if missing:
            # Either one died or somebody runs `down`, which holds the lock until all is gone.
            with registry.lock():
                return min(missing) if registry.read(cluster.name) else None
    return None


def _how_to_use(cluster: Cluster, site: Path, detach: bool) -> str:
    state = cluster.state
    gpus = ", ".join(f"{node.gpus} x {node.gpu_type} on {node.name}" for node in NODES if node.gpus)
    people = ", ".join(
        f"{name} ({'+'.join(accounts) or 'no Slurm account'})"
        for name, accounts in state["users"].items()
    )
    end = f"python3 -m tests.cluster down --name {cluster.name}" if detach else "Ctrl-C"
    return f"""
The cluster {cluster.name} is up.

  Shopfloor    make up SITE={site}
  Commands     export SLURM_CONF={state["slurm_conf"]}
               then for example: runuser -u alice -- srun -p gpu --gpus=a100:1 hostname
  Nodes        {", ".join(f"{name} {address}" for name, address in state["nodes"].items())}
  GPUs         {gpus}
  Partitions   {", ".join(state["partitions"])}
  People       {people}
  Passwords    {state["passwords_file"]} (only root can read it)
  Hub          runs as {SERVICE_USER}, listens on {state["hub_address"]}; people are in {PEOPLE_GROUP}
  Details      {cluster.layout.state_file}, logs in {state["logs"]}
  Stop         {end}
"""


def _down(name: str) -> int:
    if not remove(name):
        print(f"There is no cluster {name}.")
    return 0


def _status() -> int:
    for name in registry.names():
        state = registry.read(name) or {}
        if registry.abandoned(name):
            word = "left behind by a process that died; the next `up` removes it"
        else:
            word = "up" if state.get("ready") else "starting"
        print(f"{name}: {word}  SLURM_CONF={state.get('slurm_conf', '-')}")
    if not registry.names():
        print("No cluster.")
    return 0


class _Interrupted(BaseException):
    """A signal to stop; no Exception, so that no handler on the way takes it for a failure."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A second signal must not cut the cleaning short that the first one started.
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise _Interrupted


if __name__ == "__main__":
    sys.exit(main())
