"""What the tests of Lab share: a person with clusters of their own, and a hub with jobs and offer alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from shopfloor_lab.kernels.order import Arrival
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from .cluster_parts import Person
from .job_kernels import IPYTHON, NAME, R, kernelspec, leave_offer


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    """alice; whatever she started is ended."""
    someone = Person(tmp_path / "state")
    yield someone
    await someone.scheduler.stop_all()


class JobsHandler(RequestHandler):
    async def get(self) -> None:
        assert self.request.headers["Authorization"] == "token secret"
        self.application.settings["asked"].set()
        await self.application.settings["answers"].wait()
        status = self.application.settings["status"]
        if status != 200:
            self.send_error(status)
            return
        self.finish(json.dumps(self.application.settings["answer"]))

    def compute_etag(self) -> str | None:
        return self.application.settings["etag"] or super().compute_etag()


class OfferHandler(RequestHandler):
    def get(self) -> None:
        self.application.settings["offers"] += 1
        self.finish(json.dumps(self.application.settings["offer"]))


@pytest.fixture
async def jobs_hub() -> AsyncIterator[Application]:
    """``settings`` has its ``answer`` and ``status``, which a test may change, and its ``url``.

    The answer's ETag is made from all of it, unless there is an ``etag``. ``offer`` is what may be asked for, and was
    ``offers`` times. While the event ``answers`` is not set, it is silent about jobs; ``asked`` is set when it is asked
    for them.
    """
    health = {"looked": 1.0, "trouble": "", "since": None}
    application = Application(
        [("/hub/api/shopfloor/jobs", JobsHandler), ("/hub/api/shopfloor/offer", OfferHandler)],
        status=200,
        etag="",
        offer={},
        offers=0,
        answer={"jobs": [], "health": health},
        answers=asyncio.Event(),
        asked=asyncio.Event(),
    )
    application.settings["answers"].set()
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
    server.add_sockets(sockets)
    application.settings["url"] = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/hub/api"
    yield application
    application.settings["answers"].set()
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def kernel_home(person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """alice's, with kernelspecs and an offer in it; this process runs in her name."""
    for name, value in (
        ("HOME", person.home),
        ("JUPYTER_PATH", tmp_path / "share"),
        ("JUPYTER_RUNTIME_DIR", tmp_path / "runtime"),
        ("JUPYTERHUB_API_TOKEN", "a-secret"),
    ):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("JUPYTERHUB_API_URL", raising=False)
    leave_offer(person.home, person.offer)
    kernelspec(tmp_path / "share", NAME, IPYTHON, "python", {"time": "1h"})
    kernelspec(tmp_path / "share", "r-job", R, "R", {})
    return person.home


@pytest.fixture
def nobody_arrives(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """As while a job waits in the queue; the event is set when somebody waits for it."""
    asked = asyncio.Event()

    def look(path: Path) -> Arrival | None:
        asked.set()
        return None

    with monkeypatch.context() as patched:
        patched.setattr(Arrival, "read", look)
        yield asked
