"""What a cluster consists of and where each part lies; pure values that every module beside it reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError

ROOT = Path("/run/shopfloor-clusters")
SERVICE_USER = "shopfloor"
PEOPLE_GROUP = "shopfloor-users"
PARTITIONS = ("cpu", "gpu")
HIGHEST_INDEX = 250

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


@dataclass(frozen=True)
class Node:
    """One compute node as Slurm sees it; `memory` in MiB, `host` the last byte of its address."""

    name: str
    partition: str
    host: int
    gpu_type: str = ""
    gpus: int = 0
    cpus: int = 16
    memory: int = 5000


NODES = (
    Node("cpu01", "cpu", host=11),
    Node("gpu01", "gpu", host=21, gpu_type="a100", gpus=4),
    Node("gpu02", "gpu", host=22, gpu_type="l40", gpus=2),
)


@dataclass(frozen=True)
class Layout:
    """Paths, addresses, ports and kernel names of the cluster called `name`, the `index`th here."""

    name: str
    index: int

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def run(self) -> Path:
        return ROOT / self.name

    @property
    def state_file(self) -> Path:
        return self.run / "cluster.json"

    @property
    def passwords_file(self) -> Path:
        return self.run / "passwords.json"

    @property
    def etc(self) -> Path:
        return self.run / "etc"

    @property
    def slurm_conf(self) -> Path:
        return self.etc / "slurm.conf"

    @property
    def logs(self) -> Path:
        return self.run / "log"

    @property
    def pids(self) -> Path:
        return self.run / "pid"

    @property
    def database(self) -> Path:
        return self.run / "database"

    @property
    def database_socket(self) -> Path:
        return self.database / "mariadb.sock"

    @property
    def munge(self) -> Path:
        return self.run / "munge"

    @property
    def munge_socket(self) -> Path:
        return self.munge / "munge.socket"

    @property
    def environment(self) -> dict[str, str]:
        """What every command that shall talk to this cluster needs in its environment."""
        return {"SLURM_CONF": str(self.slurm_conf)}

    @property
    def slurm_name(self) -> str:
        # Slurm puts the cluster's name into names of database tables.
        return self.name.replace("-", "_")

    @property
    def subnet(self) -> str:
        return f"10.87.{self.index}.0/24"

    @property
    def hub_address(self) -> str:
        return f"10.87.{self.index}.1"

    def address(self, node: Node) -> str:
        return f"10.87.{self.index}.{node.host}"

    @property
    def slurmctld_port(self) -> int:
        return 21000 + 10 * self.index

    @property
    def slurmd_port(self) -> int:
        return self.slurmctld_port + 1

    @property
    def slurmdbd_port(self) -> int:
        return self.slurmctld_port + 2

    # The kernel cuts interface names at 15 characters, hence the index and not the name.
    @property
    def bridge(self) -> str:
        return f"sf{self.index}"

    def interface(self, node: Node) -> str:
        return f"sf{self.index}-{node.name}"

    def namespace(self, node: Node) -> str:
        return f"{self.cgroup}-{node.name}"

    @property
    def cgroup(self) -> str:
        return f"shopfloor-{self.name}"

    @property
    def sudoers(self) -> Path:
        return Path("/etc/sudoers.d") / f"shopfloor-{self.name}"

    def gpu_devices(self, node: Node) -> list[Path]:
        return [self.run / "dev" / node.name / f"nvidia{n}" for n in range(node.gpus)]


def check_name(name: str) -> None:
    """Raise ClusterError unless `name` can be a cluster's name."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no name for a cluster: at most 20 lower-case letters, digits and "
            "hyphens, a letter first."
        )
