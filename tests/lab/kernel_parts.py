"""Environments and kernelspecs for the tests of kernels: real interpreters whose packages are those of the tests."""

from __future__ import annotations

import json
import site
import sys
import venv
from pathlib import Path
from typing import Any

NEEDED = {"dask": "", "distributed": "", "dask-jobqueue": "", "cryptography": "", "cloudpickle": ""}


def make_environment(path: Path, lacking: bool = False, **versions: str) -> Path:
    """A virtualenv without pip, and its interpreter: it has the tests' packages, but not Shopfloor's own code.

    ``versions`` are what it says of packages; ``lacking`` leaves out the packages themselves.
    """
    venv.create(path, symlinks=True, with_pip=False)
    major, minor = sys.version_info[:2]
    packages = path / "lib" / f"python{major}.{minor}" / "site-packages"
    for name, version in versions.items():
        info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if not lacking:
        # Editable installs are lines of .pth files, which Python does not read in a folder that one names.
        (packages / "tests.pth").write_text("\n".join(site.getsitepackages()))
    return path / "bin" / "python"


def write_program(path: Path, text: str) -> Path:
    """An executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def spec(*python: Any, label: str = "", **more: Any) -> dict[str, Any]:
    """A kernelspec as kernel.json has it."""
    argv = [*map(str, python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return {"argv": argv, "display_name": label or "Some Python", "language": "python", **more}


def install(data: Path, name: str, content: dict[str, Any]) -> None:
    """Put a kernelspec where a server with this data directory looks."""
    folder = data / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(content))
