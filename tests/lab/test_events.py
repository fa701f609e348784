"""The stream of a person's clusters over HTTP: of a real Jupyter server, and towards readers that read slowly or go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.auth.identity import PasswordIdentityProvider
from shopfloor_lab.clusters import events_handler
from shopfloor_lab.clusters.connection import Ended, Plan
from shopfloor_lab.clusters.events_handler import EventsHandler
from shopfloor_lab.clusters.news import News
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from tests.cases import Case
from tests.jobs.waiting import async_wait_until, wait_until

from .lab_server import LabServer

SOON = 10.0  # seconds
CLUSTER = "shopfloor-cluster-0123456789abcdef"


def put_ended_cluster(home: Path, ident: str = CLUSTER, name: str = "flights") -> Path:
    path = home / ".local/share/shopfloor/jobs" / ident
    path.mkdir(parents=True)
    Plan(name, 2, {"cpus": 1}, {"type": "local"}, "", time.time()).write(path)
    Ended("You stopped it.", time.time()).write(path)
    return path


class Stream:
    """The events of a Lab server, as somebody with its token reads them."""

    def __init__(self, lab: LabServer):
        self.answer = requests.get(
            f"{lab.url}clusters/events",
            headers={"Authorization": f"token {lab.token}"},
            stream=True,
            timeout=SOON,
        )
        self._lines = self.answer.iter_lines(chunk_size=1)

    def next(self) -> dict[str, Any]:
        for line in self._lines:
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
        raise EOFError

    def until_over(self) -> None:
        # A server that stops closes what is open without a last chunk.
        with contextlib.suppress(requests.exceptions.ChunkedEncodingError):
            for _ in self._lines:
                pass


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabServer]:
    (tmp_path / "files").mkdir()
    put_ended_cluster(tmp_path)
    server = LabServer(tmp_path, tmp_path / "files", JUPYTERHUB_API_URL="")
    yield server
    if server.process.poll() is None:
        server.stop()


def test_a_panel_hears_all_then_what_changes_and_the_end_of_the_server(lab: LabServer) -> None:
    stream = Stream(lab)
    assert stream.answer.status_code == 200
    headers = stream.answer.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert "no-transform" in headers["Cache-Control"] and headers["X-Accel-Buffering"] == "no"
    told = stream.next()
    assert told["kind"] == "all" and abs(told["server_time"] - time.time()) < 60
    assert told["clusters"] == lab.ask("GET", "clusters").json()["clusters"]

    assert lab.ask("DELETE", f"clusters/{CLUSTER}").status_code == 204
    changed = stream.next()
    assert (changed["kind"], changed["clusters"], changed["ids"]) == ("changed", [], [])

    ending = time.monotonic()
    lab.stop()
    stream.until_over()
    assert time.monotonic() - ending < SOON
    log = lab.log.read_text()
    assert "Traceback" not in log and "was destroyed" not in log


def test_a_page_elsewhere_cannot_read_it_with_the_persons_cookie(lab: LabServer) -> None:
    browser = requests.Session()
    base = lab.url.removesuffix("shopfloor/api/")
    assert browser.get(f"{base}api/status", params={"token": lab.token}, timeout=SOON).ok
    elsewhere = {"Origin": "https://elsewhere.example", "Referer": "https://elsewhere.example/"}
    answer = browser.get(
        f"{lab.url}clusters/events", headers=elsewhere, timeout=SOON, allow_redirects=False
    )
    assert answer.status_code in (403, 404) and "flights" not in answer.text
    with browser.get(f"{lab.url}clusters/events", stream=True, timeout=SOON) as own:
        assert own.status_code == 200


def test_panels_that_go_leave_nothing_behind(lab: LabServer) -> None:
    streams = [Stream(lab) for _ in range(5)]
    assert {stream.next()["kind"] for stream in streams} == {"all"}
    for stream in streams:
        stream.answer.close()
    wait_until(lambda: connections(lab) == 0, SOON, "the server has closed them too")
    assert "Traceback" not in lab.log.read_text()


def connections(lab: LabServer) -> int:
    """How many connections the server has on its port."""
    import psutil

    port = int(lab.url.split(":")[2].split("/")[0])
    return sum(
        one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
        for one in psutil.Process(lab.process.pid).net_connections("tcp")
    )


class Served:
    """The handler in a server of this process, before clusters that are as large as the test says."""

    def __init__(self) -> None:
        self.clusters: list[dict[str, Any]] = []
        self.news = News(self.look, Path("/home/alice"), pause=0.02)
        application = Application(
            [
                (
                    "/events",
                    EventsHandler,
                    {"offers": None, "clusters": SimpleNamespace(news=self.news)},
                )
            ],
            identity_provider=PasswordIdentityProvider(token="", hashed_password=""),
            authorizer=AllowAllAuthorizer(),
            base_url="/",
            cookie_secret="secret",
            disable_check_xsrf=True,
        )
        (listening,) = bind_sockets(0, "127.0.0.1")
        self.port = listening.getsockname()[1]
        self.server = HTTPServer(application)
        self.server.add_sockets([listening])

    async def look(self) -> list[dict[str, Any]]:
        return self.clusters

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that takes little before it is read from."""
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
        writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200" in await asyncio.wait_for(reader.readline(), SOON)
        return reader, writer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    yield made
    made.server.stop()
    await made.server.close_all_connections()


