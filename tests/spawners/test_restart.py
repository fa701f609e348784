"""A hub that is killed or restarted loses nothing: running servers, those that wait, and those that just start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cases import Case
from tests.harness import wait_until
from tests.kernels import Kernel

SMALL = {"cpus": 1, "memory": "512M"}


@pytest.fixture(autouse=True)
def nothing_left(case: Case):
    yield
    for name in ("alice", "bob", "carol"):
        case.hub.stop_server(name)
    case.cancel_all()


def job_of(case: Case, name: str) -> str:
    return case.hub.server(name)["state"]["shopfloor"]["job_id"]


def answers(case: Case, name: str, token: str) -> bool:
    url = f"{case.hub.url}/user/{name}/api/status"
    try:
        return (
            requests.get(url, headers={"Authorization": f"token {token}"}, timeout=5).status_code
            == 200
        )
    except requests.RequestException:
        return False


def start(case: Case, name: str) -> str:
    token = case.hub.add_user(name)
    case.hub.start_server(name, SMALL)
    case.hub.wait_server(name)
    return token


def test_running_servers_and_their_kernels_survive_a_killed_hub(case: Case):
    alice, bob = start(case, "alice"), start(case, "bob")
    kernel = Kernel(case.hub.url, "alice", alice)
    kernel.run("answer = 42")
    jobs = {job.id for job in case.jobs()}

    case.hub.kill_hub()
    case.hub.start_hub()
    case.hub.wait_server("alice")
    case.hub.wait_server("bob")

    assert {job.id for job in case.jobs()} == jobs
    assert answers(case, "alice", alice)
    assert answers(case, "bob", bob)
    assert Kernel(case.hub.url, "alice", alice, kernel.id).run("print(answer)") == "42\n"
    old_token = case.hub.server("alice")["state"]["shopfloor"]["api_token"]
    case.hub.stop_server("alice")
    wait_until(lambda: len(case.jobs()) == 1, 30, "alice's job is gone")
    assert case.hub.api("GET", "user", token=old_token).status_code == 403


def test_a_stop_and_start_of_the_hub_cancels_nothing(case: Case):
    alice = start(case, "alice")
    jobs = {job.id for job in case.jobs()}
    case.hub.stop_hub()
    assert {job.id for job in case.jobs()} == jobs
    case.hub.start_hub()
    case.hub.wait_server("alice")
    assert answers(case, "alice", alice)
    assert {job.id for job in case.jobs()} == jobs


@pytest.mark.parametrize("seconds_after_the_click", [0.05, 0.3, 1.0, 2.5])
def test_a_server_that_was_starting_becomes_ready_once(
    local_hub: Case, seconds_after_the_click: float
):
    case = local_hub  # on Slurm each moment is a row of tests/faults/test_hub_killed.py
    token = case.hub.add_user("carol")
    clicked = time.monotonic()
    start_request(case, "carol", token)
    wait_until(
        lambda: time.monotonic() - clicked >= seconds_after_the_click, 10, "the moment", 0.01
    )
    case.hub.kill_hub()
    before = {job.id for job in case.jobs()}
    case.hub.start_hub()
    intent = (case.hub.server("carol") or {}).get("state")
    if not before and not intent:
        return  # killed before anything was asked for: nothing was started
    case.hub.wait_server("carol")
    assert answers(case, "carol", token)
    after = {job.id for job in case.jobs()}
    assert len(after) == 1
    assert before <= after


def test_a_server_that_is_busy_while_the_hub_restarts_is_not_taken_for_dead(case: Case):
    token = start(case, "carol")
    jobs = {job.id for job in case.jobs()}
    with a_server_that_does_not_answer(case, "carol"):
        case.hub.kill_hub()
        case.hub.start_hub()
        wait_until(lambda: case.hub.server("carol")["pending"] == "check", 30, "it is checked")
    case.hub.wait_server("carol")
    assert {job.id for job in case.jobs()} == jobs
    assert answers(case, "carol", token)


def test_a_server_that_does_not_answer_after_a_restart_can_be_stopped(case: Case):
    start(case, "carol")
    with a_server_that_does_not_answer(case, "carol"):
        case.hub.kill_hub()
        case.hub.start_hub()
        wait_until(lambda: case.hub.server("carol")["pending"] == "check", 30, "it is checked")
        assert case.hub.stop_server("carol").status_code in (202, 204)
        case.wait_no_jobs(60)
    wait_until(lambda: case.hub.server("carol") is None, 30, "the hub knows that it is stopped")


@contextlib.contextmanager
def a_server_that_does_not_answer(case: Case, name: str) -> Iterator[None]:
    """The processes of a person's server are stopped meanwhile, as on a node that is out of memory."""
    tag = case.hub.server(name)["state"]["shopfloor"]["tag"]
    start = case.home(name) / ".local/share/shopfloor/jobs" / tag / "start-0.json"
    runner = json.loads(start.read_text())["pid"]
    # The runner starts the server in a session of its own.
    group = int(Path(f"/proc/{runner}/task/{runner}/children").read_text().split()[0])
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)


def start_request(case: Case, name: str, token: str) -> None:
    """Click, and do not wait for the answer."""
    url = f"{case.hub.url}/hub/api/users/{name}/server"
    try:
        requests.post(
            url,
            headers={"Authorization": f"token {token}"},
            json={"user_options": SMALL},
            timeout=(5, 0.01),
        )
    except requests.Timeout:
        return
