"""A dead kernel in a job that ends: nobody is told that another one is started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from shopfloor_lab.kernels import restarter as module
from shopfloor_lab.kernels.provisioner import JobProvisioner
from shopfloor_lab.kernels.restarter import JobRestarter


class Dying(JobProvisioner):
    """Of a kernel that is dead, in a job that is ``over`` when the test says so."""

    over = False
    ending = True
    not_begun = ""

    async def poll(self) -> int | None:
        return 1

    async def is_over(self) -> bool:
        return self.over


class Manager(AsyncKernelManager):
    """Its restarts are counted."""

    restarts = 0

    async def is_alive(self) -> bool:
        return False

    async def restart_kernel(self, now: bool = False, newports: bool = False, **_: Any) -> None:
        self.restarts += 1


class Case:
    def __init__(self) -> None:
        self.manager = Manager(kernel_name="any")
        self.provisioner = Dying(kernel_id="k", kernel_spec=KernelSpec(), parent=None)
        self.provisioner.job = SimpleNamespace(cause="")
        self.manager.provisioner = self.provisioner
        self.restarter = JobRestarter(kernel_manager=self.manager)
        self.told: list[str] = []
        for event in ("restart", "dead"):
            self.restarter.add_callback(lambda event=event: self.told.append(event), event)


@pytest.fixture
def case() -> Case:
    return Case()


async def test_while_its_job_ends_it_is_waited_for(case: Case):
    await case.restarter.poll()
    await case.restarter.poll()
    assert (case.told, case.manager.restarts) == ([], 0)
    case.provisioner.over = True
    await case.restarter.poll()
    assert (case.told, case.manager.restarts) == (["dead"], 0)


async def test_but_not_without_end(case: Case, monkeypatch: pytest.MonkeyPatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    await case.restarter.poll()
    now[0] += module.ENDS_WITHIN + 1
    await case.restarter.poll()
    assert case.told == ["dead"]


async def test_in_a_job_that_goes_on_another_one_is_started(
    case: Case, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Dying, "ending", False)
    await case.restarter.poll()
    assert (case.told, case.manager.restarts) == (["restart"], 1)
