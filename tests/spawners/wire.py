"""What a wire of the test cluster carries: every TCP stream that a node sends and receives, put together again."""

from __future__ import annotations

import contextlib
import signal
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness import wait_until

# Runs in the node's network namespace, where all of its traffic with other machines passes one interface. Each
# frame is written with its length before it.
LISTEN = """
import signal, socket, struct, sys
ALL_KINDS = 3  # ETH_P_ALL
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_KINDS))
wire.setsockopt(socket.SOL_SOCKET, 33, 64 * 1024 * 1024)  # SO_RCVBUFFORCE: nothing is dropped
wire.bind(("eth0", 0))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with open(sys.argv[1], "wb", buffering=0) as file:
    file.write(struct.pack("!I", 0))
    while True:
        frame = wire.recv(65535 + 64)
        file.write(struct.pack("!I", len(frame)) + frame)
"""
SYN = 0x02


@contextlib.contextmanager
def captured(cluster: Any, node: str, file: Path) -> Iterator[None]:
    """Write all that passes the node's interface meanwhile to the file."""
    command = ["ip", "netns", "exec", namespace(cluster, node), "/usr/bin/python3", "-c", LISTEN]
    listener = subprocess.Popen([*command, str(file)])
    try:
        wait_until(lambda: file.exists() and file.stat().st_size, 10, "the wire is listened to")
        yield
    finally:
        listener.send_signal(signal.SIGTERM)
        listener.wait(10)


def namespace(cluster: Any, node: str) -> str:
    from tests.cluster.layout import NODES

    return cluster.layout.namespace(next(one for one in NODES if one.name == node))


def streams(file: Path) -> dict[tuple[str, int, str, int], bytes]:
    """What was sent, by sender and receiver: address and port of each. A gap ends nothing; both sides of it count."""
    segments: dict[tuple[str, int, str, int], dict[int, bytes]] = defaultdict(dict)
    first: dict[tuple[str, int, str, int], int] = {}
    for frame in _frames(file.read_bytes()):
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:  # IPv4, TCP
            continue
        packet = frame[14 : 14 + struct.unpack_from("!H", frame, 16)[0]]
        header = (packet[0] & 15) * 4
        source, target, sequence = struct.unpack_from("!HHI", packet, header)
        data = packet[header + (packet[header + 12] >> 4) * 4 :]
        key = (_address(packet, 12), source, _address(packet, 16), target)
        if packet[header + 13] & SYN:
            first[key] = sequence
        if data:
            # Numbers begin anywhere and go round; the same again is sent when an answer is late.
            at = (sequence - first.setdefault(key, sequence)) % 2**32
            segments[key][at] = max(data, segments[key].get(at, b""), key=len)
    return {key: b"".join(parts[at] for at in sorted(parts)) for key, parts in segments.items()}


def _frames(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(raw):
        (length,) = struct.unpack_from("!I", raw, at)
        if length > 54:
            yield raw[at + 4 : at + 4 + length]
        at += 4 + length


def _address(packet: bytes, at: int) -> str:
    return ".".join(map(str, packet[at : at + 4]))
