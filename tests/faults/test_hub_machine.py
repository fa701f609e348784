"""Rows 16 and 18: the hub's own database and disk, and its proxy, fail while sessions run."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import wait_until
from tests.kernels import Cell, Kernel

from .case import Faults
from .checks import nothing_lost

pytestmark = pytest.mark.slurm

LOCKED_FOR = 10  # seconds
CANNOT = "Cannot start now"
GO_ON = "Running sessions go on"


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Meanwhile nobody else can write."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.fault(16, "database locked for 10 s")
@pytest.mark.fault_long(30)
def test_a_locked_database_costs_nobody_their_session(faults: Faults):
    alice, bob, carol = (faults.person(name) for name in ("alice", "bob", "carol"))
    kept = faults.running("alice")
    faults.order("bob", "hold")
    bob.start(preset="stub")
    bob.reads('"stage": "starting"')
    with locked(faults.hub.directory / ".shopfloor" / "hub.sqlite"):
        began = time.monotonic()
        faults.take_back("bob", "hold")
        answer = carol.start(preset="stub")
        assert answer.status_code == 503, answer.text
        assert CANNOT in answer.json()["message"]
        assert GO_ON in answer.json()["message"]
        assert alice.get(f"{faults.hub.url}/user/alice/api", timeout=5).ok
        wait_until(lambda: time.monotonic() - began > LOCKED_FOR, 20, "it lasts 10 s", pause=0.2)
    faults.hub.wait_server("bob")
    assert faults.job_id("alice") == kept
    nothing_lost(faults.case, [alice, bob, carol])
    faults.running("carol")


@contextlib.contextmanager
def full_disk(faults: Faults) -> Iterator[None]:
    """Meanwhile nothing is left on the disk where the hub keeps its state; it is a disk of its own from now on."""
    state = faults.hub.directory / ".shopfloor"
    copy = state.with_name("state-copy")
    faults.hub.stop_hub()
    subprocess.run(["cp", "-a", str(state), str(copy)], check=True)
    options = "size=4m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", str(state)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{copy}/.", str(state)], check=True)
        faults.hub.start_hub()
        for name in ("alice", "bob"):
            faults.hub.wait_server(name)
        everything = state / "everything"
        with contextlib.suppress(OSError), everything.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        yield
        everything.unlink()
        faults.running("carol")
    finally:
        faults.hub.stop_hub()
        shutil.rmtree(copy)
        subprocess.run(["cp", "-a", f"{state}/.", str(copy)], check=True)
        subprocess.run(["umount", str(state)], check=True)
        subprocess.run(["cp", "-a", f"{copy}/.", str(state)], check=True)
        shutil.rmtree(copy)
        faults.hub.start_hub()


@pytest.mark.fault(16, "disk full on the hub")
@pytest.mark.fault_long(30)
def test_a_full_disk_of_the_hub_costs_nobody_their_session(faults: Faults):
    alice, bob, carol = (faults.person(name) for name in ("alice", "bob", "carol"))
    kept = {faults.running("alice"), faults.running("bob")}
    with full_disk(faults):
        answer = carol.start(preset="stub")
        assert answer.status_code == 503, answer.text
        assert CANNOT in answer.json()["message"]
        assert GO_ON in answer.json()["message"]
        assert alice.told() == "Lab"
        assert {job.id for job in faults.case.jobs()} == kept
    nothing_lost(faults.case, [alice, bob, carol])


PRINTS = """
import time
for number in range(40):
    print("line", number)
    time.sleep(0.1)
"""


@pytest.mark.fault(18, "proxy killed while a cell prints")
@pytest.mark.fault_long(30)
def test_all_lines_of_a_cell_are_there_after_the_proxy_was_killed(faults: Faults):
    alice = faults.person("alice")
    job = faults.running("alice", preset="lab")
    cell = Cell(Kernel(faults.hub.url, "alice", alice.token), PRINTS)
    assert cell.read(until="line 3\n")
    faults.hub.kill_proxy()
    assert not cell.read()
    faults.hub.start_proxy()
    faults.hub.wait_ready()
    url = f"{faults.hub.url}/user/alice/api"
    wait_until(lambda: alice.get(url, timeout=10).url == url, 30, "the route is back", pause=0.3)
    cell.reconnect()
    assert cell.read()
    assert cell.printed.split("\n")[:-1] == [f"line {number}" for number in range(40)]
    assert faults.job_id("alice") == job
    nothing_lost(faults.case, [alice])
