"""Row 19: a whole course starts at once, and one person fails again and again; nobody else is hurt by either."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from shopfloor_jobs.job import Seen

from tests.harness import wait_until

from .case import Faults
from .checks import nothing_lost
from .commands import HOLD_BEFORE
from .test_hub_killed import STARTERS

pytestmark = pytest.mark.slurm


@pytest.mark.fault(19, "100 starts at once")
@pytest.mark.fault_long(60)
def test_a_hundred_starts_at_once_are_taken_and_each_sees_its_place(faults: Faults):
    people = [faults.person(name) for name in STARTERS]
    with ThreadPoolExecutor(100) as pool:
        clicks = [
            pool.submit(one.start, f"s{number}", preset="stub")
            for number in range(10)
            for one in people
        ]
        statuses = Counter(click.result().status_code for click in clicks)
    assert set(statuses) <= {201, 202}, statuses
    # Half of them fill the node, the others stand in line.
    wait_until(lambda: len(ready(faults)) == 50, 120, "50 are ready", pause=1)
    waiting = wait_until(lambda: in_line(faults), 60, "50 wait")
    assert sorted(job.place for job in waiting) == list(range(1, 51))
    owner = next(one for one in people if one.name == waiting[0].owner)
    tags = {tag_of(server): name for name, server in servers_of(faults, owner.name).items()}
    owner.reads('"place": ', server=tags[waiting[0].tag])
    first = ready(faults)
    with ThreadPoolExecutor(8) as pool:
        for name, server in first:
            pool.submit(faults.hub.stop_server, name, server)
    wait_until(lambda: len(ready(faults) - first) == 50, 180, "the others are ready too", pause=1)
    nothing_lost(faults.case, people)


@pytest.mark.fault(19, "the line before Slurm's own")
def test_who_is_not_yet_submitted_sees_how_many_asked_before(faults: Faults):
    people = [faults.person(name) for name in STARTERS[:6]]
    with faults.commands.ordered("sbatch", HOLD_BEFORE):
        for number, one in enumerate(people):
            one.click(preset="stub")
            wait_until(
                lambda one=one: (faults.hub.server(one.name) or {}).get("pending") == "spawn",
                20,
                f"start {number} is asked for",
            )
        waiting = f"/hub/spawn-pending/{people[-1].name}"
        wait_until(
            lambda: "5 others asked before" in people[-1].page(waiting).text, 20, "it is told"
        )
    for one in people:
        faults.hub.wait_server(one.name)
    nothing_lost(faults.case, people)


def ready(faults: Faults) -> set[tuple[str, str]]:
    """Person and name of each server that is ready."""
    return {
        (user["name"], server["name"])
        for user in faults.hub.api("GET", "users").json()
        for server in user["servers"].values()
        if server["ready"]
    }


def in_line(faults: Faults) -> list[Seen]:
    """The 50 jobs that wait, once all of them do."""
    waiting = [job for job in faults.case.jobs() if job.place is not None]
    return waiting if len(waiting) == 50 else []


def servers_of(faults: Faults, name: str) -> dict[str, Any]:
    return faults.hub.api("GET", f"users/{name}").json()["servers"]


def tag_of(server: dict[str, Any]) -> str:
    return server["state"]["shopfloor"]["tag"]


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
