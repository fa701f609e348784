"""Dask's plots through the Lab server: who is let in, what passes each way, and what is said when a cluster is over."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket as socketlib
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
import websocket
from distributed.core import Server
from shopfloor_jobs.directory import directory_of
from shopfloor_jobs.tls import server_context
from shopfloor_lab.clusters.connection import Connection, Plan
from shopfloor_lab.clusters.plots import BY_NAME, PLOTS, offered
from shopfloor_lab.clusters.security import make_certificates, own_security
from shopfloor_lab.clusters.tickets import TICKET_LIFE, Tickets
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from tests.jobs.waiting import wait_until

from .cluster_parts import START, Person
from .lab_server import HUB_TOKEN, LabServer, OfferingHub
from .test_clusters_doors import shake_hands
from .test_handlers import listed, said

UNKNOWN = "shopfloor-cluster-0123456789abcdef"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    someone = Person(tmp_path_factory.mktemp("plots") / "state")
    yield someone
    asyncio.run(someone.scheduler.stop_all())


@pytest.fixture(scope="module")
def lab(person: Person) -> Iterator[LabServer]:
    files = person.home / "files"
    files.mkdir()
    hub = OfferingHub(person.offer.to_json())
    server = LabServer(
        person.home, files, JUPYTERHUB_API_URL=hub.url, JUPYTERHUB_API_TOKEN=HUB_TOKEN
    )
    yield server
    server.stop()
    hub.close()


@pytest.fixture(scope="module")
def cluster(lab: LabServer) -> str:
    return started(lab, "drawn")


def started(lab: LabServer, name: str) -> str:
    """A cluster with one worker."""
    made = lab.ask("POST", "clusters", {"workers": 1, "name": name}).json()["id"]
    wait_until(lambda: listed(lab, made)["workers"]["connected"], START, "its worker is connected")
    return made


def opened(lab: LabServer, cluster: str, plot: str = "task-stream", **body: str) -> str:
    """Where a plot can be seen now."""
    answer = lab.ask("POST", f"clusters/{cluster}/plots", {"plot": plot, **body})
    assert answer.status_code == 201, answer.text
    assert answer.json()["title"] == BY_NAME[plot].title
    return urljoin(lab.url, f"/user/alice/{answer.json()['path']}")


def socket(url: str, **options: Any) -> websocket.WebSocket:
    """As a page opens it; bokeh's session is named in the page."""
    token = re.search(r'"token":"([^"]+)"', requests.get(url, timeout=30).text)[1]
    address = url.replace("http://", "ws://", 1).partition("?")[0] + "/ws"
    return websocket.create_connection(
        address, subprotocols=["bokeh", token], **{"origin": "null", "timeout": 20, **options}
    )


def on_scheduler(person: Person, name: str, source: str) -> Any:
    """The value of an expression in the cluster's scheduler; work of two tasks was done before."""
    script = (
        "import sys\nfrom shopfloor_lab.clusters import connect\n"
        f"with connect({name!r}) as client:\n"
        "    client.gather(client.map(str, range(2)))\n"
        f"    print(client.run_on_scheduler(lambda: {source}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={"HOME": str(person.home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_nothing_of_the_plots_is_loaded_or_served_before_somebody_looks(
    lab: LabServer, person: Person
) -> None:
    cluster = started(lab, "unseen")
    loaded = "'bokeh' in __import__('sys').modules"
    lab.ask("GET", f"clusters/{cluster}/plots")
    assert on_scheduler(person, "unseen", loaded) == "False"
    opened(lab, cluster)
    assert on_scheduler(person, "unseen", loaded) == "True"
    lab.ask("DELETE", f"clusters/{cluster}")


