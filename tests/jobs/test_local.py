"""The local scheduler: the contract, and what only one machine has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from shopfloor_jobs.local import Local

from tests.jobs.case import SchedulerCase
from tests.jobs.contract import SchedulerContract


@pytest.fixture
async def scheduler_case(tmp_path: Path) -> AsyncIterator[SchedulerCase]:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    scheduler = Local(str(tmp_path / "state"), grace=3)
    case = SchedulerCase(
        scheduler=scheduler,
        owner="alice",
        other="bob",
        home=scheduler.home_of("alice"),
        command_dir=evidence,
        refusal="cpus: '90000' is not possible: at most",
    )
    yield case
    await case.clean_up()


class TestLocalKeepsTheContract(SchedulerContract):
    pass
