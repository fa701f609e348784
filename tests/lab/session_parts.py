"""A Jupyter server that is a job with an idle rule, what it tells its pages, and kernels that work in it."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import requests
import websocket
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.request import Request

from tests.jobs.waiting import wait_until

from .lab_server import LabServer

TAG = "shopfloor-server-0123456789abcdef"
GB = 1024**3


class JobServer(LabServer):
    """A server in a job's directory under ``home``, as the runner leaves it; the runner itself is not there."""

    def __init__(
        self, home: Path, rule: Rule, request: Request | None = None, stops_in: float = 7200
    ):
        files = home / "files"
        files.mkdir(parents=True)
        self.job_directory = home / "job"
        self.job_directory.mkdir()
        self.files = files
        job = {
            "tag": TAG,
            "request": (request or Request(memory=4 * GB)).to_json(),
            "runner": {"memory": None, "time": None, "grace": 1},
        }
        (self.job_directory / "request.json").write_text(json.dumps(job))
        ends = int(time.time() + stops_in)
        super().__init__(
            home,
            files,
            SHOPFLOOR_JOB_DIR=str(self.job_directory),
            SHOPFLOOR_INDEX="0",
            SHOPFLOOR_TAG=TAG,
            SHOPFLOOR_ENDS=str(ends),
            **rule.to_environment(),
        )
        self.base = self.url.removesuffix("shopfloor/api/")

    def session(self) -> dict[str, Any]:
        answer = self.ask("GET", "session")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def quiet(self) -> float:
        """Seconds since something worked."""
        return self.session()["idle"]["quiet"]

    def wait_quiet(self, seconds: float) -> None:
        wait_until(lambda: self.quiet() > seconds, 30, f"nothing works for {seconds:g} s")

    def jupyter(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Ask Jupyter's own API."""
        answer = requests.request(
            method,
            f"{self.base}api/{path}",
            headers={"Authorization": f"token {self.token}"},
            json=body,
            timeout=30,
        )
        assert answer.ok, answer.text
        return answer

    def socket(self, path: str, below: str = "api/") -> websocket.WebSocket:
        url = f"{self.base}{below}{path}".replace("http://", "ws://", 1)
        header = [f"Authorization: token {self.token}"]
        return websocket.create_connection(url, header=header, timeout=30)

    def cause(self) -> str:
        """Why it ended itself, once its process is gone."""
        assert self.process.wait(30) == 0, self.log.read_text()
        return json.loads((self.job_directory / "ending-0.json").read_text())["cause"]


class BusyKernel:
    """A kernel with one connection, over which it is told to do things."""

    def __init__(self, server: JobServer):
        self.server = server
        self.id = server.jupyter("POST", "kernels", {"name": "python3"}).json()["id"]
        self.channels = server.socket(f"kernels/{self.id}/channels")

    @property
    def state(self) -> str:
        """What the server says of it."""
        return self.server.jupyter("GET", f"kernels/{self.id}").json()["execution_state"]

    def send(
        self, kind: str, content: dict[str, Any], channel: str = "shell", **header: Any
    ) -> str:
        message_id = uuid.uuid4().hex
        message = {
            "header": {
                "msg_id": message_id,
                "msg_type": kind,
                "username": "",
                "session": "test",
                "version": "5.3",
                **header,
            },
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": channel,
            "buffers": [],
        }
        self.channels.send(json.dumps(message))
        return message_id

    def run(self, code: str) -> str:
        return self.send("execute_request", {"code": code, "silent": False, "allow_stdin": False})

    def until(self, message_id: str, kind: str) -> dict[str, Any]:
        """The content of the first message of this kind that answers the one with this id."""
        while True:
            message = json.loads(self.channels.recv())
            if message["parent_header"].get("msg_id") == message_id and message["msg_type"] == kind:
                return message["content"]
