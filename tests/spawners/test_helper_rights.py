"""What the one line of sudoers allows the hub's user: this helper, as these people, and nothing as root."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs import __version__
from shopfloor_jobs.job import Job
from shopfloor_jobs.request import Request
from shopfloor_jobs.slurm import sudo_command

from tests.cluster.layout import SERVICE_USER
from tests.harness import wait_until

pytestmark = pytest.mark.slurm


@pytest.fixture
def helper(slurm_cluster: Any, software: Path) -> Iterator[str]:
    path = software / "bin" / "shopfloor-helper"
    slurm_cluster.allow_helper(path)
    yield str(path)


def as_hub(
    *command: str, payload: Mapping[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    """What the hub's user gets from a command; it has no password to give."""
    return subprocess.run(
        ["runuser", "-u", SERVICE_USER, "--", *command],
        input=json.dumps(payload or {"conf": None, "timeout": 5}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_hub_may_run_the_helper_as_a_person(helper: str):
    done = as_hub(*sudo_command("alice", helper, "version"))
    assert json.loads(done.stdout)["ok"] == {"version": __version__, "user": "alice"}, done.stderr


@pytest.mark.parametrize("account", ["root", "nobody", "daemon", "#0"])
def test_it_may_not_as_root_nor_as_whoever_is_not_in_the_peoples_group(helper: str, account: str):
    done = as_hub(*sudo_command(account, helper, "version"))
    assert done.returncode != 0
    assert done.stdout == ""
    assert "password is required" in done.stderr


@pytest.mark.parametrize("program", ["/bin/sh", "/usr/bin/env", "python"])
def test_it_may_run_nothing_else_as_a_person(helper: str, program: str):
    path = str(Path(helper).with_name(program)) if program == "python" else program
    done = as_hub(*sudo_command("alice", path, "version"))
    assert done.returncode != 0
    assert "password is required" in done.stderr


def test_the_helper_itself_does_nothing_as_root(helper: str):
    done = subprocess.run(
        [helper, "version"], input="{}", capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "it does nothing as root; name a group of people in sudoers" in done.stderr


def test_a_helper_that_is_held_up_ends_by_itself(helper: str):
    """Whoever waits for it cannot end it: it is the person's process, and sudo is root's."""
    tag = "shopfloor-server-fedcba9876543210"
    path = Path("~alice/.local/share/shopfloor/jobs").expanduser() / tag
    job = Job(tag, "alice", "server", Request(), ("true",))
    payload = {
        **{"job": job.to_json(), "confidential": job.confidential(), "python": "/usr/bin/python3"},
        **{"conf": None, "timeout": 1},
    }
    hold = f"mkdir -p {path} && exec flock {path}/lock sleep 60"
    holding = subprocess.Popen(["runuser", "-u", "alice", "--", "sh", "-c", hold])
    try:
        wait_until((path / "lock").exists, 10, "its lock is held")
        done = as_hub(*sudo_command("alice", helper, "submit"), payload=payload)
        assert done.returncode != 0 and done.stdout == ""
    finally:
        holding.terminate()
        holding.wait(10)
        shutil.rmtree(path)
