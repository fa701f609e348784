"""Rows 14, 15 and 17: what cannot be started says why, which field it is about, and who can help; nothing stays."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.cluster.cluster import Cluster
from tests.harness import HubProcess, wait_until

from . import homes
from .case import Faults
from .checks import all_jobs, nothing_lost
from .person import Person

pytestmark = pytest.mark.slurm

Refusal = Callable[[Cluster], AbstractContextManager[None]]


def partition(change: str, back: str) -> Refusal:
    """Meanwhile an administrator closes the partition in this way."""

    @contextlib.contextmanager
    def changed(cluster: Cluster) -> Iterator[None]:
        update = ["scontrol", "update", "PartitionName=cpu"]
        cluster.run([*update, change], check=True)
        try:
            yield
        finally:
            cluster.run([*update, back], check=True)

    return changed


@contextlib.contextmanager
def no_more_jobs(cluster: Cluster) -> Iterator[None]:
    """Meanwhile erin may submit no job."""
    modify = ["sacctmgr", "--immediate", "modify", "user", "erin", "set"]
    show = ["scontrol", "show", "assoc_mgr", "users=erin", "flags=assoc"]

    def known(limit: str) -> bool:
        return f"MaxSubmitJobs={limit}(" in cluster.run(show, check=True).stdout

    cluster.run([*modify, "MaxSubmitJobs=0"], check=True)
    try:
        wait_until(lambda: known("0"), 20, "slurmctld knows the limit")
        yield
    finally:
        cluster.run([*modify, "MaxSubmitJobs=-1"], check=True)
        wait_until(lambda: not known("0"), 20, "slurmctld knows that there is none")


# What is wrong: how it is brought about, Slurm's own words, the field on screen, who can help.
REFUSALS: dict[str, tuple[Refusal, str, str, str]] = {
    "account": (
        partition("AllowAccounts=climate", "AllowAccounts=ALL"),
        "Invalid account or account/partition combination",
        "Project",
        "ask your administrator",
    ),
    "QOS": (
        partition("AllowQos=short", "AllowQos=ALL"),
        "Invalid qos specification",
        "Priority class",
        "ask whoever manages the project",
    ),
    "partition": (
        partition("AllowGroups=root", "AllowGroups=ALL"),
        "group not permitted to use this partition",
        "Hardware",
        "ask your administrator",
    ),
    "limit": (no_more_jobs, "accounting/QOS policy", "Project", "ask whoever manages the project"),
}


@pytest.mark.fault(14, "sbatch refuses")
@pytest.mark.parametrize("what", REFUSALS)
def test_what_sbatch_refuses_is_told_with_its_field_and_who_can_help(faults: Faults, what: str):
    refusal, words, field, who = REFUSALS[what]
    erin, bob = faults.person("erin"), faults.person("bob")
    kept = faults.running("bob", partition="gpu")
    before = {job.id for job in all_jobs(faults.case)}
    with refusal(faults.cluster):
        answer = erin.start(preset="stub", partition="cpu")
        # 201 is JupyterHub's answer when it fails in the very moment in which it would say that it goes on.
        assert answer.status_code in (201, 202, 400), answer.text
        erin.reads(words)
    told = erin.told()
    assert f"{field}: " in told
    assert who in told
    assert not {job.id for job in all_jobs(faults.case)} - before
    nothing_lost(faults.case, [erin, bob])
    assert faults.job_id("bob") == kept
    faults.running("erin")


@pytest.mark.fault(15, "start command missing")
def test_a_missing_start_command_is_named(faults: Faults):
    alice = faults.person("alice")
    alice.start(preset="stub", environment="missing")
    alice.reads("The software could not be started")
    assert "/nowhere/bin/shopfloor-singleuser was not found" in alice.told()
    nothing_lost(faults.case, [alice])


@pytest.mark.fault(15, "import error")
def test_an_import_error_is_shown_with_the_last_lines_and_no_secret(faults: Faults):
    alice = faults.person("alice")
    alice.start(preset="stub", environment="broken")
    alice.reads("The software could not be started")
    wait_until(lambda: "does_not_exist" in alice.told(), 10, "the last lines are there")
    told = alice.told()
    assert "line 39" in told
    assert "line 10 " not in told
    assert "token=… nonce=…" in told
    nothing_lost(faults.case, [alice])


@pytest.fixture
def full_home() -> Iterator[str]:
    """Heidi's home is a disk on which nothing is left."""
    with homes.small("heidi", "64k") as home:
        homes.fill(home / "everything")
        yield "heidi"


@pytest.mark.fault(17, "home full")
def test_a_full_home_is_named(faults: Faults, full_home: str):
    person = faults.person(full_home)
    person.start(preset="stub")
    person.reads("Home: your home directory /home/heidi is full")
    assert "Remove what you no longer need" in person.told()
    nothing_lost(faults.case, [person])


@pytest.fixture
def closed_home() -> Iterator[str]:
    """Ivan cannot write in his home."""
    with homes.to_itself("ivan") as home:
        jobs = home / ".local" / "share" / "shopfloor" / "jobs"
        owner = home.stat()
        subprocess.run(["runuser", "-u", "ivan", "--", "mkdir", "-p", str(jobs)], check=True)
        os.chown(jobs, 0, 0)
        jobs.chmod(0o755)
        yield "ivan"
        os.chown(jobs, owner.st_uid, owner.st_gid)


@pytest.mark.fault(17, "home not writable")
def test_a_home_that_cannot_be_written_is_named(faults: Faults, closed_home: str):
    person = faults.person(closed_home)
    person.start(preset="stub")
    person.reads("Home: your home directory /home/ivan cannot be written")
    assert "Ask your administrator" in person.told()
    nothing_lost(faults.case, [person])


def somebody_who_left(hub: HubProcess) -> Person:
    """Known to the hub, and no more to Unix."""
    name = f"left{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", name], check=True)
    try:
        return Person(hub, name)
    finally:
        subprocess.run(["userdel", name], check=True)


@pytest.mark.fault(17, "no Unix account")
def test_who_has_no_unix_account_is_told_so(faults: Faults):
    person = somebody_who_left(faults.hub)
    answer = person.start(preset="stub")
    assert answer.status_code == 400, answer.text
    assert "ask your administrator for one" in answer.json()["message"]
    nothing_lost(faults.case, [])
    faults.hub.api("DELETE", f"users/{person.name}", expect=204)


@pytest.mark.fault(17, "no Slurm account")
def test_who_has_no_slurm_account_is_told_so(faults: Faults):
    mallory = faults.person("mallory")
    answer = mallory.start(preset="stub")
    assert answer.status_code == 400, answer.text
    assert "belongs to no project on this cluster" in answer.json()["message"]
    assert "ask your administrator" in answer.json()["message"]
    nothing_lost(faults.case, [mallory])