def test_plots_have_titles_and_those_of_gpus_are_for_who_has_some(
    lab: LabServer, cluster: str
) -> None:
    shown = lab.ask("GET", f"clusters/{cluster}/plots").json()["plots"]
    assert shown == offered(gpus=False)
    assert shown[0] == {"name": "task-stream", "title": "Task stream"}
    more = [one["name"] for one in offered(gpus=True) if one not in shown]
    assert more == [one.name for one in PLOTS if one.gpus] and more


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "plot"),
        ({"plot": "sitemap.json"}, "plot"),
        ({"plot": ["task-stream"]}, "plot"),
        ({"plot": "task-stream", "theme": "../x"}, "theme"),
        ({"plot": "task-stream", "theme": ["dark"]}, "theme"),
        ({"plot": "task-stream", "host": "10.0.0.1"}, "host"),
        ([], "body"),
    ],
)
def test_what_is_no_plot_is_refused_naming_the_field(
    lab: LabServer, cluster: str, body: Any, field: str
) -> None:
    assert said(lab.ask("POST", f"clusters/{cluster}/plots", body), 400)[0] == field


def test_who_has_no_token_gets_no_list_and_no_ticket(lab: LabServer, cluster: str) -> None:
    for method in ("GET", "POST"):
        for headers in ({}, {"Authorization": "token wrong"}):
            answer = requests.request(
                method,
                f"{lab.url}clusters/{cluster}/plots",
                headers=headers,
                json={"plot": "task-stream"},
                timeout=10,
            )
            assert answer.status_code == 403 and "plots/" not in answer.text


def test_a_page_needs_its_ticket_and_no_cookie_and_is_kept_in_a_sandbox(
    lab: LabServer, cluster: str
) -> None:
    url = opened(lab, cluster)
    page = requests.get(url, timeout=30)
    assert page.status_code == 200 and "Bokeh" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy and "allow-same-origin" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in page.headers and "Access-Control-Allow-Origin" not in page.headers
    ticket = re.search("[0-9a-f]{32}", url)[0]
    for other in (url.replace(ticket, "0" * 32), url.replace(cluster, UNKNOWN)):
        answer = requests.get(other, headers={"Authorization": f"token {lab.token}"}, timeout=10)
        assert answer.status_code == 403 and "no longer valid" in answer.text
    assert ticket not in lab.log.read_text()


@pytest.mark.parametrize("plot", [one.name for one in PLOTS])
def test_every_plot_is_drawn_in_light_and_dark(lab: LabServer, cluster: str, plot: str) -> None:
    dark = "#fff" if plot == "workers" else "#111"  # tables are black
    for theme, background in (("light", "#fff"), ("dark", dark)):
        url = opened(lab, cluster, plot, theme=theme)
        page = requests.get(url, timeout=30)
        assert page.status_code == 200 and f"background: {background} " in page.text
        assert f"<title>{BY_NAME[plot].title}</title>" in page.text


def test_what_a_page_loads_lies_beside_it_and_nothing_else_does(
    lab: LabServer, cluster: str
) -> None:
    url = opened(lab, cluster)
    scripts = re.findall(r'src="([^"]+)"', requests.get(url, timeout=30).text)
    assert len(scripts) == 4
    for script in scripts:
        assert script.startswith("static/js/bokeh")
        first = requests.get(urljoin(url, script), timeout=30)
        assert first.status_code == 200 and first.headers["Content-Type"].startswith("text/java")
        again = {"If-None-Match": first.headers["Etag"]}
        assert requests.get(urljoin(url, script), headers=again, timeout=30).status_code == 304
    own = urljoin(lab.url, urljoin(url, "."))
    for other in (
        "sitemap.json",
        "metrics",
        "info/main/workers.html",
        "status",
        "static/js/../x.js",
        "json",
    ):
        session = requests.Session()
        request = requests.Request("GET", own).prepare()
        request.url = own + other  # requests would tidy it up
        assert session.send(request, timeout=10, allow_redirects=False).status_code in (404, 403)
    assert requests.get(urljoin(url, "static/js/none.js"), timeout=10).status_code == 404


def test_wrong_hosts_and_other_origins_are_refused(lab: LabServer, cluster: str) -> None:
    url = opened(lab, cluster)
    evil = {"Host": "evil.example"}
    assert requests.get(url, headers=evil, timeout=10).status_code == 403
    token = {"Authorization": f"token {lab.token}", **evil}
    path = f"{lab.url}clusters/{cluster}/plots"
    assert requests.get(path, headers=token, timeout=10).status_code == 403
    for options in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            socket(url, **options)
        assert refused.value.status_code == 403
    ticket = re.search("[0-9a-f]{32}", url)[0]
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        address = url.replace(ticket, "0" * 32).replace("http://", "ws://", 1)
        websocket.create_connection(address.partition("?")[0] + "/ws", timeout=10)
    assert refused.value.status_code == 403


