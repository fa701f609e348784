"""A server from click to Lab and back, on both schedulers."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.cases import Case
from tests.harness import wait_until


def test_a_server_starts_answers_through_the_proxy_and_leaves_nothing_when_stopped(case: Case):
    token = case.hub.add_user("alice")
    assert case.hub.start_server("alice").status_code in (201, 202)
    case.hub.wait_server("alice")

    answer = requests.get(
        f"{case.hub.url}/user/alice/api/status",
        headers={"Authorization": f"token {token}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    assert len(case.jobs()) == 1

    assert case.hub.stop_server("alice").status_code in (202, 204)
    case.wait_no_jobs()


def test_named_servers_run_beside_the_usual_one(case: Case):
    case.hub.add_user("alice")
    case.hub.start_server("alice")
    case.hub.start_server("alice", server="second")
    case.hub.wait_server("alice")
    case.hub.wait_server("alice", "second")
    assert len(case.jobs()) == 2
    case.hub.stop_server("alice", "second")
    assert case.hub.server("alice")["ready"]
    case.hub.stop_server("alice")
    case.wait_no_jobs()


@pytest.mark.slurm
def test_lab_answers_from_the_gpu_node_with_the_granted_gpu_alone(slurm_hub: Case):
    token = slurm_hub.hub.add_user("alice")
    slurm_hub.hub.start_server("alice", {"preset": "one-gpu"})
    slurm_hub.hub.wait_server("alice")
    headers = {"Authorization": f"token {token}"}
    url = f"{slurm_hub.hub.url}/user/alice"
    assert requests.get(f"{url}/lab", headers=headers, timeout=20).status_code == 200
    [job] = slurm_hub.jobs()
    assert (job.owner, job.node) == ("alice", "gpu01")
    slurm_hub.hub.stop_server("alice")
    slurm_hub.wait_no_jobs()


def test_a_server_that_is_still_starting_can_be_stopped_and_leaves_nothing(case: Case):
    case.hub.add_user("bob")
    case.hub.click("bob")
    wait_until(lambda: case.hub.server("bob"), 10, "the start is under way", pause=0.01)
    assert not case.hub.server("bob")["ready"]
    assert case.hub.stop_server("bob").status_code in (202, 204)
    case.wait_no_jobs()
    case.hub.start_server("bob")
    case.hub.wait_server("bob")
    case.hub.stop_server("bob")
    case.wait_no_jobs()


def test_on_one_machine_a_server_listens_to_this_machine_alone(local_hub: Case):
    local_hub.hub.add_user("alice")
    local_hub.hub.start_server("alice")
    local_hub.hub.wait_server("alice")
    port = local_hub.hub.server("alice")["state"]["shopfloor"]["port"]
    # proc(5): address and port in hexadecimal, the address in the machine's byte order; 0A is LISTEN.
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {
        local.split(":")[0]
        for _, local, _, state, *_ in sockets
        if state == "0A" and int(local.split(":")[1], 16) == port
    }
    assert addresses == {"0100007F"}
    local_hub.hub.stop_server("alice")
    local_hub.wait_no_jobs()
