"""What slurmdbd knows: the QOS, the accounts with their GPU-minutes, and who may use them."""

from __future__ import annotations

import subprocess

from .errors import ClusterError
from .layout import Layout
from .people import PEOPLE
from .slurm_conf import GPU_MINUTES, SHORT_QOS_MINUTES

ACCOUNTS = ("vision", "climate")


def commands() -> list[list[str]]:
    """The sacctmgr commands, without `sacctmgr --immediate` in front."""
    short = ["Priority=100", f"MaxWall={SHORT_QOS_MINUTES}"]
    found = [["add", "qos", "short", "Description=short jobs first", *short]]
    for account in ACCOUNTS:
        limits = [f"GrpTRESMins=gres/gpu={GPU_MINUTES}", "QOS=normal,short", "DefaultQOS=normal"]
        found.append(["add", "account", account, f"Description={account}", *limits])
    for account in ACCOUNTS:
        members = [p.name for p in PEOPLE if account in p.accounts]
        found.append(["add", "user", ",".join(members), f"Account={account}"])
    found += [
        ["modify", "user", person.name, "set", f"DefaultAccount={person.accounts[0]}"]
        for person in PEOPLE
        if len(person.accounts) > 1
    ]
    return found


def create(layout: Layout) -> None:
    """Run them. Raises ClusterError with what sacctmgr said."""
    for command in commands():
        done = subprocess.run(
            ["sacctmgr", "--immediate", *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | layout.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise ClusterError(f"sacctmgr {' '.join(command)} failed: {said}")
