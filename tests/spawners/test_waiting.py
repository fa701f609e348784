"""A server that waits in Slurm's queue: what is said of it, and how it is cancelled; tests/faults kills its hub."""

from __future__ import annotations

import re
import time

import pytest
import requests

from tests.cases import Case
from tests.harness import wait_until

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def nothing_left(slurm_hub: Case):
    yield
    slurm_hub.hub.stop_server("carol")
    slurm_hub.cancel_all()


def job_of(case: Case) -> str:
    """The id of carol's job as the hub's database has it; empty before it is known."""
    server = case.hub.server("carol") or {}
    return ((server.get("state") or {}).get("shopfloor") or {}).get("job_id", "")


def test_a_server_can_be_cancelled_while_it_waits_and_its_token_dies(slurm_hub: Case, hold_gpus):
    hold_gpus()
    slurm_hub.hub.add_user("carol")
    slurm_hub.hub.start_server("carol", {"preset": "one-gpu"})
    wait_until(lambda: job_of(slurm_hub), 20, "the job is submitted")
    token = slurm_hub.hub.server("carol")["state"]["shopfloor"]["api_token"]
    assert slurm_hub.hub.api("GET", "user", token=token).status_code == 200
    assert slurm_hub.hub.stop_server("carol").status_code in (202, 204)
    slurm_hub.wait_no_jobs()
    wait_until(
        lambda: slurm_hub.hub.api("GET", "user", token=token).status_code == 403,
        20,
        "the token is dead",
    )


def test_what_a_person_reads_while_waiting_is_slurms_reason(slurm_hub: Case, hold_gpus):
    hold_gpus()
    token = slurm_hub.hub.add_user("carol")
    slurm_hub.hub.start_server("carol", {"preset": "one-gpu"})
    read(slurm_hub, token, "what it needs is in use", "others are before it")


def read(case: Case, token: str, *words: str) -> None:
    """On carol's waiting page, until it says one of these."""
    url, lines = f"{case.hub.url}/hub/api/users/carol/server/progress", []
    headers = {"Authorization": f"token {token}"}
    with requests.get(url, headers=headers, stream=True, timeout=30) as events:
        for line in events.iter_lines(decode_unicode=True):
            if any(one in line for one in words):
                return
            lines.append(line)
    raise AssertionError(f"the stream ended without {words}: {lines}")


@pytest.fixture
def cpu_partition_for_climate_only(slurm_hub: Case):
    """An administrator closes a partition to some projects, which the offer does not know."""
    cluster = slurm_hub.cluster
    cluster.run(["scontrol", "update", "PartitionName=cpu", "AllowAccounts=climate"], check=True)
    yield
    cluster.run(["scontrol", "update", "PartitionName=cpu", "AllowAccounts=ALL"], check=True)


def test_the_text_of_a_refused_sbatch_reaches_the_person(
    slurm_hub: Case, cpu_partition_for_climate_only
):
    token = slurm_hub.hub.add_user("carol")
    answer = slurm_hub.hub.start_server("carol", {"preset": "small-cpu"})
    if answer.status_code == 400:
        assert "Invalid account" in answer.json()["message"]
    else:
        # Slurm took longer than a click waits; 201 where it refuses in that very moment.
        assert answer.status_code in (201, 202), answer.text
    read(slurm_hub, token, "Invalid account")
    assert slurm_hub.jobs() == []


def test_whoever_has_no_project_reads_so_and_nothing_is_submitted(slurm_hub: Case):
    slurm_hub.hub.add_user("mallory")
    answer = slurm_hub.hub.start_server("mallory", {"preset": "small-cpu"})
    assert answer.status_code == 400, answer.text
    assert "mallory belongs to no project on this cluster" in answer.json()["message"]
    assert slurm_hub.jobs() == []


def test_a_job_that_was_cancelled_while_the_hub_was_away_is_not_submitted_again(
    slurm_hub: Case, hold_gpus
):
    hold_gpus()
    hub, cluster = slurm_hub.hub, slurm_hub.cluster
    hub.add_user("carol")
    hub.start_server("carol", {"preset": "one-gpu"})
    job = wait_until(lambda: job_of(slurm_hub), 20, "the job is submitted")
    hub.kill_hub()
    cluster.run(["scancel", job], check=True)
    cluster.wait_for_job(job)
    asked_before = starts_asked(slurm_hub)
    hub.start_hub()
    wait_until(lambda: starts_asked(slurm_hub) > asked_before, 30, "the hub went on with the start")
    deadline = time.monotonic() + 3  # six times the pause after which it was asked for again once
    while time.monotonic() < deadline:
        assert slurm_hub.jobs() == []
    assert starts_asked(slurm_hub) == asked_before + 1
    server = hub.server("carol")
    assert server is None or not (server["ready"] or server["pending"])


def starts_asked(case: Case) -> int:
    """How often the hub answered a request to start carol's server; each is one line with its time."""
    answered = r"POST /hub/api/users/carol/server \(.*\) [\d.]+ms$"
    return len(re.findall(answered, case.hub.log.read_text(), re.MULTILINE))
