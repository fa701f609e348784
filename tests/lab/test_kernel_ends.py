"""Why a kernel's job is over: its runner knows best, also in a home on NFS, where what it wrote is seen late."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from shopfloor_jobs import directory
from shopfloor_jobs.job import Job, Seen, State
from shopfloor_jobs.reasons import cause_words
from shopfloor_jobs.request import Request
from shopfloor_jobs.view import View
from shopfloor_lab.kernels import job as module
from shopfloor_lab.kernels.job import KernelJob
from shopfloor_lab.kernels.lab import Lab
from shopfloor_lab.kernels.order import Launch, Order

TAG = "shopfloor-kernel-0123456789abcdef"
IDLE = "ended after 1 h without GPU work"


class Shows:
    """A scheduler that shows the job as it is told, or not at all."""

    seen: list[Seen]

    def __init__(self) -> None:
        self.show("RUNNING", State.RUNNING)

    def show(self, code: str, state: State = State.ENDED) -> None:
        cause = cause_words(code) if state is State.ENDED else ""
        self.seen = [Seen("17", TAG, "alice", state, cause=cause, detail=code, started=1.0)]

    async def look(self) -> list[Seen]:
        return self.seen


class Case:
    """A kernel whose job runs, its scheduler, and the directory with its records."""

    def __init__(self, home: Path):
        job = Job(TAG, "alice", "kernel", Request(), ("python", "-m", "agent"))
        order = Order(Launch(["python"]), "", "", "", "", "python3", {})
        self.scheduler = Shows()
        ways: Any = (self.scheduler, View(self.scheduler))
        self.kernel = KernelJob(Lab(home, {}), job, order, ways, None)
        self.kernel.path.mkdir(parents=True)

    def record(self, cause: str) -> None:
        directory.write_json(self.kernel.path / "exit-0.json", {"cause": cause, "code": 0})

    async def is_over(self) -> bool:
        return await self.kernel.is_over(0)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture
def nfs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file that was not there is not there until its directory is opened."""
    missed: set[Path] = set()
    open_plain, scandir = directory.open_plain, os.scandir

    def opened(path: Path) -> BinaryIO:
        if path in missed:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        try:
            return open_plain(path)
        except FileNotFoundError:
            missed.add(path)
            raise

    def scanned(path: Any = ".") -> Any:
        missed.difference_update([one for one in missed if one.parent == Path(path)])
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(directory, "open_plain", opened)
        patched.setattr(os, "scandir", scanned)
        yield


async def test_a_record_that_was_looked_for_too_early_is_seen_when_it_is_there(nfs, case: Case):
    assert not await case.is_over()
    case.record(IDLE)
    case.scheduler.show("COMPLETED")
    assert await case.is_over()
    assert case.kernel.cause == IDLE


@pytest.mark.parametrize("code", ["COMPLETED", "FAILED"])
async def test_a_record_is_waited_for_where_the_scheduler_knows_no_more_than_that_it_ended(
    case: Case, code: str
):
    case.scheduler.show(code)
    assert not await case.is_over()
    case.record(IDLE)
    assert await case.is_over()
    assert case.kernel.cause == IDLE


async def test_it_is_not_waited_for_without_end(case: Case, monkeypatch: pytest.MonkeyPatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    case.scheduler.show("COMPLETED")
    assert not await case.is_over()
    now[0] += module.RECORD_WITHIN
    assert await case.is_over()
    assert case.kernel.cause == "ended by itself"


async def test_it_is_not_waited_for_where_the_scheduler_ended_the_job(case: Case):
    case.scheduler.show("NODE_FAIL")
    assert await case.is_over()
    assert case.kernel.cause == "its node failed"
