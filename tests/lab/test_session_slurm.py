"""The server's own job on real Slurm: what Slurm counts of it is what Lab shows, and an idle end is told as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from shopfloor_jobs.directory import directory_of, exit_record

from tests.cases import Case, end_case, slurm_case
from tests.harness import wait_until
from tests.kernels import Kernel

pytestmark = pytest.mark.slurm

PERSON = "bob"
AFTER = 15  # seconds
CONFIG = (
    f"c.Spawner.environment.update({{'SHOPFLOOR_IDLE_AFTER': '{AFTER}',"
    " 'SHOPFLOOR_IDLE_WARNING': '5'})\n"
)
MB = 1024**2


@pytest.fixture(scope="module")
def hub(slurm_cluster: Any, software: Path) -> Iterator[Case]:
    case = slurm_case(slurm_cluster, software, config=CONFIG)
    yield case
    end_case(case)


def test_use_is_what_slurm_counts_and_an_idle_end_says_so(hub: Case):
    token = hub.hub.add_user(PERSON)
    hub.hub.start_server(PERSON, {"memory": "600M", "time": "30m"})
    hub.hub.wait_server(PERSON)

    def session() -> dict[str, Any]:
        answer = requests.get(
            f"{hub.hub.url}/user/{PERSON}/shopfloor/api/session",
            headers={"Authorization": f"token {token}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    before = session()
    assert 1700 < before["time"]["left"] <= 1800
    assert before["memory_ends"] == "kernel"
    assert before["use"]["memory_limit"] == 600 * MB
    kernel = Kernel(hub.hub.url, PERSON, token)
    held = kernel.run("held = bytearray(b'x') * (200 << 20); print(len(held))")
    assert int(held) == 200 * MB

    def grown() -> bool:
        return session()["use"]["memory"] - before["use"]["memory"] > 190 * MB

    wait_until(grown, 20, "what the kernel holds is shown", pause=0.5)
    group = kernel.run(
        "import os; from shopfloor_lab.session.use import memory_group\n"
        "print(memory_group(os.environ['SLURM_JOB_ID']))"
    )
    [job] = hub.jobs()
    assert group.strip().endswith(f"/job_{job.id}")

    wait_until(lambda: not hub.jobs(), 60, "the job has ended", pause=0.5)
    record = exit_record(directory_of(hub.home(PERSON), job.tag)) or {}
    assert record["cause"] == f"ended after {AFTER} s without work" and record["code"] == 0

    def told() -> bool:
        user = hub.hub.api("GET", f"users/{PERSON}?include_stopped_servers").json()
        endings = (user["servers"][""].get("state") or {}).get("endings", [])
        return [one["kind"] for one in endings] == ["idle"]

    # What the scheduler says comes first, what the job itself said soon after.
    wait_until(told, 60, "the hub knows that it ended for want of work", pause=0.5)
