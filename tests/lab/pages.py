"""A page's websocket to a kernel of a real Jupyter server, with no browser around it."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import websocket
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from .lab_server import LabServer

WITHIN = 120  # seconds
V1 = "v1.kernel.websocket.jupyter.org"  # the protocol of Lab's own pages


def opened(
    server: LabServer, kernel: str, session: str = "", protocol: str = ""
) -> websocket.WebSocket:
    """A page of this session; of one of its own, where none is named."""
    below = server.url.replace("http", "ws").removesuffix("shopfloor/api/")
    url = f"{below}api/kernels/{kernel}/channels?session_id={session or uuid.uuid4().hex}"
    header = [f"Authorization: token {server.token}"]
    protocols = [protocol] if protocol else None
    return websocket.create_connection(url, header=header, timeout=30, subprotocols=protocols)


def execute(page: websocket.WebSocket, code: str, msg_id: str = "", **metadata: Any) -> str:
    """Ask for a cell to be run; returns the message's id."""
    header = {
        "msg_id": msg_id or uuid.uuid4().hex, "msg_type": "execute_request", "session": "s",
        "username": "", "version": "5.3", "date": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": metadata, "content": content}
    if page.getsubprotocol() == V1:
        page.send_binary(
            serialize_msg_to_ws_v1(message, "shell", lambda part: json.dumps(part).encode())
        )
    else:
        page.send(json.dumps({**message, "channel": "shell", "buffers": []}))
    return header["msg_id"]


def printed(page: websocket.WebSocket, asked: str) -> str:
    """What the cell printed first."""
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        message = json.loads(page.recv())
        if message["parent_header"].get("msg_id") == asked and message["msg_type"] == "stream":
            return message["content"]["text"]
    raise AssertionError(f"after {WITHIN} s the cell has still printed nothing")
