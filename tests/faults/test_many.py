"""Row 19: a whole course starts at once, and one person fails again and again; nobody else is hurt by either."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness import wait_until

from .case import Faults
from .checks import nothing_lost
from .test_hub_killed import STARTERS

pytestmark = pytest.mark.slurm


@pytest.mark.fault(19, "100 starts at once")
@pytest.mark.fault_long(60)
def test_a_hundred_starts_at_once_all_become_ready(faults: Faults):
    people = [faults.person(name) for name in STARTERS]
    with ThreadPoolExecutor(100) as pool:
        clicks = [
            pool.submit(one.start, f"s{number}", preset="stub")
            for number in range(10)
            for one in people
        ]
        statuses = Counter(click.result().status_code for click in clicks)
    assert set(statuses) <= {201, 202}, statuses

    def ready() -> int:
        users = faults.hub.api("GET", "users").json()
        return sum(server["ready"] for user in users for server in user["servers"].values())

    wait_until(lambda: ready() == 100, 300, "all are ready", pause=1)
    nothing_lost(faults.case, people)


@pytest.mark.fault(19, "five failures in a row of one person")
def test_who_fails_five_times_hurts_nobody(faults: Faults):
    carol, bob = faults.person("carol"), faults.person("bob")
    kept = faults.running("bob")
    hub = faults.hub.hub.pid
    for number in range(6):
        carol.start(preset="stub", environment="broken")
        wait_until(lambda: faults.hub.server("carol") is None, 30, f"{number} times failed")
        carol.reads("The software could not be started")
    assert faults.hub.hub.poll() is None
    assert faults.hub.hub.pid == hub
    faults.running("alice")
    assert faults.job_id("bob") == kept
    nothing_lost(faults.case, [carol, bob, faults.person("alice")])
