"""A person's server started through the hub, and what it was given, for tests that look at it from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cases import Case

SMALL = {"cpus": 1, "memory": "512M"}
KNOCK = b"GET /user/alice/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def start(case: Case, name: str, server: str = "", options: Any = SMALL) -> str:
    token = case.hub.add_user(name)
    assert case.hub.start_server(name, options, server).status_code in (201, 202)
    case.hub.wait_server(name, server)
    return token


def intent(case: Case, name: str, server: str = "") -> dict[str, Any]:
    return case.hub.server(name, server)["state"]["shopfloor"]


def private(case: Case, name: str, server: str = "") -> Path:
    tag = intent(case, name, server)["tag"]
    return case.home(name) / ".local/share/shopfloor/jobs" / tag / "private"


def pair(folder: Path) -> tuple[Path, Path]:
    return folder / "JUPYTERHUB_SSL_KEYFILE", folder / "JUPYTERHUB_SSL_CERTFILE"
