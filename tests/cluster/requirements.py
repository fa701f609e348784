"""Whether this machine can run a cluster: root, the programs, the cgroup controllers."""

from __future__ import annotations

import os
import shutil

from . import cgroups
from .errors import ClusterError

# Program -> the Debian package that has it.
PROGRAMS = {
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sbatch": "slurm-wlm",
    "slurmdbd": "slurmdbd",
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "ip": "iproute2",
    "visudo": "sudo",
    "useradd": "passwd",
}


def check() -> None:
    """Raises ClusterError with one sentence on what is missing and how to get it."""
    if os.geteuid() != 0:
        raise ClusterError("The cluster needs root, for it makes Unix users, networks and cgroups.")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[program] for program in missing}))
        raise ClusterError(
            f"Missing here: {', '.join(missing)}; on Debian: apt-get install {packages}"
        )
    cgroups.hierarchies()
