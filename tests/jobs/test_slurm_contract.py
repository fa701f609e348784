"""A real Slurm keeps the same contract, with the helper run by sudo as real Unix users."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_jobs.slurm import Slurm

from tests.jobs.case import SMALL, SchedulerCase
from tests.jobs.contract import SchedulerContract, TimeLimitContract

pytestmark = pytest.mark.slurm


@pytest.fixture
async def scheduler_case(slurm_cluster, software: Path) -> AsyncIterator[SchedulerCase]:
    evidence = Path(tempfile.mkdtemp(prefix="shopfloor-evidence-"))
    shutil.chown(evidence, "alice")
    helper = f"{software}/bin/shopfloor-helper"
    scheduler = Slurm(conf=slurm_cluster.state["slurm_conf"], helper=helper)
    case = SchedulerCase(
        scheduler=scheduler,
        owner="alice",
        other="bob",
        home=Path("/home/alice"),
        command_dir=evidence,
        refusal="More processors requested than permitted",
        seconds=30,
        request=replace(SMALL, partition="cpu"),
    )
    yield case
    await case.clean_up()
    shutil.rmtree(evidence)


class TestSlurmKeepsTheContract(SchedulerContract):
    pass


class TestSlurmKeepsTimeLimits(TimeLimitContract):
    @pytest.fixture
    def scheduler_case(self, scheduler_case: SchedulerCase) -> SchedulerCase:
        scheduler_case.request = replace(scheduler_case.request, time=60)  # Slurm counts minutes
        scheduler_case.seconds = 120
        return scheduler_case
