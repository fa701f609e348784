"""What a Lab server tells the hub of its kernels: at once when it changes, and nothing where there is no hub."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from shopfloor_lab.hub import Hub
from shopfloor_lab.kernels.noting import LONGEST, Noting, notes_of
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tests.jobs.waiting import async_wait_until

TAG = "shopfloor-kernel-0123456789abcdef"


def row(**changes: Any) -> dict[str, Any]:
    return {"tag": TAG, "path": "work/train.ipynb", "state": "running", "idle": None, **changes}


class NotesHandler(RequestHandler):
    def put(self) -> None:
        self.application.settings["told"].append(json.loads(self.request.body)["notes"])
        self.set_status(self.application.settings["status"])


@pytest.fixture
async def hub() -> AsyncIterator[Application]:
    application = Application(
        [("/hub/api/shopfloor/notes", NotesHandler)], told=[], status=204, url=""
    )
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
    server.add_sockets(sockets)
    application.settings["url"] = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/hub/api"
    yield application
    server.stop()
    await server.close_all_connections()


async def test_it_is_told_when_it_changes_and_goes_on_when_the_hub_did_not_take_it(
    hub: Application,
):
    told = hub.settings["told"]
    noting = Noting(Hub({"JUPYTERHUB_API_URL": hub.settings["url"]}))
    hub.settings["status"] = 503
    noting.take([row()])
    await async_wait_until(lambda: len(told) == 1, 10, "it is told")
    hub.settings["status"] = 204
    noting.take([row()])  # nothing new
    noting.take([row(idle={"after": 60, "ends": 5000})])
    await async_wait_until(lambda: len(told) == 2, 10, "the change is told")
    assert told == [
        {TAG: {"title": "train.ipynb", "idle_ends": None}},
        {TAG: {"title": "train.ipynb", "idle_ends": 5000}},
    ]
    noting.take([row(state="ended")])
    await async_wait_until(lambda: noting._telling.done(), 10, "there is nobody to tell of")
    assert len(told) == 2


async def test_without_a_hub_nothing_is_told():
    noting = Noting(Hub({}))
    noting.take([row()])
    assert noting._telling is None


def test_what_is_told_is_of_living_jobs_and_has_the_notebooks_name_only():
    rows = [
        row(),
        row(tag=None),
        row(tag="ended", state="ended"),
        row(tag="waits", path=None, state="pending"),
        row(tag="long", path="x" * 300),
        row(tag="odd", path="work/caf\udce9.ipynb"),
    ]
    found = notes_of(rows)
    assert list(found) == [TAG, "waits", "long", "odd"]
    assert found["odd"]["title"] == "caf?.ipynb", (
        "the hub takes no halves of letters, nor the rest then"
    )
    assert found["waits"]["title"] == "" and len(found["long"]["title"]) == LONGEST
