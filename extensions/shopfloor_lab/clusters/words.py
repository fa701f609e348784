"""What a notebook says about clusters, workers and tasks: the panel's sentences (words.ts, figureWords.ts), in Python.

A test holds each sentence against the panel's own, for the same cluster.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from shopfloor_jobs.fields import show_bytes, show_seconds

Report = Mapping[str, Any]  # a cluster, or one of its workers, as state.py and rows.py describe it
MUCH = 0.4  # of all memory, above which it is told that it does not hold results
ENDED = "ended "  # begins a cause that says the state once more: "ended after 2 h without work"
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
        if why.startswith("ended "):
            return f"Ended {why[len('ended ') :]}"
        return f"{word}: {why}"
    return f"{word} on {cluster['node']}" if cluster["node"] and not over else word


def ended_line(name: str, cause: str) -> str:
    """That a cluster has ended, and why."""
    after = f" {cause[len(ENDED) :]}" if cause.startswith(ENDED) else f": {cause}"
    return f"Cluster {name!r} has ended{after}"


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


def progress_line(figures: Report) -> str:
    """How far a computation is, and how fast: ``12 of 40 tasks done, 5.3 per second``; empty before there was one."""
    progress, rate = figures["progress"], figures["rate"]
    if not progress:
        return ""
    done, whole = progress["done"], progress["all"]
    line = f"{done} of {whole} {'task' if whole == 1 else 'tasks'} done"
    return f"{line}, {_decimal(rate)} per second" if rate and done < whole else line


def memory_lines(cluster: Report) -> list[str]:
    """What somebody should know of where the memory went, in sentences; none where all is well, or is a trouble."""
    figures, told = cluster["figures"], {one["kind"] for one in cluster["troubles"]}
    lines = []
    if figures and figures["spilled"] and "spilling" not in told:
        lines.append(
            f"{show_bytes(figures['spilled'])} of results were written to disk because memory was full. "
            "They are read back when needed, which is slower."
        )
    unmanaged = figures["unmanaged"] if figures and "unmanaged" not in told else 0
    if unmanaged > MUCH * cluster["memory_limit"]:
        lines.append(
            f"{show_bytes(unmanaged)} of memory hold no results, but Python, libraries and what running "
            "functions need (unmanaged memory)."
        )
    return lines


def trouble_lines(cluster: Report, now: float) -> list[str]:
    """What goes wrong, each with the next step and since when; ``now`` in epoch seconds."""
    return [
        f"{one['text']} {one['next']} Since {clock(one['since'], now)}"
        for one in cluster["troubles"]
    ]


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


def _decimal(value: float) -> str:
    if value >= 10:
        return f"{math.floor(value + 0.5):,}"
    return f"{value:.1f}".removesuffix(".0")


def _among(rows: list[Report], *states: str) -> list[Report]:
    return [one for one in rows if one["state"] in states]


def _part(word: str, workers: list[Report]) -> list[str]:
    if not workers:
        return []
    text = f"{len(workers)} {word}"
    reason = next((one["reason"] for one in workers if one["reason"]), None)
    return [f"{text}: {reason}" if reason else text]
