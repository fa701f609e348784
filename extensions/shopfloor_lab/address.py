"""The one address that something in a job listens on, so that Lab and hub reach it; controllers and agents ask here."""

from __future__ import annotations

import logging
import os
import pwd
import socket
from collections.abc import Mapping
from typing import Any

from shopfloor_jobs.scheduler import Unreachable, scheduler_from

log = logging.getLogger("shopfloor.address")


async def listening_address(settings: Mapping[str, Any], peer: str, tag: str) -> str:
    """Loopback on a single machine; else the one that is routed to ``peer``, or that the scheduler knows us by.

    ``settings`` are the offer's of its scheduler, ``tag`` is this job's.
    """
    if settings.get("type") == "local":
        return "127.0.0.1"
    if (host := address_towards(peer)) and not host.startswith("127."):
        return host
    return await _address_seen(settings, tag)


def address_towards(peer: str) -> str:
    """Our own address on the route to a host, or an empty string; connecting UDP sends nothing."""
    if not peer:
        return ""
    try:
        found = socket.getaddrinfo(peer, 9, type=socket.SOCK_DGRAM)
        # IPv4 where there is both: jupyter_client does not connect to the other.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return probe.getsockname()[0]
    except OSError:
        return ""


async def _address_seen(settings: Mapping[str, Any], tag: str) -> str:
    """What the scheduler says that other machines reach this job's node by."""
    try:
        # Anybody can give a job our name.
        own = pwd.getpwuid(os.getuid()).pw_name
        looked = await scheduler_from(settings).look()
        seen = {job.tag: job for job in looked if job.owner == own}
    except Unreachable as error:
        log.warning("the scheduler does not say how this node is reached: %s", error)
        seen = {}
    return (seen[tag].address if tag in seen else "") or socket.gethostname()
