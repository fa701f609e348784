"""What the Lab server hands to a kernel's agent, and what that says of itself; files in the job's directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shopfloor_jobs import directory
from shopfloor_jobs.records import of_known

KIND = "kernel"
ORDER = (
    "SHOPFLOOR_KERNEL"  # the file among the job's private ones, and the variable that leads to it
)
ARRIVAL = "agent.json"
# Seconds in which somebody must want another kernel when one has ended, and the first one when it is there: whoever
# asked for the job may have been ended while it waited.
WANTED_WITHIN = 60.0
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
PORTS = tuple(f"{channel}_port" for channel in CHANNELS)


@dataclass(frozen=True)
class Launch:
    """How the kernel is started. ``{connection_file}`` in ``argv`` stands for the file that the agent writes.

    ``env`` is set beside the job's own, which the scheduler filled; ``cwd`` is left out where there is none.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Launch:
        """Raises KeyError or TypeError."""
        return cls([str(word) for word in data["argv"]], dict(data["env"]), str(data["cwd"]))


@dataclass(frozen=True)
class Order:
    """A kernel to run, and the keys of its doors.

    ``key`` signs Jupyter's messages. ``publickey`` and ``secretkey`` (Z85) are CurveZMQ's, of both sides: the agent
    opens to who proves to hold the same pair, which is how jupyter_client 8.10 connects. ``scheduler`` is the offer's
    configuration of it, ``peer`` a host that must be able to route to the agent. ``idle`` is the rule by which the job
    ends for want of work, as shopfloor_jobs.idle has it in JSON; never, where it is empty.
    """

    launch: Launch
    key: str
    signature_scheme: str
    publickey: str
    secretkey: str
    kernel_name: str
    scheduler: Mapping[str, Any]
    peer: str = ""
    idle: Mapping[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """As it lies among the job's private files."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, path: Path) -> Order:
        """Raises OSError, KeyError or TypeError."""
        data = directory.read_json(path)
        if data is None:
            raise FileNotFoundError(2, "there is no order of a kernel", str(path))
        return of_known(cls, {**data, "launch": Launch.from_json(data["launch"])})


@dataclass(frozen=True)
class Arrival:
    """Where an agent listens: the kernel's ``ports`` by jupyter_client's names, and ``orders`` for its own."""

    host: str
    ports: Mapping[str, int]
    orders: int

    def write(self, path: Path) -> None:
        """Raises OSError."""
        directory.write_json(path / ARRIVAL, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Arrival | None:
        """What the agent of the job with this directory says, or None while it says nothing. Raises OSError."""
        data = directory.read_json(path / ARRIVAL)
        try:
            return None if data is None else of_known(cls, data)
        except TypeError:
            return None
