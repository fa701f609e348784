"""What `up` makes sure of before it starts anything: who it runs as, that it is alone, that its ports are free."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import socket
import sys
from collections.abc import Iterator

from .site import Site
from .stopped import Stopped


def become_service_user(site: Site) -> None:
    """On a cluster the hub never runs as root: change to ``hub.user`` for good, with the state made for it."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(site.hub.user)
    except KeyError as error:
        raise Stopped(
            f"hub.user: there is no Unix user {site.hub.user!r}; make one with: useradd --system {site.hub.user}"
        ) from error
    if user.pw_uid == 0:
        raise Stopped("hub.user: the hub does not run as root on a cluster")
    try:
        site.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(site.state, user.pw_uid, user.pw_gid)
    except OSError as error:
        raise Stopped(f"hub.state: {site.state} cannot be made: {error.strerror}") from error
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    for needed in (sys.executable, __file__, site.file):
        if needed and not os.access(needed, os.R_OK):
            raise Stopped(
                f"{needed} cannot be read by {user.pw_name}, whom the hub runs as; put it where everybody"
                " may read, such as /opt"
            )


@contextlib.contextmanager
def only_one(site: Site) -> Iterator[None]:
    """Hold the lock of the state directory. Raises Stopped when another `up` has it."""
    with (site.state / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise Stopped(
                f"Another `shopfloor up` (process {lock.read().strip() or 'unknown'}) runs on {site.state}"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def ports(site: Site) -> list[tuple[str, str, int]]:
    """The key, address and port of everything that hub and proxy listen on."""
    return [
        ("port", site.hub.address, site.hub.port),
        ("internal_port", site.hub.internal_address, site.hub.internal_port),
        ("proxy_api_port", "127.0.0.1", site.hub.proxy_api_port),
    ]


def check_ports(site: Site) -> None:
    """Raises Stopped for the first address that cannot be listened on."""
    for key, address, port in ports(site):
        if complaint := why_not(key, address, port):
            raise Stopped(complaint)


def why_not(key: str, address: str, port: int) -> str:
    """Why nobody can listen there, in a sentence; empty when it is free."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers do: connections of an earlier run that are dying away are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return (
                    f"hub.{key}: port {port} on {address} is in use by another program; stop it, or set"
                    f" {key} under [hub] in a site file and run: make up SITE=site.toml"
                )
            return f"hub.{key}: {address}:{port} cannot be used: {error.strerror}"
    return ""
