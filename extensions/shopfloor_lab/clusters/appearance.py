"""A cluster as HTML and as one line of text, from what cluster.py knows of it; the sentences are words.py's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from html import escape
from typing import Any

from .words import (
    Report,
    memory_lines,
    progress_line,
    share,
    state_line,
    tasks_line,
    time_left,
    trouble_lines,
    worker_line,
    workers_line,
)

NOTHING: Mapping[str, Any] = {
    "workers": {"wanted": 0, "connected": 0, "adapt": None, "rows": []},
    "memory": 0,
    "memory_limit": 0,
    "tasks": {"processing": 0, "waiting": 0, "memory": 0, "erred": 0},
    "figures": None,
    "troubles": [],
}
GREY = "color: var(--jp-ui-font-color2, gray)"


def summary(cluster: Report) -> str:
    """One line of text: ``Running on gpu01, 2 connected``."""
    living = cluster["state"] == "running"
    return ", ".join([state_line(cluster), *([workers_line(cluster)] if living else [])])


def page(cluster: Report, now: float | None = None) -> str:
    """All of it, for a notebook that shows no widgets; ``now`` in epoch seconds."""
    return f"<div>{head(cluster, now)}{body(cluster, now)}</div>"


def head(cluster: Report, now: float | None = None) -> str:
    """Name, state and the time left."""
    now = time.time() if now is None else now
    left = time_left(cluster, now) if cluster["state"] == "running" else ""
    grey = f' <span style="{GREY}">{escape(left)}</span>' if left else ""
    return f"<div><strong>{escape(cluster['name'])}</strong>: {escape(state_line(cluster))}{grey}</div>"


def body(cluster: Report, now: float | None = None) -> str:
    """What the workers do, and a row for each; nothing of a cluster that is gone."""
    if cluster["state"] != "running":
        return ""
    now = time.time() if now is None else now
    shown = cluster["workers"]
    lines = [f"Workers: {workers_line(cluster)}"]
    if shown["adapt"]:
        low, high = shown["adapt"]["minimum"], shown["adapt"]["maximum"]
        lines.append(f"{low} to {high}, as needed")
    if cluster["memory_limit"]:
        lines.append(f"Memory: {share(cluster['memory'], cluster['memory_limit'])}")
    lines += trouble_lines(cluster, now)
    lines += memory_lines(cluster)
    lines.append(tasks_line(cluster["tasks"]))
    drawn = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return drawn + _progress(cluster) + _table(shown["rows"], now)


def _progress(cluster: Report) -> str:
    """A bar with words, while a computation is on its way."""
    figures = cluster["figures"]
    progress = figures and figures["progress"]
    if not progress or progress["done"] >= progress["all"]:
        return ""
    label = escape(f"Progress of “{cluster['name']}”", quote=True)
    bar = f'<progress aria-label="{label}" value="{progress["done"]:d}" max="{progress["all"]:d}"></progress>'
    return f"<div>{bar} {escape(progress_line(figures))}</div>"


def _table(rows: list[Report], now: float) -> str:
    if not rows:
        return ""
    drawn = "".join(
        f'<tr><th scope="row" style="text-align: left">{escape(row["name"])}</th>'
        f'<td style="text-align: left">{escape(worker_line(row, now))}</td>'
        f'<td style="{GREY}">{escape(_figures(row))}</td></tr>'
        for row in rows
    )
    return f'<table aria-label="Workers"><tbody>{drawn}</tbody></table>'


def _figures(row: Report) -> str:
    parts = []
    if row["memory"] is not None and row["memory_limit"]:
        parts.append(share(row["memory"], row["memory_limit"]))
    if row["cpu"] is not None:
        parts.append(f"CPU {row['cpu']:.0f} %")
    if row["gpus"]:
        parts.append(f"GPU {row['gpus']}")
    return " · ".join(parts)
