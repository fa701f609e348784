"""What a cluster's files, its controller's answer and the scheduler's word make together; no I/O but reading files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shopfloor_jobs import directory
from shopfloor_jobs.job import Seen, State

from .connection import Connection, Ended, Plan, Share, Took

UNSEEN = 30  # seconds for which a submitted job may be missing in the scheduler's list
LOG_LINES = 20
UNKNOWN = "The scheduler no longer knows it."
SILENT = "It does not answer at the moment."
ENDED_WITH_LAB = "The Lab server beside which it ran has ended."


@dataclass(frozen=True)
class Files:
    """What lies in a cluster's directory."""

    id: str
    path: Path
    plan: Plan
    connection: Connection | None
    start: Mapping[str, Any]
    end: Ended | None
    exit: Mapping[str, Any] | None
    log: str
    share: Share | None = None
    took: Took | None = None

    @property
    def ended(self) -> bool:
        return self.exit is not None or self.end is not None


@dataclass(frozen=True)
class Sight:
    """What the scheduler says of the controller's job, where it was asked.

    ``gone`` is its word that the job is no more, ``silence`` why it said nothing, and ``last`` the state that
    was shown before. ``trouble`` is what Lab itself found to be wrong, in words.
    """

    last: str | None = None
    seen: Seen | None = None
    gone: bool = False
    silence: str = ""
    trouble: str = ""


def read(path: Path) -> Files | None:
    """What lies in a directory, or None if it is no cluster's."""
    plan = Plan.read(path)
    if plan is None:
        return None
    end, exit_record = Ended.read(path), directory.exit_record(path)
    return Files(
        id=path.name,
        path=path,
        plan=plan,
        connection=Connection.read(path),
        start=directory.start_record(path) or {},
        end=end,
        exit=exit_record,
        log=directory.tail(path, LOG_LINES) if end or exit_record else "",
        share=Share.read(path),
        took=Took.read(path),
    )


def describe(
    files: Files,
    answer: Mapping[str, Any] | None,
    sight: Sight,
    now: float,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The cluster as the contract with the panel has it.

    ``before`` is what the controller answered last: while it does not answer, its workers and results are not gone.
    """
    seen = sight.seen
    state, reason, cause = _state(files, answer, sight, now)
    ended, connection = state == State.ENDED.value, files.connection
    if answer is None and state == State.RUNNING.value:
        answer = before
    if answer is None or ended:
        answer = _nothing(files.plan)
    started = files.start.get("started") or (seen.started if seen else None)
    queued = seen if state == State.PENDING.value else None
    return {
        "id": files.id,
        "name": files.plan.name,
        "state": state,
        "reason": reason or None,
        "cause": cause or None,
        "detail": (seen.detail if seen else "") or None,
        "expected": queued.expected if queued else None,
        "place": queued.place if queued else None,
        "node": files.start.get("host") or (seen.node if seen else "") or None,
        "started": started,
        "ends": files.start.get("ends") or (seen.ends if seen else None),
        "workers": answer["workers"],
        "memory": answer["memory"],
        "memory_limit": answer["memory_limit"],
        "tasks": answer["tasks"],
        "idle": answer.get("idle"),
        "figures": answer.get("figures"),
        "spent": asdict(files.took) if ended and files.took else answer.get("spent"),
        # An earlier version's cluster tells of none.
        "troubles": answer.get("troubles", []),
        "request": dict(files.plan.request),
        "lasts": files.plan.lasts,
        "kernel": files.plan.software.get("kernel"),
        "software": files.plan.software.get("label"),
        "job_id": files.start.get("job_id")
        or (connection.job_id if connection else "")
        or (seen.id if seen else "")
        or None,
        "shared": None if ended else shared_with(files.share, now),
        "log": (files.log or (files.exit or {}).get("tail") or None) if ended else None,
    }


def _state(
    files: Files,
    answer: Mapping[str, Any] | None,
    sight: Sight,
    now: float,
) -> tuple[str, str, str]:
    """State, reason (why it waits) and cause (why it ended)."""
    if files.ended:
        return State.ENDED.value, "", _cause(files, sight)
    if answer is not None:
        return State.RUNNING.value, str(answer.get("problem") or ""), ""
    if sight.silence:
        # Unknown is not dead: what was true before is shown, and that it is old.
        return sight.last or _state_of_files(files), f"Not known now: {sight.silence}", ""
    seen = sight.seen
    if seen is None:
        if sight.gone and (files.start or now - files.plan.created > UNSEEN):
            return State.ENDED.value, "", ENDED_WITH_LAB if files.plan.beside_lab else UNKNOWN
        quiet = SILENT if files.connection else ""
        return sight.last or _state_of_files(files), quiet, ""
    if not seen.alive:
        return State.ENDED.value, "", _cause(files, sight)
    if seen.state is not State.RUNNING:
        return seen.state.value, seen.reason, ""
    if files.connection is None:
        return State.STARTING.value, "", ""
    return State.RUNNING.value, sight.trouble or SILENT, ""


def _state_of_files(files: Files) -> str:
    if files.connection:
        return State.RUNNING.value
    return State.STARTING.value if files.start else State.SUBMITTED.value


def _cause(files: Files, sight: Sight) -> str:
    if files.end:
        return files.end.cause
    seen = sight.seen.cause if sight.seen else ""
    cause = (files.exit or {}).get("cause") or seen or "It ended."
    return f"{cause}; {sight.trouble}" if sight.trouble else cause


def shared_with(share: Share | None, now: float) -> dict[str, Any] | None:
    """Who else may see it, and until when."""
    if share is None or share.until <= now:
        return None
    return {"people": list(share.people), "teams": list(share.teams), "until": share.until}


def _nothing(plan: Plan) -> dict[str, Any]:
    return {
        "workers": {"wanted": plan.workers, "connected": 0, "adapt": plan.adapt, "rows": []},
        "memory": 0,
        "memory_limit": 0,
        "tasks": {"processing": 0, "waiting": 0, "memory": 0, "erred": 0},
    }
