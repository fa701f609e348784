"""The one idle rule: from when a job last worked to what becomes of it; each kind of job only says what work is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .fields import show_seconds

LOOK_SECONDS = 10.0
AFTER, WARNING = "SHOPFLOOR_IDLE_AFTER", "SHOPFLOOR_IDLE_WARNING"


class State(str, Enum):
    """OFF: such a job is never ended for being idle."""

    OFF = "off"
    ACTIVE = "active"
    WARNED = "warned"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Rule:
    """A job ends after ``after`` seconds without work (0: never), and says so ``warning`` seconds before.

    A warning takes at most half of the time, however short that is.
    """

    after: float = 0
    warning: float = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "warning", min(self.warning, self.after / 2))

    @property
    def pause(self) -> float:
        """Seconds between two looks at whether the job works; its warning is long enough for ten."""
        return min(LOOK_SECONDS, max(0.2, self.warning / 10)) if self.after else LOOK_SECONDS

    @property
    def cause(self) -> str:
        """Why a job ended that it ended, as it stands in the exit record."""
        return self.ended_without("work")

    def ended_without(self, what: str) -> str:
        """The same where one kind of work alone counts."""
        return f"ended after {show_seconds(int(self.after))} without {what}"

    def to_json(self) -> dict[str, float]:
        return {"after": self.after, "warning": self.warning}

    def to_environment(self) -> dict[str, str]:
        return {AFTER: f"{self.after:g}", WARNING: f"{self.warning:g}"}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Rule:
        """The rule in a job's environment; none there is OFF. Raises ValueError for what is no number."""
        return cls(float(environment.get(AFTER) or 0), float(environment.get(WARNING) or 0))


@dataclass(frozen=True)
class Idle:
    """What becomes of a job. ``ends`` is when it ends unless it works before, ``warned`` since when it says so.

    Both are None while it is not warned.
    """

    state: State
    ends: float | None = None
    warned: float | None = None


def judge(rule: Rule, last_work: float, now: float, before: Idle | None = None) -> Idle:
    """The state of a job that worked last at ``last_work``; while it works, that is ``now``.

    All times are seconds of one clock that never jumps, such as ``time.monotonic``. ``before`` is what was
    judged last: no job ends before it was warned for the whole of the warning's time, even when nobody
    looked for hours.
    """
    if not rule.after:
        return Idle(State.OFF)
    if now - last_work < rule.after - rule.warning:
        return Idle(State.ACTIVE)
    warned = before.warned if before else None
    if warned is None or warned <= last_work:
        warned = now
    ends = max(last_work + rule.after, warned + rule.warning)
    return Idle(State.EXPIRED if now >= ends else State.WARNED, ends, warned)
