"""Kernels of a running server, used as Lab does: over its REST API and websocket, through the proxy."""

from __future__ import annotations

import json
import uuid
from typing import Any

import requests
import websocket


class Kernel:
    """A Python kernel in a person's server; ``token`` is one of theirs. A new one unless ``kernel_id`` is given."""

    def __init__(self, hub_url: str, person: str, token: str, kernel_id: str = ""):
        self.base = f"{hub_url}/user/{person}/api/kernels"
        self.headers = {"Authorization": f"token {token}"}
        if not kernel_id:
            answer = requests.post(
                self.base, headers=self.headers, json={"name": "python3"}, timeout=30
            )
            assert answer.status_code == 201, answer.text
            kernel_id = answer.json()["id"]
        self.id = kernel_id

    def run(self, code: str, timeout: float = 60) -> str:
        """Run a cell and return what it printed. Fails with the traceback if it raises."""
        url = f"{self.base}/{self.id}/channels".replace("http://", "ws://", 1)
        header = [f"{name}: {value}" for name, value in self.headers.items()]
        connection = websocket.create_connection(url, header=header, timeout=timeout)
        try:
            message_id = uuid.uuid4().hex
            connection.send(json.dumps(_execute(message_id, code)))
            return _output(connection, message_id)
        finally:
            connection.close()


def _execute(message_id: str, code: str) -> dict[str, Any]:
    return {
        "header": {
            "msg_id": message_id,
            "msg_type": "execute_request",
            "username": "",
            "session": uuid.uuid4().hex,
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "stop_on_error": True},
        "channel": "shell",
        "buffers": [],
    }


def _output(connection: websocket.WebSocket, message_id: str) -> str:
    printed, replied, idle = "", False, False
    while not (replied and idle):
        message = json.loads(connection.recv())
        if message["parent_header"].get("msg_id") != message_id:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            printed += content["text"]
        elif kind == "execute_reply":
            assert content["status"] == "ok", "\n".join(content.get("traceback", [str(content)]))
            replied = True
        elif kind == "status":
            idle = content["execution_state"] == "idle"
    return printed


class Cell:
    """A cell that runs while its reader may lose the connection: as Lab does, it comes back with the same session."""

    def __init__(self, kernel: Kernel, code: str):
        self.kernel, self.session, self.message_id = kernel, uuid.uuid4().hex, uuid.uuid4().hex
        self.printed = ""
        self.connection = self._connect()
        self.connection.send(json.dumps(_execute(self.message_id, code)))

    def _connect(self) -> websocket.WebSocket:
        base = self.kernel.base.replace("http://", "ws://", 1)
        url = f"{base}/{self.kernel.id}/channels?session_id={self.session}"
        header = [f"{name}: {value}" for name, value in self.kernel.headers.items()]
        return websocket.create_connection(url, header=header, timeout=30)

    def read(self, until: str = "") -> bool:
        """Read until this was printed, or to the cell's end; False when the connection was lost before."""
        while not until or until not in self.printed:
            try:
                text = self.connection.recv()
            except (websocket.WebSocketException, OSError):
                return False
            if not text:
                return False
            message = json.loads(text)
            if message["parent_header"].get("msg_id") != self.message_id:
                continue
            if message["msg_type"] == "stream":
                self.printed += message["content"]["text"]
            elif message["content"].get("execution_state") == "idle":
                return True
        return True

    def reconnect(self) -> None:
        self.connection = self._connect()
