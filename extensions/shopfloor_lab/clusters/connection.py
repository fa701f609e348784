"""What a cluster keeps in its job's directory, where Lab server, kernels and controller find one another.

``cluster.json`` is the plan, written before the job is submitted, so that nothing is lost between the two;
``connection.json`` says how to reach the controller, and exists while it runs, as does ``tls/``;
``workers.json`` names the jobs of its workers and ``first.json`` those that Lab asked for, ``ended.json`` why the
controller itself ended, ``took.json`` what its workers took till then, and ``share.json`` who else may see it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from shopfloor_jobs import directory
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.records import of_known

KIND = "cluster"
MOST_WORKERS = 1000  # of one cluster, whatever a site allows; Slurm's arrays usually hold as many
NAME = re.compile(r"[A-Za-z0-9_.-](?:[A-Za-z0-9 _.-]{0,38}[A-Za-z0-9_.-])?")

PLAN, CONNECTION, WORKERS, ENDED, TLS = (
    "cluster.json",
    "connection.json",
    "workers.json",
    "ended.json",
    "tls",
)
SCRATCH = "scratch"
SHARE = "share.json"
TOOK = "took.json"
FIRST = "first.json"

_Record = TypeVar("_Record", bound="_Stored")


class _Stored:
    """A record that lies in a cluster's directory as one JSON file, readable by its owner only."""

    file: str

    def write(self, path: Path) -> None:
        directory.write_json(path / self.file, asdict(self))  # type: ignore[call-overload]

    @classmethod
    def read(cls: type[_Record], path: Path) -> _Record | None:
        """The record in a cluster's directory, or None where there is none (or not one of ours)."""
        data = directory.read_json(path / cls.file)
        if data is None:
            return None
        try:
            # What a record of an earlier version lacks has a default.
            return of_known(cls, data)
        except TypeError:
            return None


@dataclass(frozen=True)
class Plan(_Stored):
    """What was asked for: so many ``workers``, or between the two numbers of ``adapt``, each with ``request``.

    ``scheduler`` is the offer's configuration of it, ``peer`` a host (the hub's) that must be able to route to the
    controller; ``created`` is in seconds since the epoch. ``software`` is what it runs in: the ``kernel``'s name and
    ``label``, and the ``env`` that every job of the cluster gets beside what is passed on. ``idle`` is the rule by
    which it ends, see :class:`shopfloor_jobs.idle.Rule`; ``lasts`` how many seconds it may last, where that was asked,
    and ``most`` the site's number of workers. ``beside_lab``: it is no job of its own, see beside.py, but part
    of the job with the tag ``lab``, which is empty for a Lab server that is none.
    """

    name: str
    workers: int
    request: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    peer: str
    created: float
    software: Mapping[str, Any] = field(default_factory=dict)
    idle: Mapping[str, float] = field(default_factory=dict)
    adapt: Mapping[str, int] | None = None
    lasts: int | None = None
    most: int = 128
    beside_lab: bool = False
    lab: str = ""

    file = PLAN


@dataclass(frozen=True)
class Connection(_Stored):
    """How a running cluster is reached: the scheduler's address, and files with the client's certificate.

    ``ends`` is when its job's time is up, in seconds since the epoch like ``started``; None if unknown.
    ``versions`` are those of the software that it runs in (versions.py), for whoever connects to compare; ``most`` is
    the largest number of workers.
    """

    id: str
    name: str
    address: str
    ca: str
    certificate: str
    key: str
    job_id: str
    node: str
    started: float
    ends: float | None
    versions: Mapping[str, str] = field(default_factory=dict)
    most: int = 128

    file = CONNECTION


@dataclass(frozen=True)
class First(_Stored):
    """The workers that were asked for together with the cluster's own job: ``names`` by the copy of the job ``tag``.

    ``ids`` are the scheduler's, and ``refused`` its words; both are empty while nobody knows what came of it.
    """

    tag: str
    names: Sequence[str]
    ids: Sequence[str] = ()
    refused: str = ""

    file = FIRST


STOPPED = "You stopped it."


@dataclass(frozen=True)
class Ended(_Stored):
    """Why the controller ended, in words, where it knows better than the runner beside it."""

    cause: str
    ended: float

    file = ENDED


@dataclass(frozen=True)
class Took(_Stored):
    """What the jobs of its workers took in all, as its controller left it at the end."""

    cpu_seconds: int
    gpu_seconds: int

    file = TOOK


@dataclass(frozen=True)
class Share(_Stored):
    """That others may see the cluster, as the hub granted it: sharing.py repeats it there.

    ``people`` and ``teams`` are names, ``until`` is in seconds since the epoch of the hub's clock.
    """

    grant: str
    people: Sequence[str]
    teams: Sequence[str]
    until: float

    file = SHARE


def cluster_directories(home: Path) -> Iterator[Path]:
    """The directories of all clusters that have a plan."""
    for path in directory.jobs_root(home).glob(f"shopfloor-{KIND}-*"):
        if directory.TAG.fullmatch(path.name) and (path / PLAN).is_file():
            yield path


def write_workers(path: Path, tags: Mapping[str, Sequence[str]]) -> None:
    """Record the workers' names by the tags of their jobs, one for each copy. Raises OSError."""
    directory.write_json(
        path / WORKERS, {"tags": {tag: list(names) for tag, names in tags.items()}}
    )


def read_workers(path: Path) -> dict[str, list[str]]:
    return dict((directory.read_json(path / WORKERS) or {}).get("tags", {}))


def remove_secrets(path: Path) -> None:
    """Remove what only a running cluster needs: connection, certificates, spilled data."""
    with contextlib.suppress(FileNotFoundError):
        (path / CONNECTION).unlink()
    for name in (TLS, SCRATCH):
        shutil.rmtree(path / name, ignore_errors=True)


def left_behind(path: Path) -> bool:
    """Whether a cluster that has ended did not clear up after itself: its controller was killed, or never began."""
    if any((path / name).exists() for name in (CONNECTION, TLS, WORKERS)):
        return True
    # What a job is given is its runner's to remove, if there was ever one.
    return (path / directory.PRIVATE).exists() and directory.start_record(path) is None


def check_name(name: Any) -> str:
    """A name that a person gave a cluster. Raises Refused."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Refused(
            "name", name, "1 to 40 letters, digits, spaces and _ . - (no space at the ends)"
        )
    return name


@dataclass(frozen=True)
class Most:
    """How many workers there may be, and why, where that is not the site's own number."""

    workers: int = MOST_WORKERS
    why: str = ""


ANY = Most()


def check_workers(workers: Any, most: Most = ANY) -> int:
    """A number of workers, where there may be so many. Raises Refused."""
    if not isinstance(workers, int) or isinstance(workers, bool):
        raise Refused("workers", workers, "a whole number")
    if not 0 <= workers <= most.workers:
        why = f": {most.why}" if most.why else ""
        raise Refused("workers", workers, f"from 0 to {most.workers}{why}")
    return workers
