"""The site file of a hub on this cluster, and the place where such a hub keeps its state."""

from __future__ import annotations

import shutil
from pathlib import Path

from .cluster import Cluster
from .layout import SERVICE_USER
from .people import TEAM_FOLDER, TEAM_GROUP


def tables(cluster: Cluster, prefix: Path, helper: Path | None = None) -> str:
    """All of the site file but ``[hub]``; ``prefix`` is where the software is installed, its helper too by default."""
    return f"""
[site]
name = "Test cluster"

[scheduler]
type = "slurm"
conf = "{cluster.state["slurm_conf"]}"
helper = "{helper or prefix / "bin" / "shopfloor-helper"}"

[login]
admins = ["trainer"]

[environments.jupyterlab]
label = "JupyterLab"
path = "{prefix}"

[[partitions]]
name = "cpu"
label = "CPU nodes"

[[partitions]]
name = "gpu"
label = "GPU nodes"

[[presets]]
name = "small-cpu"
label = "Small CPU"
cpus = 1
memory = "2G"
time = "2h"
partition = "cpu"

[[presets]]
name = "one-gpu"
label = "One GPU"
cpus = 2
memory = "3G"
gpus = 1
gpu_type = "a100"
time = "2h"
partition = "gpu"

[[presets]]
name = "whole-node"
label = "Whole node"
whole = true
time = "2h"
partition = "gpu"

[[groups]]
name = "{TEAM_GROUP}"
unix_group = "{TEAM_GROUP}"
folder = "{TEAM_FOLDER}"
"""


def write(cluster: Cluster, prefix: Path) -> Path:
    """Write the whole site file, for ``make up SITE=…``, and let the hub's user run the helper; returns its path."""
    cluster.allow_helper(prefix / "bin" / "shopfloor-helper")
    folder = cluster.layout.run / "hub"
    folder.mkdir(mode=0o755, exist_ok=True)
    shutil.chown(folder, SERVICE_USER, SERVICE_USER)
    path = folder / "site.toml"
    path.write_text(
        f'[hub]\nuser = "{SERVICE_USER}"\ninternal_address = "{cluster.hub_address}"\n'
        + tables(cluster, prefix)
    )
    return path
