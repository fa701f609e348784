"""The one request that every job is made from; its definition is the one table of fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fields import Field, Refused, nearest


def _field(type_: str, label: str, term: str, help_: str, default: int | str, minimum: int = 0):
    return dataclasses.field(
        default=default,
        metadata={"type": type_, "label": label, "term": term, "help": help_, "minimum": minimum},
    )


@dataclass(frozen=True)
class Request:
    """What one job is to get. Memory in bytes and per node, time in seconds, GPUs per node.

    This class is the one table of fields: name, type, label, Slurm's term, help and default stand here
    and nowhere else.
    """

    cpus: int = _field("integer", "CPUs", "cpus-per-task", "CPU cores on each node.", 1, 1)
    memory: int = _field(
        "bytes",
        "Memory",
        "mem",
        "Main memory on each node; a job that uses more is ended.",
        2 * 1024**3,
        64 * 1024**2,
    )
    gpus: int = _field("integer", "GPUs", "gpus-per-node", "GPUs on each node.", 0)
    gpu_type: str = _field(
        "choice", "GPU type", "gres type", "Kind of GPU; empty takes any kind.", ""
    )
    nodes: int = _field("integer", "Nodes", "nodes", "Computers that the job gets.", 1, 1)
    time: int = _field(
        "seconds",
        "Time limit",
        "walltime",
        "The job is ended after this time; you are warned before.",
        2 * 3600,
        60,
    )
    partition: str = _field(
        "choice", "Hardware", "partition", "Which group of nodes the job runs on.", ""
    )
    account: str = _field("choice", "Project", "account", "Which project pays for the job.", "")
    qos: str = _field("choice", "Priority class", "QOS", "Service class of the job.", "")
    reservation: str = _field(
        "choice",
        "Booked seats",
        "reservation",
        "Nodes that were reserved, for a course for example.",
        "",
    )
    environment: str = _field(
        "choice", "Software", "environment", "The software that the job runs in.", ""
    )

    def to_json(self) -> dict[str, int | str]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Read a request as :meth:`to_json` wrote it. Raises :class:`Refused`; the offer's limits are not checked."""
        return cls(**parse_fields(data))


FIELDS: dict[str, Field] = {
    field.name: Field(name=field.name, default=field.default, **field.metadata)  # type: ignore[arg-type]
    for field in dataclasses.fields(Request)
}


def parse_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read a partial request: only the fields that are given, each of its right type.

    Raises :class:`Refused` for an unknown key (naming the nearest known one) and for values that are not
    of the field's form or below its least. How much can be had is the offer's concern.
    """
    parsed = {}
    for key, value in values.items():
        if key not in FIELDS:
            # The name goes into messages and logs, so only one that could be a name is repeated there.
            if not isinstance(key, str) or len(key) > 64 or not key.isprintable():
                raise Refused("options", key, "there is no such field")
            raise Refused(key, value, f"there is no such field{nearest(key, FIELDS)}")
        parsed[key] = FIELDS[key].parse(value)
    return parsed
