"""What the tests of Lab share: a person with clusters of their own, and a hub that has nothing but its list of jobs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from .cluster_parts import Person


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    """alice; whatever she started is ended."""
    someone = Person(tmp_path / "state")
    yield someone
    await someone.scheduler.stop_all()


class JobsHandler(RequestHandler):
    def get(self) -> None:
        assert self.request.headers["Authorization"] == "token secret"
        status = self.application.settings["status"]
        if status != 200:
            self.send_error(status)
            return
        self.finish(json.dumps(self.application.settings["answer"]))


@pytest.fixture
async def jobs_hub() -> AsyncIterator[Application]:
    """``settings`` has its ``answer`` and ``status``, which a test may change, and its ``url``."""
    health = {"looked": 1.0, "trouble": "", "since": None}
    application = Application(
        [("/hub/api/shopfloor/jobs", JobsHandler)],
        status=200,
        answer={"jobs": [], "health": health},
    )
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
    server.add_sockets(sockets)
    application.settings["url"] = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/hub/api"
    yield application
    server.stop()
    await server.close_all_connections()
