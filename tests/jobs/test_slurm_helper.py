"""What comes back through sudo from a process of the person's: bounded, and no more than its share of the line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from shopfloor_jobs import slurm as module
from shopfloor_jobs.scheduler import Unreachable
from shopfloor_jobs.slurm import Slurm

from tests.jobs.waiting import async_wait_until

# In sudo's place: alice's helper takes its time (until the file is there), bob's answers at once, mallory's never ends.
SUDO = """import json, os, pathlib, sys, time
here = pathlib.Path(sys.argv[0]).parent
[who] = [one.removeprefix("--user=") for one in sys.argv if one.startswith("--user=")]
if who == "mallory":
    while True:
        sys.stdout.write("a" * 65536)
(here / f"asked-{who}-{os.getpid()}").touch()
while who == "alice" and not (here / "go-on").exists():
    time.sleep(0.02)
json.dump({"ok": {"text": who}}, sys.stdout)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sudo").write_text(f"#!/usr/bin/python3\n{SUDO}")
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def of_alice(programs: Path) -> int:
    """How many helpers were begun for her."""
    return len(list(programs.glob("asked-alice-*")))


async def test_whose_helpers_hang_keeps_nobody_else_waiting(programs: Path):
    scheduler = Slurm(helper="/helper")
    alices = [asyncio.create_task(scheduler.tail("alice", "tag")) for _ in range(20)]
    try:
        await async_wait_until(lambda: of_alice(programs) == module.OF_ONE, 20, "her share runs")
        assert await asyncio.wait_for(scheduler.tail("bob", "tag"), 20) == "bob"
        assert of_alice(programs) == module.OF_ONE
    finally:
        (programs / "go-on").touch()
    assert await asyncio.gather(*alices) == ["alice"] * 20


async def test_an_answer_without_an_end_is_not_waited_for(programs: Path):
    with pytest.raises(Unreachable, match="answer is longer than"):
        await Slurm(helper="/helper").tail("mallory", "tag")
