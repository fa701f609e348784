"""A job as it is handed to a scheduler, and a job as a scheduler sees it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from .records import of_known
from .request import Request

TAG = re.compile(r"shopfloor-[a-z]{1,16}-[0-9a-f]{16}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
ORIGIN = re.compile(r"[0-9a-f]{0,8}")


class State(str, Enum):
    """Where a job is in its life. ENDED always comes with a cause."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


def new_tag(kind: str, origin: str = "") -> str:
    """A tag that no other job has; it is the job's name at the scheduler, and that of its directory.

    ``origin``, at most 8 hexadecimal digits, begins its digits, so that whoever made the job knows it again.
    """
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"origin: {origin!r} is not at most 8 hexadecimal digits")
    tag = f"shopfloor-{kind}-{(origin + secrets.token_hex(8))[:16]}"
    if not TAG.fullmatch(tag):
        raise ValueError(f"kind: {kind!r} is not 1 to 16 lower-case letters")
    return tag


def kind_of(tag: str) -> str:
    """The kind that the tag names; empty where it is no tag of ours."""
    return tag.split("-")[1] if TAG.fullmatch(tag) else ""


def family_of(tag: str) -> str:
    """The origin for tags of jobs that belong to this one, so that who sees no more than names knows them by it.

    Empty where it is no tag of ours.
    """
    return tag[-16:-8] if TAG.fullmatch(tag) else ""


def are_family(one: str, other: str) -> bool:
    """Whether one of these tags was made with :func:`family_of` of the other, or both with that of a third."""
    return family_of(one) == family_of(other) != ""


@dataclass(frozen=True)
class Job:
    """One thing to run: ``command`` (an argument list) for ``owner``, with what ``request`` asks.

    ``env`` and ``secrets`` are variables of the command. Secrets are never handed to the scheduler, which sends and
    stores them in the clear; nor are ``files``, texts by the name of the variable that leads the command to them.
    Both lie in the job's directory, for its owner alone, until the job has ended. ``title`` is for people
    (a server's or cluster's name). ``parent`` is the tag of the job that this one belongs to
    (a worker's cluster), so that it can be found and ended with it.
    """

    tag: str
    owner: str
    kind: str
    request: Request
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    title: str = ""
    parent: str = ""

    def __post_init__(self) -> None:
        if not TAG.fullmatch(self.tag):
            raise ValueError(f"tag: {self.tag!r} is not shopfloor-<kind>-<16 hex digits>")
        if not self.command:
            raise ValueError("command: it is empty")
        for name in self.files:
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"files: {name[:60]!r} is not capital letters, digits and _")

    def to_json(self) -> dict[str, Any]:
        """All but variables and files, which may hold secrets: :meth:`confidential`."""
        return {
            "tag": self.tag,
            "owner": self.owner,
            "kind": self.kind,
            "request": self.request.to_json(),
            "command": list(self.command),
            "title": self.title,
            "parent": self.parent,
        }

    def confidential(self) -> dict[str, dict[str, str]]:
        """Variables and files, for the helper's standard input."""
        return {"env": dict(self.env), "secrets": dict(self.secrets), "files": dict(self.files)}

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        confidential: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Job:
        """Read what :meth:`to_json` and :meth:`confidential` wrote. Raises KeyError, ValueError or Refused."""
        return cls(
            tag=data["tag"],
            owner=data["owner"],
            kind=data["kind"],
            request=Request.from_json(data["request"]),
            command=tuple(data["command"]),
            **{name: dict(values) for name, values in (confidential or {}).items()},
            title=data.get("title", ""),
            parent=data.get("parent", ""),
        )


@dataclass(frozen=True)
class Seen:
    """What a scheduler says of one job. Times are seconds since the epoch, None where it does not know.

    ``id`` is the scheduler's own (``17`` or ``17_3`` in an array); ``reason`` is why it waits and
    ``cause`` why it ended, both in words; ``detail`` is the scheduler's own code. ``address`` is what
    other machines reach the node by. While it waits, ``expected`` is when the scheduler means to start it and
    ``place`` its place among all that wait for the same partition, 1 for the next one.
    """

    id: str
    tag: str
    owner: str
    state: State
    reason: str = ""
    cause: str = ""
    detail: str = ""
    node: str = ""
    address: str = ""
    partition: str = ""
    submitted: float | None = None
    started: float | None = None
    ends: float | None = None
    expected: float | None = None
    place: int | None = None

    @property
    def alive(self) -> bool:
        return self.state is not State.ENDED

    @property
    def index(self) -> int:
        """Which copy of its job this is; 0 where there is one only."""
        index = self.id.partition("_")[2]
        return int(index) if index.isdigit() else 0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "state": self.state.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Seen:
        """Read what :meth:`to_json` wrote. Raises KeyError, TypeError or ValueError."""
        return of_known(cls, {**data, "state": State(data["state"])})
