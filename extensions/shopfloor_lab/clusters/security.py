"""A cluster's own certificates, made new for each one; what distributed then asks of everybody who connects.

Every key is made here, in the controller, and the authority's key is never stored: nobody can add a
certificate later, so who was not given one when the cluster started does not get in.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from shopfloor_jobs.certificates import BOTH, CLIENT, Authority, expires, pem
from shopfloor_jobs.directory import write_text

if TYPE_CHECKING:
    from distributed.security import Security

# Scheduler and workers call one another; a client's certificate must not pass as either's server.
ROLES = {"scheduler": BOTH, "worker": BOTH, "client": CLIENT}
BEYOND = 30 * 86400  # seconds that certificates outlive the job: an administrator may move its end
LONGEST = 366 * 86400  # seconds, where the end of the job is unknown


def make_certificates(directory: Path, ends: float | None) -> None:
    """Write ``ca.pem`` and, for each role, ``<role>.pem`` and ``<role>.key`` into a new 0700 directory.

    ``ends`` is when the job's time is up (seconds since the epoch); the certificates outlive it by an hour.
    Raises OSError.
    """
    directory.mkdir(mode=0o700)
    seconds = (ends - time.time() if ends else LONGEST) + BEYOND
    authority = Authority.make("Shopfloor cluster", seconds)
    write_text(directory / "ca.pem", pem(authority.certificate))
    for role, purposes in ROLES.items():
        # distributed verifies no name; who shows plots (doors.py) does, so that no worker can pose as the scheduler.
        certificate, key = authority.issue(role, purposes, seconds, (role,))
        write_text(directory / f"{role}.pem", certificate)
        write_text(directory / f"{role}.key", key)


def expired(certificate: str) -> str:
    """That the time of a certificate (a file) is up, and what to do, in words; empty while it holds."""
    try:
        until = expires(Path(certificate).read_text())
    except (OSError, ValueError):
        return ""
    if until > time.time():
        return ""
    day = time.strftime("%d %B %Y at %H:%M", time.localtime(until))
    return (
        f"Its certificate expired on {day}, so nothing new can connect. Save what connected notebooks"
        " still hold, stop it, and start another one."
    )


def own_security(directory: Path) -> Security:
    """What the controller listens and connects with; workers get theirs as files on their command line."""
    return _security(
        directory / "ca.pem",
        {
            f"tls_{role}_{part}": str(directory / f"{role}.{suffix}")
            for role in ROLES
            for part, suffix in (("cert", "pem"), ("key", "key"))
        },
    )


def client_security(ca: str, certificate: str, key: str) -> Security:
    """What a client connects with."""
    return _security(Path(ca), {"tls_client_cert": certificate, "tls_client_key": key})


def _security(ca: Path, files: dict[str, str]) -> Security:
    from distributed.security import Security

    return Security(require_encryption=True, tls_ca_file=str(ca), **files)
