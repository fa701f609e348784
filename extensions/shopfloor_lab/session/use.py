"""What the job uses of its CPUs, memory and GPUs, and how full the home directory is; read from the node's kernel."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shopfloor_jobs.runner import cpu_seconds, descendants, memory_of

from .given import Given
from .gpu_time import GpuTime
from .gpus import Gpu, Gpus

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
EXACT_FROM = (
    0.7  # of the limit; below it pages that programs share may count twice, which is much quicker
)


@dataclass(frozen=True)
class Use:
    """CPUs in cores, memory and disk in bytes.

    ``cpu`` is None at the first look; ``programs`` are the cores that each process but the measuring one used.
    """

    cpu: float | None
    cpu_limit: int
    memory: int
    memory_limit: int
    gpus: tuple[Gpu, ...]
    home_free: int | None
    home_size: int | None
    programs: dict[int, float]

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        del data["programs"]
        return data


class Meter:
    """Measures one job, from its server or agent; each :meth:`read` tells of the time since the one before.

    ``gpu_time`` counts along.
    """

    def __init__(
        self, given: Given, home: Path, gpus: Gpus | None = None, gpu_time: GpuTime | None = None
    ):
        self._given, self._home, self._gpu_time = given, home, gpu_time
        self._gpus = gpus or Gpus(given.visible_gpus, given.request.gpus)
        self._before: tuple[float, dict[int, float]] | None = None

    def read(self) -> Use:
        """May take some milliseconds, and as long as it likes where the home directory's server hangs."""
        ours = os.getpid()
        tree = [ours, *descendants(ours)]
        first, cores = self._before is None, self._cores(tree)
        request = self._given.request
        used, limit = self._memory(tree)
        free, size = disk(self._home)
        gpus = tuple(self._gpus.look())
        if self._gpu_time:
            self._gpu_time.note(gpus)
        return Use(
            cpu=None if first else sum(cores.values()),
            cpu_limit=request.cpus,
            memory=used,
            memory_limit=limit,
            gpus=gpus,
            home_free=free,
            home_size=size,
            programs={pid: share for pid, share in cores.items() if pid != ours},
        )

    def _cores(self, tree: list[int]) -> dict[int, float]:
        """The cores that each process used since the last call; what ended meanwhile is not among them."""
        now, seconds = time.monotonic(), {pid: cpu_seconds(pid) for pid in tree}
        before, self._before = self._before, (now, seconds)
        if before is None or now <= before[0]:
            return {}
        return {
            pid: max(0.0, used - before[1].get(pid, 0)) / (now - before[0])
            for pid, used in seconds.items()
        }

    def _memory(self, tree: list[int]) -> tuple[int, int]:
        asked = self._given.request.memory
        if group := memory_group(self._given.slurm_job):
            used, limit = group_memory(group)
            return used, min(limit or asked, asked)
        return memory_of(tree, int(asked * EXACT_FROM)), asked


def memory_group(slurm_job: str, listed: Path = OWN_GROUPS, root: Path = CGROUPS) -> Path | None:
    """The control group in which Slurm counts the memory of this whole job; None where it does not."""
    if not slurm_job:
        return None
    for line in listed.read_text().splitlines():
        _, kind, path = line.split(":", 2)
        if kind not in ("", "memory"):
            continue
        parts = Path(path).parts
        if f"job_{slurm_job}" in parts:
            depth = parts.index(f"job_{slurm_job}")
            group = (root / kind).joinpath(*parts[1 : depth + 1])
            if (group / "memory.stat").exists():
                return group
    return None


def group_memory(group: Path) -> tuple[int, int | None]:
    """Bytes that a control group (of version 1 or 2) holds and may hold, None where it has no limit.

    Without the file cache that the kernel drops before it ends anything. Raises OSError.
    """
    first = not (group / "memory.current").exists()
    used = int((group / ("memory.usage_in_bytes" if first else "memory.current")).read_text())
    limit = (group / ("memory.limit_in_bytes" if first else "memory.max")).read_text().strip()
    rows = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    cache = int(rows.get("total_inactive_file" if first else "inactive_file", 0))
    # Version 1 says "no limit" with the largest number of pages that there is.
    unlimited = limit == "max" or int(limit) >= 2**62
    return max(0, used - cache), None if unlimited else int(limit)


def disk(home: Path) -> tuple[int | None, int | None]:
    """Bytes that may still be written under the home directory, and its file system's size; None if unknown."""
    with contextlib.suppress(OSError):
        found = os.statvfs(home)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return None, None
