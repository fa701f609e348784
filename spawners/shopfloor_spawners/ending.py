"""How a server ended, in a person's words: what happened, what is safe, what to do next; endings.py keeps them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.offer import LIMITED, Offer
from shopfloor_jobs.request import FIELDS, Request

from .refusals import refused

LONGEST_CAUSE = 300  # letters
AT = "{at}"  # where a sentence names the time, which pages show in the reader's time zone
SAVED = "Your saved files are safe. What was only in the memory of a notebook is gone."
UNTOUCHED = "Nothing was lost: JupyterLab had not started."


@dataclass(frozen=True)
class Facts:
    """What is known of a server's end when it is told.

    ``seen`` is the job as the scheduler showed it last and ``exit`` the runner's exit record, None where there is
    none. ``ended_by`` is who stopped the server through the hub, empty if nobody did; ``hub_cancelled`` whether
    the hub cancelled the job, for whatever reason. ``failure`` and ``said`` are the reason and the words of a
    :class:`~shopfloor_spawners.options.StartRefused`. ``now`` is epoch seconds.
    """

    tag: str
    owner: str
    request: Request
    options: Mapping[str, Any]
    was_ready: bool
    now: float
    seen: Seen | None = None
    exit: Mapping[str, Any] | None = None
    ended_by: str = ""
    hub_cancelled: bool = False
    failure: str = ""
    said: str = ""
    log: str = ""

    @property
    def at(self) -> float:
        """When it ended: the runner knows best, then the scheduler."""
        if self.exit and isinstance(self.exit.get("ended"), int | float):
            return float(self.exit["ended"])
        ended = self.seen if self.seen and self.seen.state is State.ENDED else None
        return min(ended.ends, self.now) if ended and ended.ends else self.now

    @property
    def cause(self) -> str:
        """What the runner wrote, else what the scheduler says."""
        # The person's own process wrote it.
        written = str((self.exit or {}).get("cause") or "")[:LONGEST_CAUSE]
        return written or (self.seen.cause if self.seen else "")

    @property
    def node(self) -> str:
        return self.seen.node if self.seen and self.seen.node else ""


@dataclass(frozen=True)
class Ending:
    """One end. ``kind`` names its cause, ``at`` is epoch seconds, ``sentence`` holds :data:`AT` where the time goes.

    ``change`` is what to ask differently the next time (values of the request's fields), ``options`` and
    ``request`` what was asked. ``detail`` is the scheduler's own code, ``log`` the last lines, secrets masked.
    """

    tag: str
    kind: str
    at: float
    sentence: str
    safe: str = ""
    step: str = ""
    change: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    log: str = ""
    more_follows: bool = False

    def text(self) -> str:
        """The sentence with the time as the hub's clock has it."""
        clock = datetime.fromtimestamp(self.at).astimezone().strftime("%H:%M")
        return self.sentence.replace(AT, clock, 1)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ending:
        """Read what :meth:`to_json` wrote. Raises TypeError for anything else."""
        return cls(**data)


def ending_of(facts: Facts) -> Ending:
    """The end that the facts tell. Who ended it through the hub comes first, then what the scheduler says."""
    for tell in (_stopped, _not_started, _by_the_scheduler, _by_the_runner):
        if told := tell(facts):
            break
    else:
        told = _unknown(facts)
    kind, sentence, step, change = told
    return Ending(
        tag=facts.tag,
        kind=kind,
        at=facts.at,
        sentence=sentence,
        safe=SAVED if facts.was_ready else UNTOUCHED,
        step=step,
        change=change,
        options=dict(facts.options),
        request=facts.request.to_json(),
        detail=f"job {facts.seen.id}: {facts.seen.detail}" if facts.seen else "",
        log=facts.log,
    )


# Each tells (kind, sentence, next step, what to ask differently), or None where it does not know.
Told = tuple[str, str, str, dict[str, int]]


def _stopped(facts: Facts) -> Told | None:
    if not facts.ended_by:
        return None
    mine = facts.ended_by == facts.owner
    if facts.was_ready:
        change, step = {}, ""
        if _ran_out_of_memory(facts):
            # A kernel was ended, say, and the server lived on.
            change, step = _twice(facts, "memory"), "A program in it had run out of memory."
        told = f"You stopped it at {AT}." if mine else f"Stopped at {AT} by {facts.ended_by}."
        return "stopped", told, step, change
    if mine:
        return "cancelled", f"You cancelled it at {AT}, before it was ready.", "", {}
    return "cancelled", f"Cancelled at {AT} by {facts.ended_by}, before it was ready.", "", {}


def _not_started(facts: Facts) -> Told | None:
    if facts.failure == "refused":
        kind, sentence, step = refused(facts.said, AT)
        return kind, sentence, step, {}
    if facts.failure == "unreachable":
        return (
            "unreachable",
            f"Nothing could be started at {AT}: {facts.said}.",
            "Try again soon.",
            {},
        )
    if facts.failure == "no_report":
        on = f" on {facts.node}" if facts.node else ""
        step = "Look at the last lines, then try again; if it fails again, get help."
        return "silent", f"It ran{on}, but JupyterLab did not answer until {AT}.", step, {}
    return None


def _by_the_scheduler(facts: Facts) -> Told | None:
    code = facts.seen.detail if facts.seen and facts.seen.state is State.ENDED else ""
    node = facts.node or "Its node"
    if _ran_out_of_memory(facts):
        sentence = f"Ran out of memory at {AT}: {_memory(facts)}."
        return "out_of_memory", sentence, "", _twice(facts, "memory")
    if code in ("TIMEOUT", "DEADLINE") or "reached its time limit" in facts.cause:
        limit = FIELDS["time"].show(facts.request.time)
        sentence = f"Ended at its time limit of {limit}, at {AT}."
        return "time_limit", sentence, "", _twice(facts, "time")
    if code == "NODE_FAIL":
        return "node_lost", f"{node} stopped answering at {AT}.", "Start it again.", {}
    if code == "BOOT_FAIL":
        return "node_lost", f"{node} could not be started at {AT}.", "Start it again.", {}
    if facts.cause in ("the machine was restarted", "its start was interrupted"):
        return "node_lost", f"Ended at {AT}, for {facts.cause}.", "Start it again.", {}
    if code == "PREEMPTED":
        step = "Start it again: it waits for its turn. Another priority class may not be preempted."
        return "preempted", f"Preempted by a job of higher priority at {AT}.", step, {}
    if code == "REVOKED":
        return "moved", f"Moved to another cluster at {AT}.", "Start it again.", {}
    if not facts.hub_cancelled and (code == "CANCELLED" or facts.cause == "was stopped"):
        step = "Somebody used the cluster's own commands, or an administrator did. Start it again."
        return "cancelled", f"Cancelled at {AT} outside Shopfloor.", step, {}
    return None


def _by_the_runner(facts: Facts) -> Told | None:
    cause = facts.cause
    if facts.hub_cancelled or not cause:
        return None
    if facts.was_ready:
        if cause == "ended by itself":
            return "finished", f"Shut down from inside JupyterLab at {AT}.", "", {}
        if idle := re.fullmatch(r"ended after (.+) without work", cause):
            # The idle rule's words (shopfloor_jobs.idle), which Lab left in the exit record.
            step = "Before that, JupyterLab asks whether to keep it: one click does."
            return "idle", f"Ended at {AT} after {idle[1]} without work.", step, {}
        step = "Look at its last lines, then start it again; if it ends again, get help."
        return "failed", f"JupyterLab ended at {AT}: {_clause(cause)}.", step, {}
    step = "Its last lines say why. Try other software, or get help."
    return "environment", f"The software could not be started at {AT}: {_clause(cause)}.", step, {}


def _unknown(facts: Facts) -> Told:
    if facts.hub_cancelled:
        step = "Start it again; if it ends again, get help."
        return "given_up", f"Ended by the hub at {AT}, for JupyterLab did not answer it.", step, {}
    step = "Start it again; if it ends again, get help."
    return "unknown", f"Ended at {AT}; the scheduler does not say why.", step, {}


def _clause(cause: str) -> str:
    """A cause that goes on after a colon: the runner's and the scheduler's go on after "the job"."""
    if cause.startswith("killed by"):
        return f"it was {cause}"
    subjects = ("the ", "its ", "it ")
    return cause if cause.startswith(subjects) else f"it {cause}"


def _ran_out_of_memory(facts: Facts) -> bool:
    detail = facts.seen.detail if facts.seen else ""
    return detail == "OUT_OF_MEMORY" or "ran out of memory" in facts.cause


def _memory(facts: Facts) -> str:
    asked = FIELDS["memory"].show(facts.request.memory)
    used = re.search(r"used ([\d.]+ [A-Z]+)", facts.cause)
    return f"asked {asked}, used {used[1] if used else 'all of it'}"


def _twice(facts: Facts, name: str) -> dict[str, int]:
    return {name: 2 * getattr(facts.request, name)}


@dataclass(frozen=True)
class Retry:
    """What *Try again* asks: a preset by name, or all fields of a request; ``change`` is what is asked differently.

    ``note`` says why a suggested change is not made; empty where it is.
    """

    preset: str = ""
    request: Mapping[str, int | str] = field(default_factory=dict)
    change: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


def retry_of(ending: Ending, offer: Offer | None) -> Retry:
    """What to ask the next time: with the suggested change as far as the offer's limits go, else the same again."""
    preset = str(ending.options.get("preset") or "")
    only_preset = preset and not any(name in ending.options for name in FIELDS)
    asked = {name: value for name, value in ending.request.items() if value != ""}
    same = Retry(preset=preset) if only_preset else Retry(request=asked)
    if not ending.change or offer is None:
        return same
    change = {}
    for name, wanted in ending.change.items():
        most = _most(offer, asked, name, wanted)
        if most is None:
            note = f"{FIELDS[name].show(asked[name])} is the most that you may ask for here."
            return Retry(same.preset, same.request, note=note)
        change[name] = most
    return Retry(request={**asked, **change}, change=change)


def _most(offer: Offer, asked: Mapping[str, Any], name: str, wanted: int) -> int | None:
    """The largest value up to ``wanted`` that may be asked, or None where no more than before may."""
    limits = [offer.largest(name)] if name in LIMITED else []
    limits += [
        one.limits.get(name) for one in offer.partitions if one.name == asked.get("partition")
    ]
    candidates = {wanted, *(limit for limit in limits if limit is not None and limit < wanted)}
    for value in sorted((one for one in candidates if one > asked[name]), reverse=True):
        try:
            offer.check({**asked, name: value})
        except Refused:
            continue
        return value
    return None
