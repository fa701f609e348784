"""What others may see of somebody's cluster: the one list of it, for Lab, which tells, and the hub, which passes on.

Only what is named here leaves the owner's hands, with bounded lengths: no log, no command, no address, no certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .fields import Refused

MOST_ROWS = 1050  # of workers: as many as one cluster may have, and those that are over lately; none is left out
MOST_KINDS = 20  # of tasks, and of troubles
MOST_SAMPLES = 120
MOST = 2**53  # what a browser counts exactly
STATES = ("submitted", "pending", "starting", "running", "ended")
WORKER_STATES = (
    "requested", "submitted", "pending", "starting", "connected", "lost", "failed", "ended",
)  # fmt: skip

# What was added since: a Lab that runs on while the hub is upgraded does not tell it.
LATER = {"expected": None, "place": None}

Read = Callable[[str, Any], Any]


def _text(length: int) -> Read:
    def read(field: str, value: Any) -> str:
        if not isinstance(value, str):
            raise Refused(field, value, "a text")
        return value if len(value) <= length else value[: length - 1] + "…"

    return read


def _word(*words: str) -> Read:
    def read(field: str, value: Any) -> str:
        if value not in words:
            raise Refused(field, value, f"one of {', '.join(words)}")
        return str(value)

    return read


def _number(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(field, value, "a number")
    if not -MOST <= value <= MOST:  # nor is what is no number at all, NaN
        raise Refused(field, value, "a finite number of at most 53 bits")
    return value


def _or_none(one: Read) -> Read:
    return lambda field, value: None if value is None else one(field, value)


def _list(one: Read, most: int) -> Read:
    def read(field: str, value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise Refused(field, value, "a list")
        # The newest are at the end.
        return [one(f"{field}[{at}]", item) for at, item in enumerate(value[-most:])]

    return read


def _object(**fields: Read) -> Read:
    def read(field: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Refused(field, value, "an object")
        if missing := [name for name in fields if name not in value]:
            raise Refused(f"{field}.{missing[0]}", None, "needed")
        return {name: one(f"{field}.{name}", value[name]) for name, one in fields.items()}

    return read


_WORKER = _object(
    name=_text(64),
    state=_word(*WORKER_STATES),
    reason=_or_none(_text(120)),
    expected=_or_none(_number),
    place=_or_none(_number),
    since=_or_none(_number),
    node=_or_none(_text(64)),
    exit=_or_none(_number),
    tries=_number,
    memory=_or_none(_number),
    memory_limit=_or_none(_number),
    cpu=_or_none(_number),
    gpus=_or_none(_text(64)),
)
_FIGURES = _object(
    cpu=_number,
    cpus=_number,
    results=_number,
    spilled=_number,
    unmanaged=_number,
    rate=_or_none(_number),
    progress=_or_none(
        _object(
            done=_number,
            all=_number,
            groups=_list(_object(name=_text(60), done=_number, all=_number), MOST_KINDS),
        )
    ),
)
_VIEW = _object(
    name=_text(40),
    state=_word(*STATES),
    reason=_or_none(_text(500)),
    cause=_or_none(_text(500)),
    expected=_or_none(_number),
    place=_or_none(_number),
    node=_or_none(_text(64)),
    started=_or_none(_number),
    ends=_or_none(_number),
    workers=_object(
        wanted=_number,
        connected=_number,
        adapt=_or_none(_object(minimum=_number, maximum=_number)),
        rows=_list(_WORKER, MOST_ROWS),
    ),
    memory=_number,
    memory_limit=_number,
    tasks=_object(processing=_number, waiting=_number, memory=_number, erred=_number),
    troubles=_list(
        _object(kind=_text(40), text=_text(300), next=_text(300), since=_number), MOST_KINDS
    ),
    figures=_or_none(_FIGURES),
    # How it went: epoch seconds, bytes of memory, per cent of one CPU and tasks per second, of the whole cluster.
    history=_list(
        _object(at=_number, memory=_number, cpu=_number, rate=_or_none(_number)), MOST_SAMPLES
    ),
)


def clean(view: Any) -> dict[str, Any]:
    """What may be shown of a cluster as the panel knows it: what is not meant for others is left out, what is too
    long is cut. Raises Refused where something has another shape, and names it."""
    return _VIEW("view", {**LATER, **view} if isinstance(view, Mapping) else view)
