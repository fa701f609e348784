"""How the proxy is started, a process of its own: by `shopfloor up`, and by `shopfloor proxy` for a unit of systemd."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from shopfloor_spawners.authorities import Authorities

from . import readiness, state
from .site import Site, bracketed
from .stopped import Stopped

PROGRAM = "configurable-http-proxy"
LAUNCHER = Path(__file__).with_name("proxy.mjs")


def command(site: Site) -> list[str]:
    """The argument list; what it names must have been made (:func:`state.prepare`). Raises Stopped."""
    hub = (
        f"{site.internal_scheme}://{bracketed(site.hub.internal_address)}:{site.hub.internal_port}"
    )
    return [
        *(_launcher() if site.tls else [find(PROGRAM)]),
        f"--ip={site.hub.address}",
        f"--port={site.hub.port}",
        "--api-ip=127.0.0.1",
        f"--api-port={site.hub.proxy_api_port}",
        f"--default-target={hub}",
        f"--error-target={hub}{site.hub.base_url}hub/error",
        "--log-level=warn",
        *(_certificates(state.authorities(site)) if site.tls else ()),
    ]


def environment(site: Site) -> dict[str, str]:
    """What the proxy needs in its environment, beside PATH."""
    return {state.TOKEN_VARIABLE: state.proxy_token(site)}


def run(site: Site) -> NoReturn:
    """Become the proxy. Raises Stopped or SiteError."""
    if site.scheduler.type == "slurm":
        readiness.become_service_user(site)
    state.prepare(site)
    line = command(site)
    os.execve(line[0], line, {**os.environ, "PATH": path(), **environment(site)})


def find(program: str) -> str:
    """The path of a program. Raises Stopped where it is missing."""
    found = shutil.which(program, path=path())
    if found is None:
        raise Stopped(
            f"{program} is missing: `make up` installs it, or npm install -g configurable-http-proxy"
        )
    return found


def path() -> str:
    return f"{sys.prefix}/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def package() -> Path:
    """The directory of configurable-http-proxy's own files. Raises Stopped."""
    found = Path(find(PROGRAM)).resolve().parents[1]
    if not (found / "lib" / "configproxy.js").exists():
        raise Stopped(
            f"{PROGRAM} at {found} is no installation of npm's; run: npm install -g {PROGRAM}"
        )
    return found


def _launcher() -> list[str]:
    return [find("node"), str(LAUNCHER), str(package())]


def _certificates(made: Authorities) -> list[str]:
    options = []
    for side, name in (("api", "proxy-api"), ("client", "proxy-client")):
        options += [
            f"--{side}-ssl-key={made.key(name)}",
            f"--{side}-ssl-cert={made.certificate(name)}",
            f"--{side}-ssl-ca={made.trust(name)}",
            f"--{side}-ssl-request-cert",
            f"--{side}-ssl-reject-unauthorized",
        ]
    return options
