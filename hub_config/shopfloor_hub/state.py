"""The state directory: private, and what is made in it; used by the hub's settings, `up`, the proxy and `check`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from shopfloor_jobs.job import ORIGIN
from shopfloor_spawners.authorities import Authorities, DamagedError

from .site import Site, SiteError

TOKEN_VARIABLE = "CONFIGPROXY_AUTH_TOKEN"


def prepare(site: Site) -> Path:
    """Make the state directory if need be, readable by its owner only, with the certificates that the site needs.

    Raises SiteError with one sentence.
    """
    path = site.state
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise SiteError([f"hub.state: {path} cannot be used: {error.strerror}"]) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SiteError([f"hub.state: {path} is not writable for {os.geteuid()} (uid)"])
    if site.tls:
        _prepare_certificates(site)
    return path


def _prepare_certificates(site: Site) -> None:
    made = authorities(site)
    try:
        made.prepare(site.hub.internal_address)
    except OSError as error:
        raise SiteError([f"hub.tls: {made.directory} cannot be used: {error.strerror}"]) from error
    except DamagedError as error:
        raise SiteError(
            [f"hub.tls: {error}; remove {made.directory} to make all anew, while no server runs"]
        ) from error


def authorities(site: Site) -> Authorities:
    """The certificates between login machine and nodes."""
    return Authorities(site.state / "tls")


def proxy_token(site: Site) -> str:
    """The secret between hub and proxy, made when it is missing.

    The file (0600) is of the form ``NAME=value``, so that a unit of the proxy can name it as its
    EnvironmentFile.
    """
    path = proxy_file(site)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{TOKEN_VARIABLE}={secrets.token_hex(32)}\n")
    name, _, token = path.read_text().strip().partition("=")
    if name != TOKEN_VARIABLE or len(token) < 32:
        raise SiteError(
            [f"{path}: the proxy's token is damaged; remove the file to make a new one"]
        )
    return token


def origin(site: Site) -> str:
    """Six hexadecimal digits that begin the tags of this hub's jobs, made when they are missing.

    They belong to the database: whoever moves one moves the other.
    """
    path = site.state / "origin"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(3))
    text = path.read_text().strip()
    if len(text) != 6 or not ORIGIN.fullmatch(text):
        raise SiteError(
            [
                f"{path}: {text[:20]!r} is not six hexadecimal digits; remove the file to make new ones"
            ]
        )
    return text


def proxy_file(site: Site) -> Path:
    return site.state / "proxy.env"
