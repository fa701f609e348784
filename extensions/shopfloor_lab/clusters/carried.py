"""Our own code as a cluster takes it along into another environment, so that only public packages are needed there.

A folder under the person's home that holds nothing but shopfloor_jobs, shopfloor_lab.clusters and what these ask the
hub with, first on the path of modules: Lab and controller are then of one version, and nothing else of Lab's
environment gets in.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import shopfloor_jobs

OURS = Path(__file__).parents[1]
BESIDE = (
    "__init__.py",
    "address.py",
    "environment.py",
    "gpu_record.py",
    "hub.py",
    "jobs.py",
)  # of shopfloor_lab's own modules
FOLDER = Path(".local", "share", "shopfloor", "code")


def code() -> dict[str, bytes]:
    """What is carried, by path below the folder; it uses the standard library, itself and :data:`versions.NEEDED`."""
    jobs = Path(shopfloor_jobs.__file__).parent
    files = [(path, Path(jobs.name, path.name)) for path in jobs.glob("*.py")]
    files += [(path, Path(OURS.name, path.name)) for path in map(OURS.joinpath, BESIDE)]
    clusters = Path(__file__).parent
    files += [(path, Path(OURS.name, clusters.name, path.name)) for path in clusters.glob("*.py")]
    return {str(place): path.read_bytes() for path, place in sorted(files)}


def carry(home: Path) -> Path:
    """The folder with our code under this home, made where it is not there yet. Raises OSError.

    It is named by what is in it, so that clusters of an older version keep theirs.
    """
    files = code()
    folder = home / FOLDER / _digest(files)[:16]
    if _found(folder, files) == files:
        return folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        for name, text in files.items():
            path = made / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(text)
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or not there
        try:
            made.rename(folder)
        except OSError:
            if _found(folder, files) != files:  # unless another server of the person's was first
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def with_code(env: Mapping[str, str], inherited: str, folder: Path) -> dict[str, str]:
    """A kernel's ``env`` with our code first on the path of modules; ``inherited`` is the server's own path."""
    rest = env.get("PYTHONPATH", inherited)
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), rest)))}


def _found(folder: Path, files: Mapping[str, bytes]) -> dict[str, bytes]:
    found = {}
    for name in files:
        with contextlib.suppress(FileNotFoundError):
            found[name] = (folder / name).read_bytes()
    return found


def _digest(files: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, text in sorted(files.items()):
        total.update(f"{name}\0{len(text)}\0".encode() + text)
    return total.hexdigest()
