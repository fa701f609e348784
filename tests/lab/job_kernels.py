"""Kernelspecs whose kernels are jobs, in a person's home, and an offer that the hub left there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopfloor_jobs.offer import Offer

IPYTHON = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
R = ["/usr/bin/R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]

# How many of the suite's tests each kernel leaves out; kernel_conformance.py says which and why.
SKIPPED = {"IPython": 1, "R": 2}
TESTS = 12


def kernelspec(
    folder: Path, name: str, argv: list[str], language: str, request: Mapping[str, Any], **more: Any
) -> None:
    """Write a kernelspec below ``folder``, which is one of JUPYTER_PATH's."""
    path = folder / "kernels" / name
    path.mkdir(parents=True, exist_ok=True)
    provisioner = {"provisioner_name": "shopfloor", "config": {"request": dict(request)}}
    spec = {
        "argv": argv,
        "display_name": f"{name}, as a job",
        "language": language,
        "metadata": {"kernel_provisioner": provisioner},
        **more,
    }
    (path / "kernel.json").write_text(json.dumps(spec))


def leave_offer(home: Path, offer: Offer) -> Path:
    """As the person's last server cached it; returns the file."""
    path = home / ".local" / "share" / "shopfloor" / "offer.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**offer.to_json(), "version": 1}))
    return path


def conformance(folder: Path) -> Path:
    """A folder for PYTHONPATH with the suite and ours, readable by everybody: the people's software has no tests."""
    import jupyter_kernel_test

    suite = Path(jupyter_kernel_test.__file__).parent
    shutil.copytree(suite, folder / suite.name)
    shutil.copy(Path(__file__).parent / "kernel_conformance.py", folder)
    return folder


def all_passed(printed: str, kernel: str) -> bool:
    """Whether unittest printed that the whole suite passed, but for what this kernel leaves out."""
    *_, ran, _, result = printed.splitlines()
    return ran.startswith(f"Ran {TESTS} tests") and result == f"OK (skipped={SKIPPED[kernel]})"
