"""What people see of one kernel that is a job: a row with one state, from what Lab, agent and scheduler say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.offer import hardware
from shopfloor_jobs.request import Request


@dataclass(frozen=True)
class Facts:
    """All that is known of one kernel.

    ``chosen`` is what the person asked for, ``request`` what became of it, None until that is known. ``told`` is what
    the agent said last of its job, None before it answered; ``silence`` for how many seconds it owes an answer.
    ``is_reached``: Lab reaches the kernel itself, too, as far as it has tried.
    ``execution`` is Jupyter's own word for what it does, ``death`` when and why a kernel ended there that was started
    again.
    ``cause`` is why it is over, or empty; ``trouble`` why nobody can say what becomes of it. ``unsaved``: it is over,
    and what its cells printed is in no saved notebook yet.
    """

    id: str
    name: str
    label: str
    chosen: Mapping[str, Any]
    asked: float
    tag: str = ""
    path: str | None = None
    request: Request | None = None
    seen: Seen | None = None
    told: Mapping[str, Any] | None = None
    is_reached: bool = True
    death: Mapping[str, Any] | None = None
    execution: str | None = ""
    silence: float = 0
    cause: str = ""
    trouble: str = ""
    log: str = ""
    unsaved: bool = False
    start: Mapping[str, Any] = field(default_factory=dict)


def state_of(facts: Facts) -> State:
    """The one state of a kernel; it starts while its job runs and Lab does not reach it yet."""
    if facts.cause:
        return State.ENDED
    if facts.told is not None:
        return State.RUNNING if facts.is_reached else State.STARTING
    if facts.seen is None or facts.seen.state in (State.SUBMITTED, State.ENDED):
        return State.SUBMITTED
    return State.PENDING if facts.seen.state is State.PENDING else State.STARTING


def row(facts: Facts, now: float, silent_after: float) -> dict[str, Any]:
    """The row as pages get it, plain types only; ``now`` in epoch seconds, as all its times."""
    state, seen, told = state_of(facts), facts.seen, facts.told or {}
    waits = seen is not None and state is State.PENDING
    over = state is State.ENDED
    silent = not over and facts.silence > silent_after
    idle = told.get("idle")
    return {
        "id": facts.id,
        "tag": facts.tag or None,
        "job_id": (seen.id if seen else "") or facts.start.get("job_id") or None,
        "name": facts.name,
        "label": facts.label,
        "path": facts.path,
        "state": state.value,
        "reason": (seen.reason if waits else "") or (facts.trouble if not over else "") or None,
        "cause": facts.cause or None,
        "detail": (seen.detail if seen else "") or None,
        "expected": seen.expected if waits else None,
        "place": seen.place if waits else None,
        "node": (seen.node if seen else "") or facts.start.get("host") or None,
        "asked": facts.asked,
        "started": seen.started if seen else None,
        "ends": told.get("ends") or (seen.ends if seen else None),
        "request": facts.request.to_json() if facts.request else None,
        "chosen": dict(facts.chosen),
        "hardware": hardware(facts.request) if facts.request else None,
        "execution": _execution(facts) if not over else None,
        "silent_since": round(now - facts.silence) if silent else None,
        "idle": {"after": idle["after"], "ends": idle["ends"]}
        if idle and idle["after"] and not over
        else None,
        "death": facts.death,
        "warning": told.get("warning") if not over else None,
        "ending": told.get("ending"),
        "hook": told.get("hook"),
        "use": told.get("use") if not over else None,
        "gpus": told.get("gpus") or facts.start.get("cuda_visible_devices") or None,
        "gpu_seconds": told.get("gpu_seconds"),
        "log": facts.log or None,
        "unsaved": facts.unsaved,
    }


def _execution(facts: Facts) -> str | None:
    """Jupyter hears each change; what was before this server came, only the agent knows."""
    known = facts.execution in ("idle", "busy")
    return facts.execution if known else (facts.told or {}).get("execution")
