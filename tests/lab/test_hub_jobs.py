"""A node asks the hub for its jobs, and the scheduler only where there is no hub or it is away for long."""

from __future__ import annotations

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.scheduler import NothingNew, Unreachable
from shopfloor_jobs.view import View
from shopfloor_lab import jobs as module
from shopfloor_lab.hub import Hub
from shopfloor_lab.jobs import HubJobs
from tornado.web import Application

JOB = Seen(
    "17", "shopfloor-cluster-0123456789abcdef", "alice", State.PENDING, place=3, expected=9.0
)


class CountingScheduler:
    def __init__(self):
        self.looks = 0

    async def look(self) -> list[Seen]:
        self.looks += 1
        return []


@pytest.fixture
def hub(jobs_hub: Application) -> Application:
    jobs_hub.settings["answer"]["jobs"] = [JOB.to_json()]
    return jobs_hub


def asking(hub: Application) -> HubJobs:
    environment = {
        "JUPYTERHUB_API_URL": hub.settings["url"],
        "JUPYTERHUB_API_TOKEN": "secret",
    }
    return HubJobs(Hub(environment), CountingScheduler())


async def test_the_hub_is_asked_and_the_scheduler_is_not(hub: Application):
    jobs = asking(hub)
    assert await jobs.look() == [JOB]
    assert jobs.scheduler.looks == 0


async def test_the_same_answer_again_is_nothing_new(hub: Application):
    jobs = asking(hub)
    await jobs.look()
    with pytest.raises(NothingNew):
        await jobs.look()
    hub.settings["answer"] = {**hub.settings["answer"], "jobs": []}
    assert await jobs.look() == []


async def test_a_job_that_is_gone_is_known_to_be_though_nothing_else_changes(
    hub: Application, monkeypatch
):
    """Two answers of the hub's must not show it, and the second of them is "nothing changed"."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    hub.settings["answer"]["jobs"] = []
    view = View(asking(hub))
    for _ in range(3):
        assert not await view.is_gone("alice", JOB.tag, 0)
    now[0] += module.ALL_AGAIN
    assert await view.is_gone("alice", JOB.tag, 0)


async def test_a_hub_that_gets_no_answer_itself_says_so(hub: Application):
    hub.settings["answer"]["health"]["trouble"] = "Slurm is silent"
    jobs = asking(hub)
    for _ in range(2):  # the second answer is a 304, and Slurm is silent all the same
        with pytest.raises(Unreachable, match="Slurm is silent"):
            await jobs.look()


async def test_a_hub_that_is_away_is_waited_for_and_then_done_without_at_a_slow_pace(
    hub: Application, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    jobs = asking(hub)
    hub.settings["status"] = 503
    with pytest.raises(Unreachable, match="the hub does not answer"):
        await jobs.look()
    now[0] += module.HUB_MAY_BE_AWAY
    assert await jobs.look() == []
    with pytest.raises(NothingNew):
        await jobs.look()
    now[0] += module.OWN_LOOKS
    assert await jobs.look() == []
    assert jobs.scheduler.looks == 2
    hub.settings["status"] = 200
    assert await jobs.look() == [JOB]


async def test_without_a_hub_the_scheduler_is_asked():
    jobs = HubJobs(Hub({}), CountingScheduler())
    assert await jobs.look() == []
    assert jobs.scheduler.looks == 1
