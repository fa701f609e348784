"""What an idle open panel *Jobs* costs the network, for `make bench NAME=cluster`: bytes of its stream in one minute.

A real Lab server with one idle cluster on this machine; what is counted are the bytes that come out of the socket,
HTTP's own included. ``python -m tests.benchmarks.panel_bytes`` prints the figures alone, as one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.jobs.waiting import wait_until
from tests.lab.cluster_parts import Person
from tests.lab.lab_server import HUB_TOKEN, LabServer, OfferingHub

WORKERS = 2
START = 90.0  # seconds that the cluster may take to be complete
SETTLE = 180.0  # seconds in which it comes to rest
POLLS = 30  # a minute, as the panel asked before there was a stream
REST = b"3\r\n:\n\n\r\n"  # the sign that there was nothing to tell, as a chunk of its own


class Connection:
    """A request for ``path`` of the Lab server, and what comes back as bytes."""

    def __init__(self, lab: LabServer, path: str, close: bool = False):
        target = urlsplit(lab.url + path)
        self._socket = socket.create_connection((target.hostname, target.port), timeout=5)
        lines = [
            f"GET {target.path} HTTP/1.1",
            f"Host: {target.netloc}",
            f"Authorization: token {lab.token}",
            *(["Connection: close"] if close else []),
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def read(self, until: float) -> bytes:
        """What comes before this moment (of time.monotonic), at least one piece; empty at the end. Raises OSError."""
        self._socket.settimeout(max(0.01, until - time.monotonic()))
        return self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


def measure(seconds: float = 60.0) -> dict[str, float]:
    """``panel_bytes_per_minute`` of an idle stream, ``panel_open_bytes`` before its first sign of rest, and
    ``polled_bytes_per_minute``: what asking every two seconds for the same list would take.

    Takes two to three minutes. Raises AssertionError where the cluster does not start or never rests.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shopfloor-")))
        person = Person(directory / "state")
        stack.callback(lambda: asyncio.run(person.scheduler.stop_all()))
        hub = OfferingHub(person.offer.to_json())
        stack.callback(hub.close)
        files = person.home / "files"
        files.mkdir()
        lab = LabServer(
            person.home, files, JUPYTERHUB_API_URL=hub.url, JUPYTERHUB_API_TOKEN=HUB_TOKEN
        )
        stack.callback(lab.stop)
        start_cluster(lab)
        stream = Connection(lab, "clusters/events")
        stack.callback(stream.close)
        opened = until_at_rest(stream)
        return {
            "panel_bytes_per_minute": round(count(stream, seconds) * 60 / seconds, 1),
            "panel_open_bytes": opened,
            "polled_bytes_per_minute": len(whole(lab, "clusters")) * POLLS,
        }


def start_cluster(lab: LabServer) -> None:
    answer = lab.ask("POST", "clusters", {"workers": WORKERS})
    assert answer.status_code == 201, answer.text

    def complete() -> bool:
        [cluster] = lab.ask("GET", "clusters").json()["clusters"]
        assert cluster["state"] != "ended", cluster
        return cluster["workers"]["connected"] == WORKERS

    wait_until(complete, START, f"{WORKERS} workers are connected")


def until_at_rest(stream: Connection) -> int:
    """Read until there was nothing to tell for a while; how many bytes came."""
    deadline, came = time.monotonic() + SETTLE, b""
    while not came.endswith(REST):
        assert time.monotonic() < deadline, f"an idle cluster never rests: {came[-500:]!r}"
        came += stream.read(deadline)
    return len(came)


def count(stream: Connection, seconds: float) -> int:
    """How many bytes come in so many seconds."""
    ends, came = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        try:
            piece = stream.read(ends)
        except TimeoutError:
            break
        assert piece, "the stream ended"
        came += len(piece)
    return came


def whole(lab: LabServer, path: str) -> bytes:
    """A whole answer, headers included."""
    connection, came = Connection(lab, path, close=True), b""
    while piece := connection.read(time.monotonic() + 10):
        came += piece
    connection.close()
    assert came.startswith(b"HTTP/1.1 200"), came[:200]
    return came


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="that are counted (60)")
    chosen = parser.parse_args()
    if chosen.seconds < 1:
        parser.error("--seconds is at least 1")
    print(json.dumps(measure(chosen.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
