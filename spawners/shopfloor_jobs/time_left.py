"""How long a job still has, in words, and which warning is due; said alike by Lab, the home page and kernels."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import show_seconds

# Seconds before the end, and the share of all its time that a warning takes at most: a job of ten minutes is
# not warned before it has begun, and one of a minute is warned all the same.
WARNINGS = ((15 * 60, 1 / 2), (5 * 60, 1 / 4))
BY_THE_SECOND = 5 * 60  # seconds from which on a countdown shows seconds


@dataclass(frozen=True)
class TimeLeft:
    """``seconds`` until the end, never negative; ``words`` for them, such as ``1 h 52 min left``.

    ``warning`` is the last mark that was passed, in seconds before the end, or None while there is none;
    ``next_warning`` is in how many seconds the next one is.
    """

    seconds: float
    words: str
    warning: float | None
    next_warning: float | None


def time_left(ends: float, now: float, given: float) -> TimeLeft:
    """What is left at ``now`` of a job that ends at ``ends`` (both on one clock) and got ``given`` seconds in all."""
    seconds = max(0.0, ends - now)
    marks = [min(float(mark), given * share) for mark, share in WARNINGS]
    passed = [mark for mark in marks if seconds <= mark]
    coming = [mark for mark in marks if seconds > mark]
    return TimeLeft(
        seconds=seconds,
        words=f"{countdown(seconds)} left",
        warning=min(passed, default=None),
        next_warning=seconds - max(coming) if coming else None,
    )


def countdown(seconds: float) -> str:
    """Seconds as a countdown shows them: ``1 h 52 min``, ``12 min``, and ``4:05`` in the last five minutes."""
    whole = int(seconds)
    if whole >= BY_THE_SECOND:
        return show_seconds(whole - whole % 60)
    return f"{whole // 60}:{whole % 60:02}"
