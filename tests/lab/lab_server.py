"""A real Jupyter server with our extension, and a small hub that makes offers, for the tests of the routes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.jobs.waiting import wait_until

HUB_TOKEN = "the-servers-own-token"


class OfferingHub:
    """A hub that answers to whoever has the right token: ``GET /hub/api/shopfloor/offer``, and ``POST …/outlook``
    with ``outlook``, a status and an object; the ``questions`` are kept. It is silent while ``answers`` is not set.
    """

    def __init__(self, offer: dict[str, Any]):
        self.asked = 0
        self.outlook: tuple[int, dict[str, Any]] = (200, {})
        self.questions: list[dict[str, Any]] = []
        self.answers = threading.Event()
        self.answers.set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = self.headers["Authorization"] == f"token {HUB_TOKEN}"
                if self.path != "/hub/api/shopfloor/offer" or not allowed:
                    self.send_error(403)
                    return
                hub.asked += 1
                self._answer(200, offer)

            def do_POST(self) -> None:
                allowed = self.headers["Authorization"] == f"token {HUB_TOKEN}"
                if self.path != "/hub/api/shopfloor/outlook" or not allowed:
                    self.send_error(403)
                    return
                size = int(self.headers["Content-Length"])
                hub.questions.append(json.loads(self.rfile.read(size)))
                hub.answers.wait(60)
                self._answer(*hub.outlook)

            def _answer(self, status: int, data: dict[str, Any]) -> None:
                body = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # whoever asked waits no more
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hub/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class LabServer:
    """``jupyter server`` in a process of its own, under ``home``; ``root`` is what its file browser shows."""

    def __init__(self, home: Path, root: Path, **environment: str):
        self.token = secrets.token_hex(16)
        self.log = home / "server.log"
        # Of its own: one that was killed leaves there where it listened.
        self._runtime = Path(tempfile.mkdtemp(dir=home, prefix="runtime-"))
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyter_server",
                "--port=0",
                "--ServerApp.ip=127.0.0.1",
                "--ServerApp.open_browser=False",
                "--ServerApp.allow_root=True",
                "--ServerApp.base_url=/user/alice/",
                f"--ServerApp.root_dir={root}",
                "--ServerApp.jpserver_extensions=shopfloor_lab=True",
            ],
            env={
                **os.environ,
                "HOME": str(home),
                "JUPYTER_RUNTIME_DIR": str(self._runtime),
                "JUPYTER_CONFIG_DIR": str(home / "config"),
                "JUPYTER_DATA_DIR": str(home / "data"),
                "JUPYTER_TOKEN": self.token,
                **environment,
            },
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        record = wait_until(self._record, 40, "the server writes where it listens")
        self.url = record["url"] + "shopfloor/api/"
        wait_until(lambda: self._listens(record["port"]), 10, "the server listens")

    def _record(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.log.read_text()
        for path in self._runtime.glob("jpserver-*.json"):
            try:
                return json.loads(path.read_text())
            except ValueError:  # half-written
                return None
        return None

    def _listens(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"token {self.token}", **options.pop("headers", {})}
        if body is not None:
            options["data"] = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return requests.request(
            method, self.url + path, headers=headers, timeout=30, allow_redirects=False, **options
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
