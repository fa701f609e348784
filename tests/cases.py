"""The two places where every story is told: one machine, and a real Slurm with real Unix users."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopfloor_jobs.job import Seen
from shopfloor_jobs.scheduler import Scheduler, scheduler_from

from .cluster.site_file import tables
from .harness import HubProcess, wait_until

PASSWORDS = {"alice": "pass-of-alice", "bob": "pass-of-bob", "trainer": "pass-of-trainer"}


@dataclass
class Case:
    """A running hub and the scheduler behind it; ``gpu_node`` is empty where there are no GPUs."""

    name: str
    hub: HubProcess
    scheduler: Scheduler
    passwords: dict[str, str]
    gpu_node: str = ""
    cluster: Any = None

    def jobs(self) -> list[Seen]:
        """Living jobs, as the scheduler itself says."""
        return [job for job in asyncio.run(self.scheduler.look()) if job.alive]

    def wait_no_jobs(self, seconds: float = 30) -> None:
        wait_until(lambda: not self.jobs(), seconds, "no job is left", pause=0.2)

    def cancel(self, job: Seen) -> None:
        """From outside of Shopfloor."""
        if self.cluster:
            self.cluster.run(["scancel", job.id.split("_")[0]])
        else:
            asyncio.run(self.scheduler.cancel(job.owner, [job.id]))

    def cancel_all(self) -> None:
        for job in self.jobs():
            self.cancel(job)
        self.wait_no_jobs()

    def home(self, person: str) -> Path:
        if self.cluster:
            return Path(f"~{person}").expanduser()
        return self.hub.directory / ".shopfloor" / "people" / person


def local_case(directory: Path, extra: str = "", keys: str = "") -> Case:
    """A hub with the local scheduler, with these keys of ``[hub]``; all that it makes lies in ``directory``."""
    state = directory / ".shopfloor"
    state.mkdir(mode=0o700)
    passwords = state / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps(PASSWORDS))
    hub = HubProcess(
        directory, f'[login]\nadmins = ["trainer"]\n{extra}', Path(sys.prefix), keys=keys
    )
    scheduler = scheduler_from({"type": "local", "state": str(state)})
    return Case("local", hub.start(), scheduler, PASSWORDS)


def slurm_case(
    cluster: Any,
    prefix: Path,
    config: str = "",
    extra: str = "",
    helper: Path | None = None,
    env: Mapping[str, str] | None = None,
    keys: str = "",
) -> Case:
    """A hub as in production on the test cluster: an unprivileged user, and the helper through sudo.

    ``config`` is added to JupyterHub's configuration, ``keys`` to ``[hub]`` in the site file and ``extra`` to its
    end; ``helper`` stands in for the installed one, and ``env`` is the hub's beside its usual environment.
    """
    helper = helper or prefix / "bin" / "shopfloor-helper"
    cluster.allow_helper(helper)
    directory = Path(tempfile.mkdtemp(prefix="shopfloor-hub-"))
    directory.chmod(0o711)
    hub = HubProcess(
        directory,
        tables(cluster, prefix, helper) + extra,
        prefix,
        address=cluster.hub_address,
        user=cluster.state["service_user"],
        env=env,
        config=config,
        keys=keys,
    )
    scheduler = scheduler_from({"type": "slurm", "conf": cluster.state["slurm_conf"]})
    return Case("slurm", hub.start(), scheduler, cluster.passwords, "gpu01", cluster)


def end_case(case: Case) -> None:
    """Stop the hub and whatever runs on its scheduler."""
    case.hub.stop()
    case.cancel_all()
    if case.cluster:
        shutil.rmtree(case.hub.directory)


def descendants_named(fragment: str) -> list[str]:
    """Command lines of processes on this machine that hold the fragment."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,user,args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if fragment in line]