def test_a_page_hears_of_what_the_workers_do_while_it_is_open(
    lab: LabServer, person: Person, cluster: str
) -> None:
    page = socket(opened(lab, cluster))
    on_scheduler(person, "drawn", "None")
    while '"ColumnsStreamed"' not in (heard := str(page.recv())):
        pass  # fails after 20 s of silence
    page.close()
    assert '"str-' in heard, "the names of the tasks"


def test_when_the_cluster_ends_its_pages_close_and_say_so(lab: LabServer) -> None:
    cluster = started(lab, "short")
    url = opened(lab, cluster)
    page = socket(url)
    assert page.recv()  # bokeh greets
    assert lab.ask("DELETE", f"clusters/{cluster}").status_code == 204
    while page.recv():
        pass  # fails after 20 s of silence
    answer = requests.get(url, timeout=20)
    assert answer.status_code == 503 and "does not show" in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    _, message = said(lab.ask("POST", f"clusters/{cluster}/plots", {"plot": "cpu"}), 409)
    assert message == "Cluster 'short' has ended: You stopped it."
    log = (next(person_jobs(lab, cluster).glob("output-*.log"))).read_text()
    assert "Traceback" not in log, log


def person_jobs(lab: LabServer, cluster: str) -> Path:
    return lab.log.parent / ".local" / "share" / "shopfloor" / "jobs" / cluster


def test_a_cluster_that_is_not_there_or_not_yet_has_no_plots(
    lab: LabServer, person: Person
) -> None:
    for method in ("GET", "POST"):
        assert said(lab.ask(method, f"clusters/{UNKNOWN}/plots", {"plot": "cpu"}), 404)


