"""An end that an administrator moves reaches the countdown; what is no move, or another job's, does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.request import Request
from shopfloor_lab.hub import Hub
from shopfloor_lab.session.given import Given
from shopfloor_lab.session.moved_end import MovedEnd
from tornado.web import Application

TAG, OTHER = "shopfloor-server-0123456789abcdef", "shopfloor-server-fedcba9876543210"
ENDS, STOPS = 10_000.0, 9_940.0


class Case:
    """One who follows; ``moved`` are the ends that were passed on."""

    def __init__(self, hub: Application, directory: Path):
        self.hub, self.moved = hub, list[float]()
        environment = {
            "JUPYTERHUB_API_URL": hub.settings["url"],
            "JUPYTERHUB_API_TOKEN": "secret",
        }
        job = Given(directory, 0, TAG, Request(), ENDS, STOPS, Rule(), False)
        self.follower = MovedEnd(Hub(environment), job, self.moved.append)

    async def look(self, ends: float | None, tag: str = TAG, state: State = State.RUNNING) -> None:
        job = Seen("17", tag, "alice", state, ends=ends)
        health = {"looked": time.time(), "trouble": "", "since": None}
        self.hub.settings["answer"] = {"jobs": [job.to_json()], "health": health}
        await self.follower.look()


@pytest.fixture
def case(jobs_hub: Application, tmp_path: Path) -> Case:
    return Case(jobs_hub, tmp_path)


async def test_an_end_that_moves_is_passed_on_once_and_back_again(case: Case):
    await case.look(ENDS + 3600)
    await case.look(ENDS + 3600)
    assert case.moved == [STOPS + 3600]
    await case.look(ENDS)
    assert case.moved == [STOPS + 3600, STOPS]


async def test_what_nobody_moved_is_not(case: Case):
    await case.look(ENDS + 1)
    await case.look(None)
    await case.look(ENDS + 3600, tag=OTHER)
    await case.look(ENDS - 3600, state=State.ENDED)
    assert case.moved == []


async def test_a_hub_that_is_away_or_of_another_version_changes_nothing(case: Case):
    await case.look(ENDS + 3600)
    case.hub.settings["status"] = 503
    await case.look(ENDS)
    case.hub.settings["status"] = 200
    case.hub.settings["answer"] = {"jobs": [{"tag": TAG}]}
    await case.follower.look()
    assert case.moved == [STOPS + 3600]
