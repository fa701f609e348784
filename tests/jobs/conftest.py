from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest
from shopfloor_jobs.local import Local

from tests.jobs.case import SchedulerCase

pytest.register_assert_rewrite("tests.jobs.contract")
# A busy machine is no defect of what is tested.
hypothesis.settings.register_profile("shopfloor", deadline=None)
hypothesis.settings.load_profile("shopfloor")


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[SchedulerCase]:
    """The scheduler of this machine, with a state of its own."""
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
    await scheduler.stop_all()
    await case.clean_up()
