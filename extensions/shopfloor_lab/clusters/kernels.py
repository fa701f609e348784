"""Which Python a cluster may run in: that of each kernel of the person's, so that notebook and workers can be alike.

inspecting.py asks that Python for its versions, versions.py compares them; :meth:`Kernels.check` puts it in words
before anything is queued, for handlers.py to show and listing.py to refuse.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from shopfloor_jobs.fields import Refused, nearest

from .environment import job_environment
from .inspecting import Inspected, Interpreters, NoVersions
from .versions import LEAST_PYTHON, Difference, differences, missing, too_old

Specs = Mapping[str, Mapping[str, Any]]  # as KernelSpecManager.get_all_specs has them
OURS = re.compile(r"python(3(\.\d+)?)?")
PLACE = re.compile(r"\{([A-Za-z0-9_]+)\}")
LEAST = ".".join(map(str, LEAST_PYTHON))


@dataclass(frozen=True)
class Kernel:
    """How a kernel's Python is started: ``python`` is an argument list, ``env`` what the kernelspec sets.

    ``trouble`` says why no cluster can run in it, or is empty.
    """

    name: str
    label: str
    python: tuple[str, ...] = (sys.executable,)
    env: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "python": " ".join(self.python),
            "disabled": self.trouble or None,
        }


OWN = Kernel("", "the Python of JupyterLab")


@dataclass(frozen=True)
class Checked:
    """A kernel whose Python has what a cluster needs. ``refusal`` is why a notebook could not use that cluster, and
    ``notes`` what else differs, in sentences."""

    kernel: Kernel
    inspected: Inspected
    refusal: str = ""
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Whether it is the environment that JupyterLab itself runs in."""
        return self.inspected.prefix == sys.prefix

    def to_json(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel.name,
            "label": self.kernel.label,
            "versions": dict(self.inspected.versions),
            "refusal": self.refusal or None,
            "notes": list(self.notes),
        }


async def _none() -> Specs:
    return {}


class Kernels:
    """The person's kernels of Python. ``specs`` lists the server's kernelspecs, ``default`` is the usual one's name,
    ``environment`` the server's."""

    def __init__(
        self,
        environment: Mapping[str, str],
        specs: Callable[[], Awaitable[Specs]] = _none,
        default: Callable[[], str] = str,
        interpreters: Interpreters | None = None,
    ):
        self.environment = job_environment(environment)
        self._specs, self._default = specs, default
        self._interpreters = interpreters or Interpreters()

    async def list(self) -> list[Kernel]:
        """By label, the usual one first; the server's own Python where there is no kernel of Python."""
        specs = await self._specs()
        found = await asyncio.to_thread(kernels_of, specs, self.environment)
        default = self._default()
        return sorted(found, key=lambda one: (one.name != default, one.label)) or [OWN]

    async def to_json(self) -> list[dict[str, Any]]:
        kernels = await self.list()
        default = self._usual(kernels).name
        return [{**one.to_json(), "default": one.name == default} for one in kernels]

    async def get(self, name: Any) -> Kernel:
        """The kernel of this name, the usual one where it is None. Raises Refused."""
        kernels = await self.list()
        if name is None:
            return self._usual(kernels)
        known = {one.name: one for one in kernels}
        if not isinstance(name, str) or name not in known:
            names = list(known)
            hint = nearest(name, names) if isinstance(name, str) else ""
            raise Refused("kernel", name, f"one of {', '.join(names)}{hint}")
        return known[name]

    @staticmethod
    def _usual(kernels: Sequence[Kernel]) -> Kernel:
        return next((one for one in kernels if not one.trouble), kernels[0])

    async def check(self, name: Any, notebook: Any = None) -> Checked:
        """Whether a cluster can run with this kernel, and be used from a notebook with that one (None: the same).

        Raises Refused where it cannot run at all.
        """
        kernel = await self.get(name)
        if kernel.trouble:
            raise Refused("kernel", kernel.name, kernel.trouble)
        there = await self._ask(kernel)
        if lacking := _lacking(kernel, there.versions):
            raise Refused("kernel", kernel.name, lacking)
        checked = Checked(kernel, there)
        if notebook is None or notebook == kernel.name:
            return checked
        try:
            from_notebook = await self.get(notebook)
            here = await self._ask(from_notebook)
        except Refused as refusal:
            raise Refused("notebook", refusal.value, refusal.limit) from refusal
        refusal, notes = words(
            differences(here.versions, there.versions),
            f"in the notebook (“{from_notebook.label}”)",
            f"on the workers (“{kernel.label}”)",
        )
        return Checked(kernel, there, refusal, notes)

    async def needs_code(self, name: Any) -> bool:
        """Whether our code has to be brought along into this kernel. Raises Refused."""
        return (await self._ask(await self.get(name))).prefix != sys.prefix

    async def _ask(self, kernel: Kernel) -> Inspected:
        try:
            return await self._interpreters.ask(kernel.python, {**self.environment, **kernel.env})
        except NoVersions as error:
            raise Refused("kernel", kernel.name, str(error)) from error


