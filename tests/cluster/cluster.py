"""The whole: a Slurm cluster that starts, runs commands as its people, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from . import accounts, cgroups, daemons, network, people, registry, requirements, service, sudoers
from .errors import ClusterError
from .layout import NODES, PARTITIONS, ROOT, SERVICE_USER, Layout
from .processes import wait_until
from .slurm_conf import Settings

_JOB_FIELDS = {"id": "%i", "user": "%u", "state": "%T", "partition": "%P", "nodes": "%N"}


class Cluster:
    """A real Slurm of three nodes; `with Cluster() as cluster:` starts and stops it.

    `name` is chosen when None. `say` is told what is being waited for. A cluster belongs to the
    process that started it, and the next start on this machine removes it if that process died,
    unless it is `detached`. `settings` are the values of slurm.conf that tests choose.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        detached: bool = False,
        settings: Settings | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._name = name
        self._detached = detached
        self._settings = settings or Settings()
        self._say = say
        self._layout: Layout | None = None
        # Tells this cluster from a later one of the same name.
        self._id = ""

    @property
    def layout(self) -> Layout:
        """Paths and addresses; raises ClusterError before `start`."""
        if self._layout is None:
            raise ClusterError("The cluster is not started.")
        return self._layout

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def hub_address(self) -> str:
        """The host's address on the nodes' network, where a hub listens."""
        return self.layout.hub_address

    @property
    def environment(self) -> dict[str, str]:
        """Add this to the environment of whatever shall talk to this cluster."""
        return self.layout.environment

    @property
    def state(self) -> dict:
        """The state file, as any process can read it."""
        return json.loads(self.layout.state_file.read_text())

    @property
    def passwords(self) -> dict[str, str]:
        """Login password of each person."""
        return json.loads(self.layout.passwords_file.read_text())

    def address(self, node: str) -> str:
        """The address of the node with this name."""
        return {each.name: self.layout.address(each) for each in NODES}[node]

    def start(self) -> Cluster:
        """Bring it up; returns when all nodes are idle.

        What a crashed cluster left, of this name or abandoned by its process, is removed first.
        Raises ClusterError if a daemon does not come up (nothing stays behind then), or if a
        cluster of this name is in use.
        """
        requirements.check()
        with registry.lock():
            for other in registry.names():
                if registry.abandoned(other) or other == self._name:
                    self._remove_leftover(other)
            self._layout = registry.claim(self._name, self._detached)
            self._id = registry.read(self._layout.name)["id"]
        try:
            self._build()
        except BaseException:
            self.stop()
            raise
        return self

    def _remove_leftover(self, name: str) -> None:
        leftover = registry.layout_of(name)
        if not registry.abandoned(name) and "slurmctld" in service.running(leftover):
            raise ClusterError(
                f"The cluster {name} is already up; stop it with: down --name {name}"
            )
        self._say(f"removing what an earlier cluster {name} left behind")
        _tear_down(leftover)

    def _build(self) -> None:
        layout = self.layout
        with registry.lock():
            self._say("making the Unix users")
            passwords = people.create()
        people.write_private(layout.passwords_file, json.dumps(passwords, indent=2) + "\n")
        self._say("making networks, cgroups and an empty database")
        network.build(layout)
        cgroups.build(layout)
        daemons.prepare(layout, self._settings)
        for each in daemons.login_node(layout):
            self._say(f"waiting for {each.name}")
            each.start(layout)
            each.wait_ready(layout)
        self._say("writing accounts and limits")
        accounts.create(layout)
        nodes = daemons.nodes(layout)
        self._say(f"waiting for the nodes {', '.join(node.name for node in NODES)}")
        for node in nodes:
            node.start(layout)
        for node in nodes:
            node.wait_ready(layout)
        registry.write(layout, self._state())

    def _state(self) -> dict:
        layout = self.layout
        return registry.read(layout.name) | {
            "ready": True,
            "env": layout.environment,
            "slurm_conf": str(layout.slurm_conf),
            "subnet": layout.subnet,
            "hub_address": layout.hub_address,
            "nodes": {node.name: layout.address(node) for node in NODES},
            "partitions": list(PARTITIONS),
            "accounts": list(accounts.ACCOUNTS),
            "users": {person.name: list(person.accounts) for person in people.PEOPLE},
            "service_user": SERVICE_USER,
            "passwords_file": str(layout.passwords_file),
            "team_folder": str(people.TEAM_FOLDER),
            "logs": str(layout.logs),
            "pids": service.running(layout),
        }

    def stop(self) -> None:
        """End jobs and daemons and remove everything that `start` made. Does nothing twice."""
        if self._layout is None:
            return
        with registry.lock():
            # `down` in another process may have been first, and the name be another's by now.
            if self._is_mine():
                _tear_down(self._layout)
            remove_unused()
        self._layout = None

    def _is_mine(self) -> bool:
        state = registry.read(self.layout.name)
        return state is not None and state["id"] == self._id

    def allow_helper(self, helper: Path) -> None:
        """Let the service user run exactly this program as any of the people, by sudo."""
        sudoers.allow(self.layout, helper)

    def run(
        self,
        arguments: Sequence[str | Path],
        user: str | None = None,
        *,
        timeout: float = 60,
        text: str | None = None,
        environment: dict[str, str] | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host with SLURM_CONF set, as `user` (None: root) in their home.

        `text` is its standard input, `timeout` in seconds. Raises CalledProcessError with `check`.
        """
        return subprocess.run(
            [str(argument) for argument in arguments],
            input=text or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
            **self._as(user, environment),
        )

    def begin(
        self,
        arguments: Sequence[str | Path],
        user: str,
        *,
        environment: dict[str, str] | None = None,
        log: Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command as :meth:`run` does, and talk with it through its standard input and output.

        Where there is a `log`, what it writes goes to the end of that file.
        """
        if log:
            with log.open("a") as file:
                output: dict[str, Any] = {"stdout": file, "stderr": subprocess.STDOUT}
                return self._begin(arguments, user, environment, **output)
        return self._begin(arguments, user, environment, stdout=subprocess.PIPE)

    def _begin(
        self,
        arguments: Sequence[str | Path],
        user: str,
        environment: dict[str, str] | None,
        **output: Any,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.PIPE,
            text=True,
            **output,
            **self._as(user, environment),
        )

    def _as(self, user: str | None, environment: dict[str, str] | None) -> dict[str, Any]:
        account = pwd.getpwnam(user or "root")
        base = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": account.pw_dir,
            "USER": account.pw_name,
            "LOGNAME": account.pw_name,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
        }
        return {
            "cwd": account.pw_dir,
            "env": base | self.environment | (environment or {}),
            "user": account.pw_uid,
            "group": account.pw_gid,
            "extra_groups": os.getgrouplist(account.pw_name, account.pw_gid),
        }

    def jobs(self) -> list[dict[str, str]]:
        """Every job that Slurm still has in its queue: id, user, state, partition, nodes."""
        form = "|".join(_JOB_FIELDS.values())
        listing = self.run(["squeue", "--all", "--noheader", f"--format={form}"], check=True)
        return [
            dict(zip(_JOB_FIELDS, line.split("|"), strict=True))
            for line in listing.stdout.splitlines()
        ]

    def job_state(self, job: str) -> str:
        """Slurm's word for the job's state, also some minutes after its end."""
        shown = self.run(["scontrol", "--oneliner", "show", "job", job], check=True).stdout
        return shown.split("JobState=")[1].split()[0]

    def wait_for_job(self, job: str, timeout: float = 60) -> str:
        """The job's state once it has ended; raises ClusterError after `timeout` seconds."""
        active = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"}
        wait_until(lambda: self.job_state(job) not in active, timeout, f"job {job} to end")
        return self.job_state(job)

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def remove(name: str) -> bool:
    """Stop the cluster of this name from any process; False if there is none."""
    with registry.lock():
        found = name in registry.names()
        if found:
            _tear_down(registry.layout_of(name))
        remove_unused()
    return found


def remove_unused() -> None:
    """Remove what clusters share when none is left; call under registry.lock()."""
    if registry.names():
        return
    people.remove()
    shutil.rmtree(ROOT, ignore_errors=True)


def _tear_down(layout: Layout) -> None:
    # First the nodes' processes, all at once: a slurmd that sees its jobs die would wait for them.
    cgroups.kill(layout)
    service.end_all(layout)
    cgroups.remove(layout)
    network.remove(layout)
    sudoers.remove(layout)
    registry.release(layout)
