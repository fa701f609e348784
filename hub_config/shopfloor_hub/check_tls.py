"""What `shopfloor check` says of the encryption between login machine and nodes: on, whole, not about to end."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
from collections.abc import Iterator

from shopfloor_jobs.tls import client_context
from shopfloor_spawners.authorities import HUB, RENEWED_BEFORE, Authorities, DamagedError

from . import proxy, state
from .findings import FAIL, OK, WARN, Finding
from .site import Site
from .stopped import Stopped

PATIENCE = 5  # seconds


def findings(site: Site, hub_answers: bool) -> Iterator[Finding]:
    """``hub_answers`` is whether this site's hub runs, which then is asked itself."""
    if not site.tls:
        yield from _off(site)
        return
    yield from _proxy()
    made = state.authorities(site)
    if not made.directory.exists():
        yield Finding(OK, f"hub.tls: certificates are made at the first start, in {made.directory}")
        return
    if not os.access(made.directory, os.R_OK | os.X_OK):
        yield Finding(WARN, f"hub.tls: not looked at; run this as root or {site.hub.user}")
        return
    try:
        yield from files(made)
        if hub_answers:
            yield from asked(site, made)
    except (OSError, DamagedError) as error:
        yield Finding(
            FAIL,
            f"hub.tls: {error}; remove {made.directory} to make all anew, while no server runs",
        )


def _off(site: Site) -> Iterator[Finding]:
    if site.scheduler.type == "slurm":
        yield Finding(
            WARN,
            "hub.tls: off, so whoever can listen on the nodes' network reads tokens, files and cells, and can"
            " pretend to be a person's server; remove the line `tls = false`",
        )
    else:
        yield Finding(OK, "hub.tls: off; all of it stays on this machine")


def _proxy() -> Iterator[Finding]:
    try:
        proxy.package()
        proxy.find("node")
    except Stopped as error:
        yield Finding(FAIL, f"hub.tls: {error}")


def files(made: Authorities) -> Iterator[Finding]:
    """Modes and ends of what lies there. Raises OSError or DamagedError."""
    for path in [made.directory, *made.directory.glob("*.key")]:
        if path.stat().st_mode & 0o077:
            yield Finding(FAIL, f"hub.tls: others can read {path}; run: chmod go= {path}")
    name, end = min(made.ends().items(), key=lambda one: one[1])
    days = (end - datetime.datetime.now(datetime.timezone.utc)).days
    if name.endswith("-ca") and days * 24 * 3600 < RENEWED_BEFORE:
        yield Finding(
            WARN,
            f"hub.tls: the authority {name} ends in {days} days; stop all servers before that, remove"
            f" {made.directory} and start hub and proxy again",
        )
    elif days < 30:
        yield Finding(
            WARN, f"hub.tls: {name} ends in {days} days; start hub and proxy again to renew it"
        )
    else:
        yield Finding(OK, f"hub.tls: certificates in {made.directory}, good for {days} days")


def asked(site: Site, made: Authorities) -> Iterator[Finding]:
    """Whether the hub that runs answers nodes with its certificate, and nobody without one. Raises OSError."""
    address = (site.hub.internal_address, site.hub.internal_port)
    own = made.key("hub-internal"), made.certificate("hub-internal")
    known = client_context(*own, made.certificate(HUB))
    nobody = ssl.create_default_context(cafile=made.certificate(HUB))
    if not _answers(address, known):
        yield Finding(
            FAIL,
            f"hub.tls: the hub at {address[0]}:{address[1]} does not show its certificate; start hub and proxy again",
        )
    elif _answers(address, nobody):
        yield Finding(
            FAIL, f"hub.tls: the hub at {address[0]}:{address[1]} answers without a certificate"
        )
    else:
        yield Finding(OK, "hub.tls: the hub takes and shows certificates on the nodes' network")


def _answers(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    with socket.create_connection(address, timeout=PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=address[0]) as channel:
                channel.sendall(b"GET /hub/api HTTP/1.0\r\n\r\n")
                return bool(channel.recv(1))
        except (ssl.SSLError, TimeoutError, ConnectionError):
            return False
