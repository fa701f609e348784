"""The versions of what client, scheduler and workers exchange: this process's own, and what a difference means.

inspecting.py asks another interpreter for the same; listing.py compares before a cluster is queued, client.py before
a notebook connects. Standard library only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

PACKAGES = ("dask", "distributed", "cloudpickle", "numpy", "pandas", "pyarrow")
# What a cluster's jobs import beside our own code, which comes along (carried.py); import names, by distribution.
NEEDED = {
    "dask": "dask",
    "distributed": "distributed",
    "dask-jobqueue": "dask_jobqueue",
    "cryptography": "cryptography",
}
LEAST_PYTHON = (3, 10)

# distributed itself refuses nothing: it prints a table and lets the first task fail (distributed/versions.py). Which
# difference ends in what follows from what is sent. Functions travel as byte code, which another minor version of
# Python cannot run, inside pickles of cloudpickle's; graphs travel as objects of dask's and distributed's own
# classes, which both change with any release. Arrays and frames are pickled by their own libraries, which mostly
# read one another's.
EXACT = ("dask", "distributed")
MINOR = ("python", "cloudpickle")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Difference:
    """One package of which two environments have different versions; ``there`` is empty where it is not installed.

    ``unreadable`` is whether the two cannot read each other's messages.
    """

    package: str
    here: str
    there: str
    unreadable: bool

    def words(self, here: str, there: str) -> str:
        """``pandas: 3.1.0 in the notebook, 2.3.3 on the workers``; ``here`` and ``there`` say where."""
        name = "Python" if self.package == "python" else self.package
        return f"{name}: {self.here} {here}, {self.there or 'not installed'} {there}"


def versions_here() -> dict[str, str]:
    """Of this process: ``python`` and each of :data:`PACKAGES` that is installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[Difference]:
    """What a client with ``here`` and a cluster with ``there`` do not have in common, the unreadable first.

    A patch of Python changes nothing that is sent, so it is no difference. Nor is what only the cluster has: nobody
    who lacks a package sends anything of it.
    """
    found = []
    for name in ("python", *PACKAGES):
        ours, theirs = here.get(name, ""), there.get(name, "")
        if not ours or _same(ours, theirs):
            continue
        unreadable = name in EXACT or (name in MINOR and not _same_minor(ours, theirs))
        if unreadable or name != "python":
            found.append(Difference(name, ours, theirs, unreadable))
    return sorted(found, key=lambda one: not one.unreadable)


def missing(there: Mapping[str, str]) -> list[str]:
    """The distributions that a cluster's jobs need and that are not among these."""
    return [name for name in NEEDED if not there.get(name)]


def too_old(python: str) -> bool:
    """Whether our own code does not run on this version of Python."""
    return _numbers(python)[:2] < LEAST_PYTHON


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    # 1.0 is 1.0.0; whatever follows the numbers (a release candidate, a build of one's own) is another version.
    heads = [_NUMBERS.match(text) for text in (one, other)]
    tails = {
        text[head.end() :] if head else text for text, head in zip((one, other), heads, strict=True)
    }
    return all(heads) and len(tails) == 1 and _numbers(one) == _numbers(other)


def _same_minor(one: str, other: str) -> bool:
    return bool(other) and (*_numbers(one), 0, 0)[:2] == (*_numbers(other), 0, 0)[:2]


def _numbers(text: str) -> tuple[int, ...]:
    """``3.1.0`` as (3, 1); nothing for what begins with no number."""
    found = _NUMBERS.match(text)
    numbers = [int(part) for part in found.group().split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
