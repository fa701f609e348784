"""A real Jupyter server with our extension, as a person on the login machine, that can be killed; for rows 27 to 32."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import websocket

from tests.cluster.cluster import Cluster
from tests.harness import wait_until
from tests.lab.pages import execute, opened

PERSON = os.environ.get("SHOPFLOOR_TEST_PERSON", "grace")
NOTEBOOK = "flights.ipynb"
MB = 1024**2
CPU = {"partition": "cpu", "cpus": 1, "memory": 512 * MB, "time": "1h"}
GPU = {"partition": "gpu", "gpus": 1, "cpus": 1, "memory": 512 * MB, "time": "1h"}
START = 60  # seconds for a kernel's start on a busy machine
TRUE_WITHIN = 30  # seconds after which a person reads what is true

Row = dict[str, Any]


class KernelLab:
    """``environment`` is :func:`tests.lab.job_kernels.at_home`'s."""

    def __init__(self, cluster: Cluster, software: Path, environment: dict[str, str]):
        self.cluster, self.software, self.environment = cluster, software, environment
        self.home = Path(pwd.getpwnam(PERSON).pw_dir)
        self.token = secrets.token_hex(16)
        self.log = cluster.layout.run / f"lab-{self.token[:8]}.log"
        self._visit = 0
        self.start()

    def start(self) -> None:
        """Start it, or start it again after :meth:`kill`."""
        self._visit += 1
        # Of its own: one that was killed leaves there where it listened.
        runtime = self.home / f".visit-{self.token[:8]}-{self._visit}"
        arguments = ["-m", "jupyter_server", "--port=0", "--ServerApp.ip=127.0.0.1"]
        arguments += ["--ServerApp.open_browser=False", "--ServerApp.base_url=/user/x/"]
        self.process = self.cluster.begin(
            [self.software / "bin/python", *arguments],
            PERSON,
            environment={
                **self.environment,
                "PATH": f"{self.software}/bin:/usr/bin:/bin",
                "JUPYTER_TOKEN": self.token,
                "JUPYTER_RUNTIME_DIR": str(runtime),
            },
            log=self.log,
        )
        record = wait_until(lambda: self._record(runtime), 60, "it writes where it listens")
        self.url = record["url"] + "shopfloor/api/"
        wait_until(lambda: _listens(record["port"]), 20, "it listens")

    def _record(self, runtime: Path) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.log.read_text()
        for path in runtime.glob("jpserver-*.json"):
            try:
                return json.loads(path.read_text())
            except ValueError:  # half-written
                return None
        return None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        """End it and all kernels."""
        if self.process.poll() is not None:
            self.start()
        try:
            for row in self.rows():
                self.ask("DELETE", f"job-kernels/{row['id']}")
        finally:
            self.process.terminate()
            self.process.wait(30)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Of our own API, and of Jupyter's where the path begins with ``api/``."""
        path = f"../../{path}" if path.startswith("api/") else path
        headers = {"Authorization": f"token {self.token}"}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def begin(self, request: dict[str, Any], name: str = "ipython", path: str = NOTEBOOK) -> str:
        """Ask for a kernel with a session; returns its id at once."""
        body = {"name": name, "request": request, "path": path}
        kernel = str(self.ask("POST", "job-kernels", body)["id"])
        session = {"path": path, "name": "", "type": "notebook", "kernel": {"id": kernel}}
        self.ask("POST", "api/sessions", session)
        return kernel

    def running(self, request: dict[str, Any], **given: str) -> str:
        kernel = self.begin(request, **given)
        self.until(kernel, lambda row: row["state"] == "running", START, "it runs")
        return kernel

    def rows(self) -> list[Row]:
        return list(self.ask("GET", "job-kernels")["kernels"])

    def row(self, kernel: str) -> Row:
        return dict(self.ask("GET", f"job-kernels/{kernel}"))

    def until(self, kernel: str, holds: Callable[[Row], Any], seconds: float, what: str) -> Row:
        """Look until the row shows something; fails with what it shows instead."""
        last: Row = {}

        def shows() -> bool:
            nonlocal last
            last = self.row(kernel)
            return bool(holds(last))

        try:
            wait_until(shows, seconds, what, pause=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows: {last}") from error
        return last

    def ended(self, kernel: str, seconds: float = TRUE_WITHIN) -> Row:
        return self.until(kernel, lambda row: row["state"] == "ended", seconds, "it has ended")

    def page(self, kernel: str) -> websocket.WebSocket:
        return opened(self, kernel)

    def run(self, kernel: str, code: str, **metadata: Any) -> str:
        """Run a cell from a page of its own; all that it printed."""
        page = self.page(kernel)
        try:
            return output(page, execute(page, code, **metadata))
        finally:
            page.close()

    def runs(self, kernel: str) -> dict[str, Any]:
        """What is recorded, by cell."""
        return {run["cell"]: run for run in self.ask("GET", f"job-kernels/{kernel}/runs")["runs"]}


def output(page: websocket.WebSocket, asked: str) -> str:
    """What a cell prints until it is done."""
    texts = []
    while True:
        opcode, data = page.recv_data()
        assert opcode != websocket.ABNF.OPCODE_CLOSE, data[2:].decode()
        message = json.loads(data)
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
        if message["content"].get("execution_state") == "idle":
            return "".join(texts)


def text_of(run: dict[str, Any]) -> str:
    """What a recorded run printed."""
    return "".join("".join(one["text"]) for one in run["outputs"] if one["output_type"] == "stream")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
