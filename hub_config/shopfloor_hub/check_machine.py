"""What `shopfloor check` looks at on this machine: state, ports, login, software and shared folders."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from shopfloor_jobs import __version__

from . import check_tls, database, environments, passwords, readiness
from .apply_login import OIDC_MISSING
from .findings import FAIL, OK, WARN, Finding
from .site import Site
from .site_tables import Environment

PAM_SERVICES = Path("/etc/pam.d")
PATIENCE = 30  # seconds that another program may take to answer


def findings(site: Site) -> Iterator[Finding]:
    yield from _state(site)
    yield from database.findings(site)
    yield from _ports(site)
    yield from _proxy()
    yield from check_tls.findings(site, hub_answers(site))
    yield from _login(site)
    for name, one in environments.environments(site).items():
        yield from _environment(site, name, one)
    yield from _groups(site)


def _state(site: Site) -> Iterator[Finding]:
    path = site.state
    try:
        found = path.stat()
    except FileNotFoundError:
        yield Finding(OK, f"hub.state: {path} is made at the first start")
        return
    except OSError as error:
        yield Finding(FAIL, f"hub.state: {path} cannot be looked at: {error.strerror}")
        return
    if found.st_mode & 0o077:
        yield Finding(FAIL, f"hub.state: others can look into {path}; run: chmod 700 {path}")
    elif site.scheduler.type == "slurm" and found.st_uid != _uid(site.hub.user):
        owner = site.hub.user
        yield Finding(FAIL, f"hub.state: {path} is not {owner}'s; run: chown -R {owner} {path}")
    else:
        yield Finding(OK, f"hub.state: {path} is private")


def _uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _ports(site: Site) -> Iterator[Finding]:
    if hub_answers(site):
        yield Finding(OK, f"ports: Shopfloor runs at {site.url}")
        return
    for key, address, port in readiness.ports(site):
        if complaint := readiness.why_not(key, address, port):
            yield Finding(FAIL, complaint)
        else:
            yield Finding(OK, f"hub.{key}: {address}:{port} is free")


def hub_answers(site: Site) -> bool:
    """Whether a hub answers where this site's would."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{site.url}hub/health", timeout=5) as answer:
            return answer.headers.get("X-JupyterHub-Version") is not None
    except OSError:
        return False


def _proxy() -> Iterator[Finding]:
    program = "configurable-http-proxy"
    where = shutil.which(program, path=f"{sys.prefix}/bin{os.pathsep}{os.environ.get('PATH', '')}")
    if where:
        yield Finding(OK, f"proxy: {where}")
    else:
        yield Finding(FAIL, f"proxy: {program} is missing; run: npm install -g {program}")


def _login(site: Site) -> Iterator[Finding]:
    if site.login_type == "passwords":
        yield from _passwords(site)
        return
    if site.login_type == "oidc":
        yield from _oidc(site)
        return
    service = PAM_SERVICES / site.login.service
    if not service.exists():
        yield Finding(
            FAIL, f"login.service: there is no {service}; name one that is in {PAM_SERVICES}"
        )
    for name in site.login.allowed_groups:
        if not _group_exists(name):
            yield Finding(FAIL, f"login.allowed_groups: there is no Unix group {name!r}")
    user = site.hub.user
    if _uid(user) is None:
        yield Finding(
            FAIL, f"hub.user: there is no Unix user {user!r}; run: useradd --system {user}"
        )
    elif not _may_read_shadow(user):
        yield Finding(
            WARN,
            f"login: {user} is not in group shadow, so PAM cannot check local passwords (those of LDAP or"
            f" SSSD it can); run: usermod -aG shadow {user}",
        )
    else:
        yield Finding(OK, f"login: PAM service {site.login.service}")


def _oidc(site: Site) -> Iterator[Finding]:
    try:
        from . import oidc
    except ImportError:
        yield Finding(FAIL, OIDC_MISSING)
        return
    try:
        oidc.ask(site.login.issuer)
        yield Finding(OK, f"login.issuer: {site.login.issuer} answers")
    except oidc.OidcError as error:
        yield Finding(FAIL, str(error))
    file, user = site.client_secret_file, site.hub.user
    try:
        oidc.secret(file)
    except oidc.OidcError as error:
        yield Finding(FAIL, str(error))
        return
    if site.scheduler.type == "slurm" and file.stat().st_uid != _uid(user):
        yield Finding(
            FAIL, f"login.client_secret_file: {user} cannot read it; run: chown {user} {file}"
        )
    else:
        yield Finding(OK, f"login.client_secret_file: {file} is private")


def _may_read_shadow(user: str) -> bool:
    record = pwd.getpwnam(user)
    try:
        shadow = Path("/etc/shadow").stat().st_gid
    except OSError:
        return False
    return record.pw_uid == 0 or shadow in os.getgrouplist(user, record.pw_gid)


def _passwords(site: Site) -> Iterator[Finding]:
    if not site.passwords_file.exists():
        yield Finding(OK, f"login: {site.passwords_file} is made by the first `shopfloor up`")
        return
    try:
        people = passwords.read(site.passwords_file)
    except passwords.PasswordsError as error:
        yield Finding(FAIL, f"login: {error}")
        return
    yield Finding(OK, f"login: {len(people)} people in {site.passwords_file}")
    for name in site.login.admins:
        if name not in people:
            yield Finding(WARN, f"login.admins: {name} has no password in {site.passwords_file}")


def _environment(site: Site, name: str, one: Environment) -> Iterator[Finding]:
    key, program = f"environments.{name}", one.path / environments.COMMAND
    if not one.path.exists() and site.scheduler.type == "slurm":
        yield Finding(
            WARN, f"{key}.path: {one.path} is not on this machine; it must be on the nodes"
        )
    elif not os.access(program, os.X_OK):
        yield Finding(
            FAIL,
            f"{key}.path: there is no {program}; run: {one.path}/bin/pip install shopfloor-lab",
        )
    elif (found := lab_version(one.path)) != __version__:
        yield Finding(
            FAIL,
            f"{key}.path: shopfloor-lab {found or 'of an unknown version'} is installed, the hub's is"
            f" {__version__}; run: {one.path}/bin/pip install shopfloor-lab=={__version__}",
        )
    else:
        yield Finding(OK, f"{key}: shopfloor-lab {found} in {one.path}")


def lab_version(prefix: Path) -> str:
    """The version of shopfloor-lab in an environment; empty where it cannot be told."""
    script = "from importlib.metadata import version; print(version('shopfloor-lab'))"
    try:
        done = subprocess.run(
            [str(prefix / "bin" / "python"), "-c", script],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _groups(site: Site) -> Iterator[Finding]:
    for index, group in enumerate(site.groups):
        key = f"groups[{index}]"
        if group.unix_group and not _group_exists(group.unix_group):
            yield Finding(
                FAIL,
                f"{key}.unix_group: there is no Unix group {group.unix_group!r} on this machine",
            )
        if group.folder is None:
            continue
        if group.folder.is_dir():
            yield Finding(OK, f"{key}.folder: {group.folder}")
        elif site.scheduler.type == "slurm":
            yield Finding(
                WARN,
                f"{key}.folder: {group.folder} is not on this machine; it must be on the nodes",
            )
        else:
            yield Finding(
                FAIL, f"{key}.folder: {group.folder} is no directory; run: mkdir -p {group.folder}"
            )
