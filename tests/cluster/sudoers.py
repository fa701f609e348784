"""The one line of sudoers with which the hub's unprivileged user runs the helper as a person."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .errors import ClusterError
from .layout import PEOPLE_GROUP, SERVICE_USER, Layout


def text(helper: Path) -> str:
    """The drop-in: exactly this path, as members of the people's group, never as root."""
    # sudoers has its own syntax for blanks, commas and wildcards; such a path is refused instead.
    if not re.fullmatch(r"/[A-Za-z0-9_./-]+", str(helper)):
        raise ClusterError(f"{helper} cannot stand in sudoers: an absolute, plain path is needed.")
    return (
        f"Defaults!{helper} !requiretty, env_reset\n"
        f"{SERVICE_USER} ALL=(%{PEOPLE_GROUP}) NOPASSWD: {helper}\n"
    )


def allow(layout: Layout, helper: Path) -> None:
    """Install the drop-in. Raises ClusterError if the helper is missing or visudo objects."""
    content = text(helper)
    if not helper.is_file():
        raise ClusterError(f"{helper} does not exist.")
    # sudo skips names with a dot, so that an unchecked file is never in force.
    draft = layout.sudoers.with_suffix(".new")
    try:
        draft.write_text(content)
        draft.chmod(0o440)
        done = subprocess.run(
            ["visudo", "--check", "--strict", f"--file={draft}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"visudo refused {draft}: {(done.stdout + done.stderr).strip()}")
        draft.replace(layout.sudoers)
    finally:
        draft.unlink(missing_ok=True)


def remove(layout: Layout) -> None:
    """Take the permission back."""
    layout.sudoers.unlink(missing_ok=True)
