"""Writes requirements.lock, what build.py puts into the image: every package with its version and its hash.

Run it with the Python that the image has (3.11): ``python3.11 images/lock.py``. Nothing is installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import tomllib

IMAGES = Path(__file__).resolve().parent
EXTENSION = IMAGES.parent / "extensions" / "pyproject.toml"
PYTHON = (3, 11)
HEADER = """\
# What the image's environment holds, made by: python3.11 images/lock.py
# For CPython 3.11 on x86_64 with glibc 2.28 or newer; build.py takes no file with another hash.
"""


def wanted() -> list[str]:
    """What the Lab distribution asks for with its extras, but not what this checkout makes itself."""
    project = tomllib.loads(EXTENSION.read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["examples"], *extras["gpus"]]
    return [one for one in asked if not re.match(r"shopfloor\b", one)]


def resolve(requirements: list[str]) -> list[dict]:
    """pip's installation report. Raises subprocess.CalledProcessError if pip finds no solution."""
    with tempfile.TemporaryDirectory(prefix="shopfloor-lock-") as directory:
        # An empty environment, so that nothing counts as installed already.
        venv.create(Path(directory, "venv"), with_pip=True)
        report = Path(directory, "report.json")
        pip = [f"{directory}/venv/bin/pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*pip, "--report", str(report), *requirements], check=True)
        return json.loads(report.read_text())["install"]


def lock_lines(report: list[dict]) -> list[str]:
    """One ``name==version --hash=sha256:…`` for each package, by name; addresses are left out."""
    lines = []
    for one in report:
        name = re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower()
        archive = one["download_info"]["archive_info"]
        digest = archive.get("hashes", {}).get("sha256") or archive["hash"].removeprefix("sha256=")
        lines.append(f"{name}=={one['metadata']['version']} --hash=sha256:{digest}")
    return sorted(lines)


def main() -> None:
    if sys.version_info[:2] != PYTHON:
        sys.exit(f"lock.py: run it with Python {PYTHON[0]}.{PYTHON[1]}, which the image has.")
    lines = lock_lines(resolve(wanted()))
    (IMAGES / "requirements.lock").write_text(HEADER + "\n".join(lines) + "\n")
    print(f"images/requirements.lock: {len(lines)} packages")


if __name__ == "__main__":
    main()