def kernels_of(specs: Specs, environment: Mapping[str, str]) -> list[Kernel]:
    """The kernels of Python among kernelspecs. Looks whether each interpreter is there, so it may block."""
    return [
        _kernel(name, str(one.get("resource_dir", "")), one["spec"], environment)
        for name, one in specs.items()
        if str(one["spec"].get("language", "")).lower() == "python"
    ]


def _kernel(
    name: str, folder: str, spec: Mapping[str, Any], environment: Mapping[str, str]
) -> Kernel:
    label = str(spec.get("display_name") or name)
    # Filled in from what jobs get, so that no kernelspec can carry the server's token into one.
    env = {
        str(key): Template(str(value)).safe_substitute(environment)
        for key, value in (spec.get("env") or {}).items()
    }
    known = {"resource_dir": folder, "prefix": sys.prefix}
    argv = [
        PLACE.sub(lambda found: known.get(found[1], found[0]), str(one))
        for one in spec.get("argv") or ()
    ]
    start = _before_ipykernel(argv)
    if not start:
        return Kernel(
            name,
            label,
            env=env,
            trouble="it is not started as “python -m ipykernel_launcher”, so nobody can tell which Python it runs",
        )
    program = _program(start[0], {**environment, **env}.get("PATH"))
    if program is None:
        return Kernel(
            name,
            label,
            (start[0], *start[1:]),
            env,
            f"its program {start[0]} is not there (any more)",
        )
    return Kernel(name, label, (program, *start[1:]), env)


def _before_ipykernel(argv: Sequence[str]) -> list[str]:
    """What of a kernel's command starts its Python: ``python -m ipykernel_launcher -f …``, also behind a wrapper."""
    for at in range(1, len(argv) - 1):
        if argv[at] == "-m" and argv[at + 1].startswith("ipykernel"):
            return list(argv[:at])
    return []


def _program(first: str, path: str | None) -> str | None:
    """The absolute path of a kernel's program, as jupyter_client finds it; None where there is none."""
    if OURS.fullmatch(first) and first in _own_names():
        return sys.executable
    if not Path(first).is_absolute():
        found = shutil.which(first, path=path) if os.sep not in first else None
        return str(Path(found).absolute()) if found else None
    return first if os.access(first, os.X_OK) and Path(first).is_file() else None


def _own_names() -> tuple[str, ...]:
    major, minor = sys.version_info[:2]
    return "python", f"python{major}", f"python{major}.{minor}"


def _lacking(kernel: Kernel, versions: Mapping[str, str]) -> str:
    """What a kernel's environment lacks for a cluster, and how to mend it; empty where it lacks nothing."""
    if too_old(python := versions.get("python", "")):
        return f"it has Python {python}, and a cluster needs {LEAST} or newer"
    if lack := missing(versions):
        install = " ".join((*kernel.python, "-m", "pip", "install", *lack))
        return f"it lacks {' and '.join(lack)}, which a cluster needs; to install: {install}"
    return ""


def words(found: Sequence[Difference], here: str, there: str) -> tuple[str, tuple[str, ...]]:
    """Differences as a refusal (empty where there is none) and as notes, in sentences."""
    unreadable = [one.words(here, there) for one in found if one.unreadable]
    others = [one.words(here, there) for one in found if not one.unreadable]
    refusal = (
        f"They cannot read each other's messages. {'; '.join(unreadable)}." if unreadable else ""
    )
    notes = (f"Versions differ, which mostly works. {'; '.join(others)}.",) if others else ()
    return refusal, notes
