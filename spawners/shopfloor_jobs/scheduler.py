"""What a scheduler can do, for Slurm and for one machine alike; the contract suite in tests/jobs holds both to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .accounts import Accounts
from .fields import shorten
from .job import Job, Seen
from .request import Request
from .runner import PASSED


class SchedulerError(Exception):
    """The scheduler did not do what it was asked; the text is fit for the person who asked."""


class SubmitRefused(SchedulerError):
    """The scheduler will not run this job; carries its own words. Asking the same again is of no use."""


class Unreachable(SchedulerError):
    """The scheduler did not answer, or not cleanly: nothing is known, what was asked may have happened."""


class NothingNew(Exception):
    """What a look said last still stands: whoever was asked answers, and has not looked since or seen no change."""


@dataclass(frozen=True)
class PartitionInfo:
    """What the scheduler itself says of a partition.

    ``cpus``, ``memory`` (bytes) and ``gpus`` (count by type) are those of its largest node; ``time`` is the
    longest job in seconds, None where there is no limit. ``submit_from`` names the nodes that may submit jobs to it,
    as the scheduler writes them; empty: all.
    """

    name: str
    nodes: int
    cpus: int
    memory: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    time: int | None = None
    default: bool = False
    up: bool = True
    submit_from: str = ""


@dataclass(frozen=True)
class NodeInfo:
    """What one node has and what of it nobody uses now: memory in bytes, GPUs as count by type.

    ``usable`` is false where the scheduler puts no new job at the moment (down, drained, reserved).
    """

    name: str
    partitions: tuple[str, ...]
    cpus: int
    memory: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    free_cpus: int = 0
    free_memory: int = 0
    free_gpus: Mapping[str, int] = field(default_factory=dict)
    usable: bool = True


@dataclass(frozen=True)
class Description:
    """The machine as its scheduler describes it; ``addresses`` maps node names to what reaches them."""

    name: str
    version: str
    partitions: tuple[PartitionInfo, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[NodeInfo, ...] = ()

    def partition(self, name: str) -> PartitionInfo | None:
        return next((one for one in self.partitions if one.name == name), None)


class Scheduler(Protocol):
    """Every method may raise :class:`Unreachable`."""

    async def submit(self, job: Job, count: int = 1) -> list[str]:
        """Ensure that ``count`` copies of the job live, and return their ids.

        A living job with the same tag is found rather than submitted again, so that asking twice, or after
        a crash, is safe. Copy ``i`` finds ``SHOPFLOOR_INDEX=i`` in its environment. Raises
        :class:`SubmitRefused`.
        """

    def shown(self, job: Job, count: int = 1) -> list[str]:
        """The command that :meth:`submit` would run, for people to read; runs nothing and holds no variables."""

    async def cancel(self, owner: str, ids: Sequence[str]) -> None:
        """End these jobs of the owner, politely first; unknown and ended ones are no error."""

    async def signal(self, owner: str, ids: Sequence[str], signal: int) -> None:
        """Send a signal number to the command of each running job; others are no error."""

    async def look(self) -> list[Seen]:
        """All of Shopfloor's jobs in one call: living ones, and those that ended lately."""

    async def past(self, owner: str, tag: str) -> Seen | None:
        """The owner's job with this tag by the scheduler's accounts, for one that :meth:`look` no longer shows.

        None where nothing is known of it, or no accounts are kept.
        """

    async def describe(self) -> Description:
        """Partitions, GPUs and limits."""

    async def accounts(self) -> Accounts:
        """Everybody's projects and reservations; nothing where the scheduler knows none."""

    async def estimate(self, owner: str, request: Request) -> float:
        """When a job with this request would start, in epoch seconds. Raises SubmitRefused with the reason."""

    async def tail(self, owner: str, tag: str, lines: int = 20) -> str:
        """The last lines that a job wrote, read as its owner; empty when there are none."""

    async def discard(self, owner: str, tag: str) -> None:
        """Remove secrets and files of a job that has ended; of one that has none this is no error."""

    async def records(self, owner: str, tag: str, index: int = 0) -> dict[str, Any]:
        """The runner's records of one copy: ``{"start": …, "exit": …}``, None where there is none yet."""

    async def files(self, owner: str, tag: str) -> dict[str, str]:
        """What of the job's directory a help bundle may hold, by file name, read as its owner; not yet masked.

        Raises :class:`SubmitRefused` where there is no such directory any more.
        """


def check_signal(number: int) -> int:
    """The number of a signal that the runner passes on. Raises SchedulerError for any other."""
    if number not in PASSED:
        names = ", ".join(one.name for one in PASSED)
        raise SchedulerError(f"signal: {number!r} is not possible: one of {names}")
    return int(number)


def scheduler_from(config: Mapping[str, Any]) -> Scheduler:
    """The scheduler that a configuration names, such as the one inside an offer.

    ``{"type": "slurm", "conf": "/etc/slurm/slurm.conf"}`` or ``{"type": "local", "state": "/dir"}``.
    Raises ValueError for an unknown type, and for an option that it does not have or needs, or that is of another type.
    """
    options = {key: value for key, value in config.items() if key != "type"}
    if config.get("type") == "slurm":
        from .slurm import Slurm

        return _made(Slurm, "slurm", options)
    if config.get("type") == "local":
        from .local import Local

        return _made(Local, "local", options)
    raise ValueError(f"scheduler.type: {config.get('type')!r} is neither 'slurm' nor 'local'")


# What a configuration can say, by the annotation of the option; one with any other is set by code alone.
_SAID = {
    "str": ((str,), "text"),
    "str | None": ((str, type(None)), "text"),
    "float": ((float, int), "a number"),
}


def _made(kind: Callable[..., Scheduler], name: str, options: Mapping[str, Any]) -> Scheduler:
    possible = {
        option: one
        for option, one in inspect.signature(kind).parameters.items()
        if one.annotation in _SAID
    }
    for option, value in options.items():
        if option not in possible:
            known = ", ".join(possible)
            raise ValueError(f"scheduler.{option}: unknown for {name!r}; possible are {known}")
        types, what = _SAID[possible[option].annotation]
        if not isinstance(value, types) or isinstance(value, bool):
            raise ValueError(f"scheduler.{option}: {shorten(value)} is not possible: {what}")
    for option, one in possible.items():
        if one.default is one.empty and option not in options:
            raise ValueError(f"scheduler.{option}: is missing for {name!r}")
    return kind(**options)
