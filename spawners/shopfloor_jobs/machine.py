"""What this one machine has for jobs: cores, memory and GPUs; local.py gives them out."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ASK_SECONDS = 10  # nvidia-smi takes seconds on a machine whose driver sleeps
_LISTED = re.compile(r"^GPU (\d+): (.+?) \(UUID", re.MULTILINE)
_MAKER = re.compile(r"^(nvidia|tesla|geforce|quadro|graphics|device)$", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """``cores`` are the kernel's numbers, ``memory`` is in bytes, ``gpus`` maps a GPU's number to its type."""

    cores: tuple[int, ...]
    memory: int
    gpus: Mapping[str, str] = field(default_factory=dict)

    def gpu_types(self) -> dict[str, int]:
        types = list(self.gpus.values())
        return {kind: types.count(kind) for kind in dict.fromkeys(types)}


def this_machine() -> Machine:
    """What jobs started from here can have. Takes up to ten seconds where there are GPUs; call it in a thread."""
    return Machine(usable_cores(), usable_memory(), visible_gpus())


def usable_cores() -> tuple[int, ...]:
    """The cores that the kernel would give us, even if we ourselves are a job with fewer."""
    ours = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
        return tuple(sorted(os.sched_getaffinity(0)))
    except OSError:
        return tuple(sorted(ours))
    finally:
        os.sched_setaffinity(0, ours)


def usable_memory() -> int:
    """Bytes of main memory, or of our control group where that is less (as in a container)."""
    meminfo = Path("/proc/meminfo").read_text()
    limits = [int(re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)[1]) * 1024]  # type: ignore[index]
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, path = line.split(":", 2)
        if kind in ("", "memory"):
            root, name = Path("/sys/fs/cgroup", kind), "limit_in_bytes" if kind else "max"
            group = root / path.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(root):
                    with contextlib.suppress(OSError, ValueError):  # "max" is no number
                        limits.append(int((folder / f"memory.{name}").read_text()))
    return min(limits)


def visible_gpus() -> dict[str, str]:
    """GPUs by number, as ``nvidia-smi`` lists them; by their device files where it does not answer."""
    devices = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))
    if not devices:
        return {}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--list-gpus"]
        text = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_SECONDS, check=True
        )
        if listed := parse_gpus(text.stdout):
            return listed
    return {str(number): "gpu" for number in devices}


def parse_gpus(text: str) -> dict[str, str]:
    """``GPU 0: NVIDIA A100-SXM4-40GB (UUID: …)`` as ``{"0": "a100-sxm4-40gb"}``; MIG slices are left out."""
    return {number: gpu_type(name) for number, name in _LISTED.findall(text)}


def gpu_type(name: str) -> str:
    """A product name as the value of a choice field: lower case, without its maker."""
    words = [word for word in name.split() if not _MAKER.match(word)]
    return re.sub(r"[^a-z0-9_.:+-]", "", "-".join(words).lower())[:64] or "gpu"
