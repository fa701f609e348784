"""A real Slurm keeps the same contract, with the helper run by sudo as real Unix users."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.slurm import Slurm

from tests.jobs.case import SMALL, SchedulerCase
from tests.jobs.contract import SLEEP, SchedulerContract, TimeLimitContract
from tests.jobs.waiting import async_wait_until

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
    async def test_the_accounts_tell_an_end_that_is_no_longer_shown(
        self, scheduler_case: SchedulerCase
    ):
        """Asked as any user of the cluster's, for whom the hub stands here."""
        job = scheduler_case.script(SLEEP)
        (job_id,) = await scheduler_case.submit(job)
        await scheduler_case.until(job_id, State.RUNNING)
        scheduler = scheduler_case.scheduler
        assert await scheduler.past(scheduler_case.other, job.tag) is None
        await scheduler.cancel(scheduler_case.owner, [job_id])
        shown = await scheduler_case.until(job_id, State.ENDED)

        async def told() -> Seen | None:
            # slurmctld tells slurmdbd a little later.
            found = await scheduler.past(scheduler_case.owner, job.tag)
            return found if found and found.state is State.ENDED else None

        past = await async_wait_until(told, 30, "the accounts know of its end")
        assert (past.id, past.tag, past.owner) == (job_id, job.tag, scheduler_case.owner)
        assert (past.detail, past.cause, past.node) == (shown.detail, shown.cause, shown.node)
        assert past.ends == pytest.approx(shown.ends, abs=2)


class TestSlurmKeepsTimeLimits(TimeLimitContract):
    @pytest.fixture
    def scheduler_case(self, scheduler_case: SchedulerCase) -> SchedulerCase:
        scheduler_case.request = replace(scheduler_case.request, time=60)  # Slurm counts minutes
        scheduler_case.seconds = 120
        return scheduler_case
