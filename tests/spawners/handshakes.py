"""TLS handshakes in memory, and on real sockets what somebody with this or that certificate gets to read."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

from shopfloor_spawners.authorities import HUB, PROXY, SERVERS, Authorities

QUIET = 5  # seconds
ALICE, BOB = "shopfloor-server-00000000000a11ce", "shopfloor-server-0000000000000b0b"


def shake_hands(calling: ssl.SSLContext, listening: ssl.SSLContext, name: str) -> None:
    """Raises ssl.SSLError where one of the two does not take the other for who it should be."""
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        calling.wrap_bio(here, there, server_hostname=name),
        listening.wrap_bio(there, here, server_side=True),
    ]
    for side in sides * 4:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()


def said(address: tuple[str, int], context: ssl.SSLContext | None, request: bytes) -> bytes:
    """The beginning of what a listener answers, in the clear or through TLS; empty when it refuses."""
    with socket.create_connection(address, timeout=QUIET) as plain:
        try:
            channel = context.wrap_socket(plain, server_hostname="any") if context else plain
            channel.sendall(request)
            return channel.recv(4096)
        except (ssl.SSLError, TimeoutError, ConnectionError):
            return b""


def trusting(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, for somebody who does not mind whom they talk to."""
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def anybody(key: str | Path = "", certificate: str | Path = "") -> ssl.SSLContext:
    """A client that takes every server, with a certificate of its own where one is named."""
    context = trusting(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def server_files(made: Authorities, tag: str, folder: Path, seconds: float = 3600) -> list[str]:
    """Key, certificate and trust of a server's pair, as files."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, text in made.for_server(tag, seconds).items():
        (folder / name).write_text(text)
        paths.append(str(folder / name))
    return paths


def files_of(made: Authorities, name: str) -> list[str]:
    """Key, certificate and trust of hub or proxy; the hub takes everybody."""
    if name == "proxy-client":
        trust = made.trust(name)
    else:
        trust = str(made.directory / f"{name}-everybody.pem")
        everybody = [Path(made.certificate(one)).read_text() for one in (HUB, SERVERS, PROXY)]
        Path(trust).write_text("".join(everybody))
    return [made.key(name), made.certificate(name), trust]
