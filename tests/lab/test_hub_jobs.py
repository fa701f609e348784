"""A node asks the hub for its jobs, and the scheduler only where there is no hub or it is away for long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.scheduler import NothingNew, Unreachable
from shopfloor_jobs.view import View
from shopfloor_lab import jobs as module
from shopfloor_lab.hub import Hub
from shopfloor_lab.jobs import HubJobs, Jobs
from tornado.web import Application

from .cluster_parts import offer_of

JOB = Seen(
    "17", "shopfloor-cluster-0123456789abcdef", "alice", State.PENDING, place=3, expected=9.0
)


class CountingScheduler:
    def __init__(self):
        self.looks, self.silent = 0, False

    async def look(self) -> list[Seen]:
        self.looks += 1
        if self.silent:
            raise Unreachable("Slurm is silent")
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


def view_of(hub: Application) -> View:
    """As everybody in one Lab server shares it."""
    return Jobs(asking(hub).hub).of(offer_of(Path("/nowhere")))[1]


def tell(hub: Application, looked: float | None = None, **news: object) -> None:
    """What the hub answers from now on beside what it did; ``looked`` is its own time."""
    answer = hub.settings["answer"]
    health = answer["health"] if looked is None else {**answer["health"], "looked": looked}
    hub.settings["answer"] = {**answer, "health": health, **news}


async def test_the_hub_is_asked_and_the_scheduler_is_not(hub: Application):
    jobs = asking(hub)
    assert await jobs.look() == [JOB]
    assert jobs.scheduler.looks == 0


async def test_the_same_answer_again_is_nothing_new(hub: Application):
    jobs = asking(hub)
    await jobs.look()
    with pytest.raises(NothingNew):
        await jobs.look()
    tell(hub, 2.0, jobs=[])
    assert await jobs.look() == []


async def test_what_else_is_told_of_the_same_look_is_nothing_new(hub: Application):
    jobs = asking(hub)
    await jobs.look()
    tell(hub, noted="train.ipynb")
    with pytest.raises(NothingNew):
        await jobs.look()
    tell(hub, 2.0)
    assert await jobs.look() == [JOB]
    tell(hub, 1.5)  # its clock was set back
    assert await jobs.look() == [JOB]


async def test_one_look_of_the_hubs_proves_nothing_however_often_it_is_told(hub: Application):
    """As while a note of the kernel changes before the hub has looked again."""
    view = view_of(hub)
    for number in range(5):
        tell(hub, 1.0, jobs=[], noted=number)
        assert not await view.is_gone("alice", JOB.tag, 0)


async def test_looks_that_began_before_the_job_was_asked_for_do_not_prove_it_gone(
    hub: Application,
):
    """The one that the hub had, and one that was under way; a third shows it, or it is gone."""
    view = view_of(hub)
    for looked in (1.0, 2.0):
        tell(hub, looked, jobs=[])
        assert not await view.is_gone("alice", JOB.tag, 0)
    tell(hub, 3.0, jobs=[JOB.to_json()])
    assert await view.job("alice", JOB.tag, 0) == JOB
    for looked, gone in ((4.0, False), (5.0, False), (6.0, True)):
        tell(hub, looked, jobs=[])
        assert await view.is_gone("alice", JOB.tag, 0) == gone


async def test_a_job_that_the_hub_saw_end_is_gone_at_once(hub: Application):
    view = view_of(hub)
    tell(hub, 1.0, jobs=[replace(JOB, state=State.ENDED, cause="failed").to_json()])
    assert await view.is_gone("alice", JOB.tag, 0)


async def test_a_job_that_is_gone_is_known_to_be_though_nothing_else_changes(
    hub: Application, monkeypatch
):
    """The hub looks again, and answers that nothing changed."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    hub.settings["etag"] = '"the-same"'
    view = view_of(hub)
    gone = []
    for looked in (1.0, 2.0, 3.0):
        tell(hub, looked, jobs=[])
        gone += [await view.is_gone("alice", JOB.tag, 0) for _ in range(3)]
        now[0] += module.ALL_AGAIN
    assert gone == [False] * 6 + [True] * 3


async def test_a_hub_that_has_not_looked_yet_knows_nothing(hub: Application):
    """As when it has just been started again: it shows no job, and every one of them may live."""
    view = view_of(hub)
    assert await view.job("alice", JOB.tag, 0) == JOB
    for number in range(4):
        hub.settings["answer"] = {
            "jobs": [],
            "health": {"looked": None, "trouble": "", "since": None},
            "noted": number // 2,  # every second answer is a 304
        }
        with pytest.raises(Unreachable, match="has not looked"):
            await view.job("alice", JOB.tag, 0)
        assert "has not looked" in view.trouble
        assert not await view.is_gone("alice", JOB.tag, 0)
    assert view.last_known("alice", JOB.tag) == JOB
    tell(hub, 9.0, jobs=[JOB.to_json()])
    assert await view.job("alice", JOB.tag, 0) == JOB and view.trouble == ""


async def test_a_hub_that_does_not_look_for_long_changes_nothing_that_is_known(hub: Application):
    view = view_of(hub)
    await view.job("alice", JOB.tag, 0)
    known = view.health
    for number in range(4):
        tell(hub, noted=number // 2)
        assert not await view.is_gone("alice", JOB.tag, 0)
        assert await view.job("alice", JOB.tag, 0) == JOB
    assert view.health == known


async def test_trouble_is_over_when_the_hub_answers_again_though_it_has_not_looked_since(
    hub: Application,
):
    view = view_of(hub)
    await view.job("alice", JOB.tag, 0)
    known = view.health
    hub.settings["status"] = 503
    assert not await view.is_gone("alice", JOB.tag, 0)
    assert "the hub does not answer" in view.trouble and view.health.looked == known.looked
    since = view.health.since
    assert not await view.is_gone("alice", JOB.tag, 0)
    assert view.health.since == since
    hub.settings["status"] = 200
    assert await view.job("alice", JOB.tag, 0) == JOB
    assert view.health == known


async def test_what_only_a_later_hub_says_of_a_job_is_left_out(hub: Application):
    tell(hub, jobs=[{**JOB.to_json(), "later": 1}], later=1)
    assert await asking(hub).look() == [JOB]


async def test_an_answer_of_another_version_is_no_answer_however_often_it_is_given(
    hub: Application,
):
    jobs = asking(hub)
    tell(hub, jobs=[{"tag": JOB.tag}])
    for _ in range(2):
        with pytest.raises(Unreachable, match="another version"):
            await jobs.look()


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


async def test_a_scheduler_that_is_silent_while_the_hub_is_away_is_so_until_it_is_asked_again(
    hub: Application, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    jobs = asking(hub)
    hub.settings["status"] = 503
    jobs.scheduler.silent = True
    with pytest.raises(Unreachable, match="the hub does not answer"):
        await jobs.look()
    now[0] += module.HUB_MAY_BE_AWAY
    for _ in range(2):
        with pytest.raises(Unreachable, match="Slurm is silent"):
            await jobs.look()
    assert jobs.scheduler.looks == 1
    jobs.scheduler.silent = False
    now[0] += module.OWN_LOOKS
    assert await jobs.look() == []
    with pytest.raises(NothingNew):
        await jobs.look()


async def test_without_a_hub_the_scheduler_is_asked():
    jobs = HubJobs(Hub({}), CountingScheduler())
    assert await jobs.look() == []
    assert jobs.scheduler.looks == 1
