"""The daemons of a cluster in the order they start: munge, database, slurmdbd, slurmctld, slurmd."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from . import cgroups, slurm_conf
from .errors import ClusterError
from .layout import NODES, Layout, Node
from .service import Service

ENTER_NODE = Path(__file__).with_name("enter_node.py")


def prepare(layout: Layout, settings: slurm_conf.Settings) -> None:
    """Write every file that the daemons read: configuration, keys, device nodes, empty database."""
    for path in (layout.etc, layout.logs, layout.pids, layout.run / "state", layout.run / "spool"):
        path.mkdir()
    _write(layout.slurm_conf, slurm_conf.slurm_conf(layout, settings))
    _write(layout.etc / "gres.conf", slurm_conf.gres_conf(layout))
    _write(layout.etc / "cgroup.conf", slurm_conf.cgroup_conf())
    _write(layout.etc / "slurmdbd.conf", slurm_conf.slurmdbd_conf(layout), 0o600)
    _write(layout.etc / "epilog", slurm_conf.epilog(), 0o755)
    for name, text in _private_files(layout).items():
        _write(layout.etc / name, text)
    for node in NODES:
        (layout.run / "spool" / node.name).mkdir()
        for minor, device in enumerate(layout.gpu_devices(node)):
            device.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(device, 0o020666, os.makedev(195, minor))
            device.chmod(0o666)
    _prepare_munge(layout)
    _prepare_database(layout)


def login_node(layout: Layout) -> list[Service]:
    """What must run, in this order, before sacctmgr can write accounts."""
    return [_munged(layout), _mariadbd(layout), _slurmdbd(layout), _slurmctld(layout)]


def nodes(layout: Layout) -> list[Service]:
    """One slurmd per node, each on its own machine as far as it can see."""
    return [_slurmd(layout, node) for node in NODES]


def _slurmctld(layout: Layout) -> Service:
    """slurmctld under the hostname `login`, for it starts only under the name slurm.conf has."""
    argv = ["/usr/sbin/slurmctld", "-D", "-i"]
    binds = _private_mounts(layout)
    spec = {"hostname": "login", "netns": None, "cgroups": [], "binds": binds, "argv": argv}

    def registered() -> bool:
        # It answers before slurmdbd knows it; only then do accounts written there reach it.
        known = _output(layout, ["sacctmgr", "--noheader", "show", "tres", "format=type,name"])
        return "UP" in _output(layout, ["scontrol", "ping"]) and "gpu" in known

    return Service("slurmctld", _enter(layout, "login", spec), registered, layout.environment)


def _slurmd(layout: Layout, node: Node) -> Service:
    groups = cgroups.node_groups(layout, node)
    binds = [[str(group), str(mount)] for mount, group in groups.items()]
    binds += _private_mounts(layout)
    spec = {
        "hostname": node.name,
        "netns": f"/run/netns/{layout.namespace(node)}",
        "cgroups": [str(group) for group in groups.values()],
        "binds": binds,
        "argv": ["/usr/sbin/slurmd", "-D", "-N", node.name],
    }

    def idle() -> bool:
        state = _output(layout, ["sinfo", "--noheader", "--nodes", node.name, "--format=%T"])
        return set(state.split()) == {"idle"}

    argv = _enter(layout, node.name, spec)
    return Service(f"slurmd-{node.name}", argv, idle, layout.environment)


def _munged(layout: Layout) -> Service:
    folder = layout.munge
    argv = [
        "/usr/sbin/munged",
        "--foreground",
        f"--key-file={folder}/munge.key",
        f"--socket={layout.munge_socket}",
        f"--pid-file={folder}/munged.pid",
        f"--seed-file={folder}/munged.seed",
        f"--log-file={folder}/munged.log",
    ]

    def answers() -> bool:
        return _succeeds(["munge", "--no-input", f"--socket={layout.munge_socket}"])

    return Service("munged", argv, answers, user="munge")


def _mariadbd(layout: Layout) -> Service:
    argv = [
        "/usr/sbin/mariadbd",
        *_database_options(layout),
        "--skip-networking",
        f"--socket={layout.database_socket}",
        f"--pid-file={layout.database}/mariadb.pid",
        # The data goes with the cluster: durability would only cost start time.
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=64M",
        "--innodb-lock-wait-timeout=900",
    ]

    def answers() -> bool:
        return _succeeds(
            ["mariadb-admin", "--no-defaults", f"--socket={layout.database_socket}", "ping"]
        )

    return Service("mariadbd", argv, answers, user="mysql")


def _slurmdbd(layout: Layout) -> Service:
    def listens() -> bool:
        try:
            socket.create_connection((layout.hub_address, layout.slurmdbd_port), timeout=1).close()
        except OSError:
            return False
        return True

    environment = layout.environment | {"MYSQL_UNIX_PORT": str(layout.database_socket)}
    return Service("slurmdbd", ["/usr/sbin/slurmdbd", "-D"], listens, environment)


def _enter(layout: Layout, machine: str, spec: dict) -> list[str]:
    file = layout.etc / f"{machine}.json"
    _write(file, json.dumps(spec, indent=2))
    return [sys.executable, "-I", str(ENTER_NODE), str(file)]


def _private_files(layout: Layout) -> dict[str, str]:
    """The files in /etc that login and the nodes see instead of the host's."""
    return {
        "hosts": slurm_conf.hosts(layout),
        "nsswitch.conf": slurm_conf.nsswitch_conf(),
        "resolv.conf": slurm_conf.resolv_conf(),
    }


def _private_mounts(layout: Layout) -> list[list[str]]:
    return [[str(layout.etc / name), f"/etc/{name}"] for name in _private_files(layout)]


def _prepare_munge(layout: Layout) -> None:
    layout.munge.mkdir(mode=0o755)
    key = layout.munge / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    for path in (layout.munge, key):
        shutil.chown(path, "munge", "munge")


def _prepare_database(layout: Layout) -> None:
    layout.database.mkdir(mode=0o750)
    shutil.chown(layout.database, "mysql", "mysql")
    # Authentication by socket: root of this machine is root of the database, nobody else is.
    options = ["--user=mysql", "--skip-test-db", "--auth-root-authentication-method=socket"]
    done = subprocess.run(
        ["mariadb-install-db", *_database_options(layout), *options],
        cwd=layout.database,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"mariadb-install-db failed: {done.stderr.strip()[-500:]}")


def _database_options(layout: Layout) -> list[str]:
    options = [f"--datadir={layout.database}/data", "--innodb-log-file-size=16M"]
    return ["--no-defaults", *options]


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)


def _output(layout: Layout, command: list[str]) -> str:
    return subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin"} | layout.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stdout


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