async def test_a_panel_that_does_not_read_is_left_and_the_others_read_on(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events_handler, "PATIENCE", 0.2)
    monkeypatch.setattr(events_handler, "HEARTBEAT", 0.1)
    served.clusters = [{"id": "c1", "log": "x" * 20_000_000}]
    reader, writer = await served.connect()
    await async_wait_until(lambda: served.news._readers, SOON, "somebody reads")
    await async_wait_until(lambda: not served.news._readers, SOON, "who does not read is left")
    served.clusters = [{"id": "c1", "log": ""}]
    other, others = await served.connect()
    while b'"all"' not in await asyncio.wait_for(other.readline(), SOON):
        continue
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(20_000_000), SOON)
    for one in (writer, others):
        one.close()
    await async_wait_until(lambda: not served.news._readers, SOON, "who went is noticed")
    assert not [one for one in caplog.records if one.exc_info]


async def test_while_there_is_no_news_a_sign_of_life_comes_but_not_when_looks_hang(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_handler, "HEARTBEAT", 0.05)
    reader, writer = await served.connect()
    while await asyncio.wait_for(reader.readline(), SOON) != b":\n":
        continue
    served.news.pause = 3600  # no look from now on
    monkeypatch.setattr("shopfloor_lab.clusters.news.OVERDUE", -3601)
    await asyncio.wait_for(reader.readline(), SOON)  # that sign's second line
    with pytest.raises(asyncio.TimeoutError):
        while await asyncio.wait_for(reader.readline(), 0.5):
            continue
    writer.close()


async def test_a_stream_ends_in_order_so_that_its_reader_must_be_allowed_anew(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_handler, "LONGEST", 0.2)
    monkeypatch.setattr(events_handler, "HEARTBEAT", 0.05)
    reader, writer = await served.connect()
    rest = await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), SOON)
    assert b'"kind":"all"' in rest
    writer.close()


def test_it_comes_through_the_hubs_proxy_as_it_is_told(local_hub: Case) -> None:
    hub = local_hub.hub
    token = hub.add_user("alice")
    hub.start_server("alice")
    hub.wait_server("alice")
    base, headers = f"{hub.url}/user/alice/shopfloor/api/", {"Authorization": f"token {token}"}
    with requests.get(
        f"{base}clusters/events", headers=headers, stream=True, timeout=SOON
    ) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        lines = answer.iter_lines(chunk_size=1)
        assert json.loads(next(lines).removeprefix(b"data: "))["clusters"] == []
        started = requests.post(
            f"{base}clusters", headers=headers, json={"workers": 0}, timeout=30
        ).json()
        told = next(line for line in lines if line.startswith(b"data: "))
        assert json.loads(told.removeprefix(b"data: "))["ids"] == [started["id"]]
    other = hub.add_user("bob")
    refused = requests.get(
        f"{base}clusters/events", headers={"Authorization": f"token {other}"}, timeout=SOON
    )
    assert refused.status_code == 403 and started["id"] not in refused.text
    hub.stop_server("alice")
