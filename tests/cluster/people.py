"""The Unix users of all clusters of this machine, made with the first and removed with the last.

Who was made here is marked in the comment field of /etc/passwd, so that nothing that belongs to
somebody else is ever changed or removed, also after a crash. Call under registry.lock().
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError
from .layout import PEOPLE_GROUP, ROOT, SERVICE_USER

MARK = "made by tests/cluster"
TEAM_GROUP = "team-vision"
TEAM = ("alice", "carol")
TEAM_FOLDER = Path("/srv/team-vision")


@dataclass(frozen=True)
class Person:
    """A Unix user; `accounts` are the Slurm accounts, the default one first."""

    name: str
    accounts: tuple[str, ...] = ()


PEOPLE = (
    Person("alice", ("vision",)),
    Person("bob", ("climate",)),
    Person("carol", ("vision",)),
    Person("dave", ("climate",)),
    Person("erin", ("vision",)),
    Person("frank", ("climate",)),
    Person("grace", ("vision",)),
    Person("heidi", ("climate",)),
    Person("ivan", ("vision",)),
    Person("judy", ("climate",)),
    Person("trainer", ("vision", "climate")),
    # Known to Unix, not to Slurm.
    Person("mallory"),
)


def create() -> dict[str, str]:
    """Make groups, users and the team's folder where missing; the password of each user of ours."""
    for group in (PEOPLE_GROUP, TEAM_GROUP):
        if not _group_exists(group):
            _system(["groupadd", group])
    create_user = ["useradd", "--create-home", "--key", "HOME_MODE=0700", "--comment", MARK]
    if not _exists(SERVICE_USER):
        # Group shadow: PAM can check passwords without root.
        system = ["--system", "--user-group", "--groups", "shadow"]
        place = ["--home-dir", f"/var/lib/{SERVICE_USER}", "--shell", "/usr/sbin/nologin"]
        _system([*create_user, *system, *place, SERVICE_USER])
    for person in PEOPLE:
        groups = ",".join([PEOPLE_GROUP] + ([TEAM_GROUP] if person.name in TEAM else []))
        if not _exists(person.name):
            _system([*create_user, "--shell", "/bin/bash", "--groups", groups, person.name])
        elif not is_ours(person.name):
            # Somebody's real account: it may take part, its password and home stay its own.
            _system(["usermod", "--append", "--groups", groups, person.name])
    if not TEAM_FOLDER.exists():
        TEAM_FOLDER.mkdir()
        shutil.chown(TEAM_FOLDER, group=TEAM_GROUP)
        TEAM_FOLDER.chmod(0o2770)
    return _passwords()


def remove() -> None:
    """Remove exactly what `create` made."""
    for name in [*(person.name for person in PEOPLE), SERVICE_USER]:
        if _exists(name) and is_ours(name):
            home = Path(pwd.getpwnam(name).pw_dir)
            # --force: a process that outlived its cluster must not keep the account alive.
            _system(["userdel", "--force", name])
            shutil.rmtree(home, ignore_errors=True)
    for group in (TEAM_GROUP, PEOPLE_GROUP):
        if _group_exists(group):
            if group == TEAM_GROUP and _team_folder_is_ours():
                shutil.rmtree(TEAM_FOLDER)
            _system(["groupdel", group])
    _store().unlink(missing_ok=True)


def is_ours(name: str) -> bool:
    """Whether `create` made this user."""
    return pwd.getpwnam(name).pw_gecos.split(",")[0] == MARK


def _passwords() -> dict[str, str]:
    store = _store()
    known = json.loads(store.read_text()) if store.exists() else {}
    ours = [person.name for person in PEOPLE if is_ours(person.name)]
    new = {name: secrets.token_urlsafe(12) for name in ours if name not in known}
    if new:
        lines = "".join(f"{name}:{password}\n" for name, password in new.items())
        _system(["chpasswd"], lines)
    passwords = {name: known.get(name) or new[name] for name in ours}
    write_private(store, json.dumps(passwords))
    return passwords


def _store() -> Path:
    return ROOT / "passwords.json"


def write_private(path: Path, text: str) -> None:
    """Write a file that only root can read, at no moment otherwise."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)


def _team_folder_is_ours() -> bool:
    return TEAM_FOLDER.exists() and TEAM_FOLDER.stat().st_gid == grp.getgrnam(TEAM_GROUP).gr_gid


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _group_exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True


def _system(command: list[str], text: str | None = None) -> None:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise ClusterError(f"{command[0]} {command[-1]} failed: {done.stderr.strip()}")
