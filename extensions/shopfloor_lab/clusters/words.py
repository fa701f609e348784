"""What a notebook says about clusters, workers and tasks: the sentences of Lab's panel (src/words.ts), in Python.

A test holds each sentence against the panel's own, for the same cluster.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from shopfloor_jobs.fields import show_bytes, show_seconds

Report = Mapping[str, Any]  # a cluster, or one of its workers, as state.py and rows.py describe it
STATES = {
    "submitted": "Asked",
    "pending": "Waiting",
    "starting": "Starting",
    "running": "Running",
    "ended": "Ended",
    "left": "Not connected",  # of a notebook's own object only
}
WORKERS = {
    "requested": "asked for",
    "submitted": "asked for",
    "pending": "waiting",
    "starting": "starting",
    "connected": "connected",
    "lost": "not answering",
    "failed": "failed",
    "ended": "ended",
}


def state_line(cluster: Report) -> str:
    """State, place and reason in one line: ``Running on gpu01``, ``Ended: You stopped it.``"""
    word, over = STATES[cluster["state"]], cluster["state"] in ("ended", "left")
    if why := cluster["cause" if over else "reason"]:
        return f"{word}: {why}"
    return f"{word} on {cluster['node']}" if cluster["node"] and not over else word


def time_left(cluster: Report, now: float) -> str:
    """``1 h 52 min left`` at ``now`` (epoch seconds), or an empty string where no end is known."""
    if cluster["ends"] is None or cluster["state"] == "ended":
        return ""
    left = math.floor(cluster["ends"] - now)
    return "less than a minute left" if left < 60 else f"{show_seconds(left - left % 60)} left"


def workers_line(cluster: Report) -> str:
    """All workers in one line: ``2 connected, 1 waiting: all GPUs are busy``."""
    shown = cluster["workers"]
    starting, lost = _among(shown["rows"], "starting"), _among(shown["rows"], "lost")
    waiting = _among(shown["rows"], "requested", "submitted", "pending")
    living = shown["connected"] + len(starting) + len(waiting) + len(lost)
    parts = [f"{shown['connected']} connected", *_part("starting", starting)]
    if cluster["state"] != "ended" and shown["wanted"] > living:
        parts.append(f"{shown['wanted'] - living} asked for")
    if shown["wanted"] < living:
        parts.append(f"{living - shown['wanted']} leaving")
    if lost:
        parts.append(f"{len(lost)} not answering")
    parts += _part("waiting", waiting)
    for word in ("failed", "ended"):
        parts += _part(word, _among(shown["rows"], word))
    return ", ".join(parts)


def worker_line(worker: Report, now: float) -> str:
    """One worker's state and place, or why it waits or ended; ``now`` in epoch seconds."""
    word = WORKERS[worker["state"]]
    if worker["node"]:
        word = f"{word} on {worker['node']}"
    parts = [f"{word}: {worker['reason']}" if worker["reason"] else word]
    if worker["since"] is not None:
        parts.append(f"since {clock(worker['since'], now)}")
    if worker["place"] is not None:
        parts.append(f"place {worker['place']}")
    if worker["expected"] is not None:
        parts.append(f"expected {clock(worker['expected'], now)}")
    if worker["exit"] is not None:
        parts.append(f"exit code {worker['exit']}")
    return " · ".join(parts)


def tasks_line(tasks: Report) -> str:
    """What the cluster computes: ``12 tasks running, 30 tasks waiting, 4 results in memory``."""
    parts = [
        f"{tasks[state]} {noun if tasks[state] == 1 else nouns} {where}"
        for state, noun, nouns, where in (
            ("processing", "task", "tasks", "running"),
            ("waiting", "task", "tasks", "waiting"),
            ("memory", "result", "results", "in memory"),
            ("erred", "task", "tasks", "failed"),
        )
        if tasks[state]
    ]
    return ", ".join(parts) or "No tasks"


def share(used: int, limit: int) -> str:
    """Bytes of bytes in the unit of the second: ``1.2 of 4 GB``."""
    right = show_bytes(limit)
    power = " KMGT".find(right[-2])
    amount = f"{used / 1024 ** max(0, power):.1f}".removesuffix(".0")
    return f"{amount} of {right}"


def clock(then: float, now: float) -> str:
    """A time of day here, with the weekday where it is not today: ``16:05``, ``Tue 16:05``; epoch seconds."""
    there, here = time.localtime(then), time.localtime(now)
    return time.strftime("%H:%M" if there[:3] == here[:3] else "%a %H:%M", there)


def _among(rows: list[Report], *states: str) -> list[Report]:
    return [one for one in rows if one["state"] in states]


def _part(word: str, workers: list[Report]) -> list[str]:
    if not workers:
        return []
    text = f"{len(workers)} {word}"
    reason = next((one["reason"] for one in workers if one["reason"]), None)
    return [f"{text}: {reason}" if reason else text]
