"""What a cluster asks the hub with ends with it, also where it can no longer give that back itself."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from shopfloor_jobs.directory import PRIVATE, SECRETS, write_json
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import SubmitRefused
from shopfloor_lab.clusters.listing import Clusters
from shopfloor_lab.hub import Hub, NoHub

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person

TAG = "shopfloor-cluster-0123456789abcdef"


class AccessHub(Hub):
    """Knows the scheduler's jobs, gives every cluster its token, and notes whose was taken back."""

    def __init__(self, person: Person):
        # What a cluster itself asks finds nobody there.
        super().__init__({"JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api"})
        self.scheduler, self.given = person.scheduler, []
        self.taken_back: list[str] = []

    async def get(self, path: str, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        jobs = [one.to_json() for one in await self.scheduler.look()]
        return {"health": {"looked": time.time(), "trouble": ""}, "jobs": jobs}, ""

    async def post(self, path: str, body: Mapping[str, Any], within: float) -> dict[str, Any]:
        if path != "access":
            raise NoHub("it is not asked for that here")
        self.given.append(body["tag"])
        return {"token": "of-the-cluster", "files": {}}

    async def delete(self, path: str, within: float) -> None:
        self.taken_back.append(path)


@pytest.fixture
def hub(person: Person) -> AccessHub:
    return AccessHub(person)


@pytest.fixture
def lab(person: Person, hub: AccessHub) -> Clusters:
    async def get() -> Offer:
        return person.offer

    return Clusters(person.home, get, dict(os.environ), hub)


async def test_lab_takes_back_what_a_killed_cluster_could_not(
    person: Person, hub: AccessHub, lab: Clusters
) -> None:
    cluster = await person.start(lab, 0)
    assert (hub.given, hub.taken_back) == ([cluster["id"]], [])
    (controller,) = person.commands("clusters.controller")
    controller.kill()

    async def ended() -> bool:
        return (await lab.one(cluster["id"]))["state"] == "ended"

    await async_wait_until(ended, 20, "Lab sees that it ended")
    assert hub.taken_back == [f"access/{cluster['id']}"]
    await lab.list()
    assert len(hub.taken_back) == 1, "once"


async def test_one_that_the_scheduler_refuses_keeps_no_access(
    person: Person, hub: AccessHub, lab: Clusters
) -> None:
    choices = {"account": [{"value": "physics", "label": "physics"}]}
    person.offer = person.offer.from_json({**person.offer.to_json(), "choices": choices})
    with pytest.raises(SubmitRefused, match="account"):
        await lab.start({"workers": 1})
    assert hub.taken_back == [f"access/{one}" for one in hub.given] != []


async def test_of_one_that_ended_before_it_began_no_secret_stays(
    person: Person, hub: AccessHub, lab: Clusters
) -> None:
    """Cancelled in the queue: no runner of its job was ever there to clear up."""
    path = person.directory(TAG)
    (path / PRIVATE).mkdir(parents=True, mode=0o700)
    write_json(path / PRIVATE / SECRETS, {"JUPYTERHUB_API_TOKEN": "of-the-cluster"})
    made = await lab.planner.plan({"workers": 0})
    replace(made.plan, created=time.time() - 3600).write(path)

    async def ended() -> bool:
        return (await lab.one(TAG, max_age=0))["state"] == "ended"

    await async_wait_until(ended, 20, "Lab sees that it ended")
    assert hub.taken_back == [f"access/{TAG}"]
    assert not (path / PRIVATE).exists()
