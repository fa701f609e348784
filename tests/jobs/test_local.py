"""The local scheduler keeps the contract; what only one machine has stands in the modules beside this one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.jobs.case import SMALL, SchedulerCase
from tests.jobs.contract import SchedulerContract, TimeLimitContract


@pytest.fixture
def scheduler_case(local: SchedulerCase) -> SchedulerCase:
    return local


class TestLocalKeepsTheContract(SchedulerContract):
    pass


class TestLocalKeepsTimeLimits(TimeLimitContract):
    @pytest.fixture
    def scheduler_case(self, scheduler_case: SchedulerCase) -> SchedulerCase:
        scheduler_case.request = replace(SMALL, time=2)  # below what a person may ask
        return scheduler_case