def test_an_environment_without_bokeh_says_what_is_missing() -> None:
    script = (
        "import sys, asyncio\nsys.modules['bokeh'] = None\n"
        "from shopfloor_lab.clusters.pages import Pages\n"
        "print(asyncio.run(Pages(None, None).open()))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "problem" in ran.stdout and "Install bokeh" in ran.stdout, ran.stderr


class Echo(web.RequestHandler):
    """A cluster's server of pages that tells what it was asked, and answers as no cluster does."""

    async def get(self, plot: str) -> None:
        self.application.settings["asked"].append((self.request.uri, dict(self.request.headers)))
        if plot == "graph":
            self.redirect(self.application.settings["elsewhere"])
            return
        if plot == "cpu":
            self.write("half of it")
            await self.flush()
            await self.application.settings["seen"].wait()
            self.detach().close()
            return
        self.set_cookie("theirs", "1")
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Content-Security-Policy", "default-src *")
        self.finish("drawn")


async def test_nothing_of_the_person_goes_to_a_cluster_and_nothing_but_its_page_comes_back(
    lab: LabServer, person: Person
) -> None:
    path = directory_of(person.home, "shopfloor-cluster-00000000000000ec")
    path.mkdir(mode=0o700, parents=True)
    request = person.offer.presets[0].request
    Plan("echo", 1, request, person.offer.scheduler, "", time.time()).write(path)
    make_certificates(path / "tls", None)
    asked: list[tuple[str, dict[str, str]]] = []
    [elsewhere, here] = [bind_sockets(0, "127.0.0.1") for _ in range(2)]
    pages = web.Application(
        [("/(.*)", Echo)],
        asked=asked,
        seen=asyncio.Event(),
        elsewhere=f"http://127.0.0.1:{elsewhere[0].getsockname()[1]}/canary",
    )
    canary = HTTPServer(pages)
    canary.add_sockets(elsewhere)
    own = [str(path / "tls" / f"scheduler.{part}") for part in ("key", "pem")]
    server = HTTPServer(pages, ssl_options=server_context(*own, str(path / "tls" / "ca.pem")))
    server.add_sockets(here)
    where = {"host": "127.0.0.1", "port": here[0].getsockname()[1]}
    comm = Server({"shopfloor_plots": lambda: where})
    await comm.listen(
        "tls://127.0.0.1:0", **own_security(path / "tls").get_listen_args("scheduler")
    )
    replace(connection(path.name, path / "tls"), address=comm.address).write(path)
    try:
        url = await asyncio.to_thread(opened, lab, path.name, "progress")
        secret = {
            "Cookie": "jupyterhub-session-id=secret; _xsrf=secret",
            "Authorization": f"token {lab.token}",
            "X-XSRFToken": "secret",
            "Referer": f"{lab.url}?token=secret",
            "X-Forwarded-For": "10.1.2.3",
        }
        page = await asyncio.to_thread(requests.get, f"{url}&token=secret", headers=secret)
        assert (page.status_code, page.text) == (200, "drawn")
        assert not page.cookies and "Access-Control-Allow-Origin" not in page.headers
        assert "sandbox" in page.headers["Content-Security-Policy"]
        [(uri, headers)] = asked
        assert uri == "/progress?theme=light"
        assert set(headers) <= {"Host", "Connection", "User-Agent", "Accept-Encoding"}
        moved = await asyncio.to_thread(
            requests.get, url.replace("progress", "graph"), allow_redirects=False
        )
        assert moved.status_code == 502 and "Location" not in moved.headers
        assert [uri for uri, _ in asked] == [uri, "/graph?theme=light"], "it went elsewhere"
        for other in ("metrics", "sitemap.json", "static/js/bokeh.css", "progress/autoload.js"):
            answer = await asyncio.to_thread(requests.get, url.replace("progress", other, 1))
            assert answer.status_code == 404 and len(asked) == 2, "it got to the cluster"
        half = await asyncio.to_thread(
            requests.get, url.replace("progress", "cpu"), stream=True, timeout=10
        )
        rest = half.iter_content(4)
        assert await asyncio.to_thread(next, rest) == b"half", "it comes before there is more"
        pages.settings["seen"].set()
        with pytest.raises(requests.RequestException):  # half a page is not taken for one
            await asyncio.to_thread(b"".join, rest)
    finally:
        await comm.close()
        for one in (canary, server):
            one.stop()
            await one.close_all_connections()
        shutil.rmtree(path)


@pytest.mark.parametrize("role", ["worker", "client"])
def test_who_is_not_the_scheduler_cannot_pose_as_its_plots(tmp_path: Path, role: str) -> None:
    make_certificates(tmp_path / "tls", None)
    ticket = Tickets().give(connection("one", tmp_path / "tls"), "127.0.0.1", 1)
    there, here = socketlib.socketpair()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(tmp_path / "tls" / f"{role}.pem", tmp_path / "tls" / f"{role}.key")
    with there, here:
        listening = theirs.wrap_socket(there, server_side=True, do_handshake_on_connect=False)
        calling = ticket.context.wrap_socket(here, do_handshake_on_connect=False)
        listening.setblocking(False)
        calling.setblocking(False)
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(calling, listening)


def test_a_ticket_is_good_for_one_cluster_and_some_minutes(tmp_path: Path) -> None:
    make_certificates(tmp_path / "tls", None)
    clock = [100.0]
    tickets = Tickets(lambda: clock[0])
    first = tickets.give(connection("one", tmp_path / "tls"), "127.0.0.1", 1)
    clock[0] += 10
    assert tickets.give(connection("one", tmp_path / "tls"), "127.0.0.1", 1) is first
    assert tickets.give(connection("one", tmp_path / "tls"), "127.0.0.1", 2) is not first
    assert tickets.give(connection("two", tmp_path / "tls"), "127.0.0.1", 1) is not first
    assert tickets.find(first.text, "one") is first
    assert tickets.find(first.text, "two") is None
    clock[0] += TICKET_LIFE / 2
    assert tickets.find(first.text, "one") is first
    assert tickets.give(connection("one", tmp_path / "tls"), "127.0.0.1", 1) is not first
    clock[0] += TICKET_LIFE / 2
    assert tickets.find(first.text, "one") is None


def connection(cluster: str, tls: Path) -> Connection:
    files = (str(tls / name) for name in ("ca.pem", "client.pem", "client.key"))
    return Connection(cluster, cluster, "tls://127.0.0.1:1", *files, "1", "here", 0.0, None)
