"""What a notebook says about a cluster is what the panel says; and what it draws of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.clusters import appearance, words

SOURCES = Path(__file__).parents[2] / "extensions" / "src"
NOW = 1_790_000_000.25
GB = 1024**3
# The panel's own sentences about each of the clusters on standard input, without translation.
PANEL = f"""\
import {{ readFileSync }} from 'node:fs';
import * as words from '{SOURCES}/words.ts';
import {{ memoryLines, progressLine }} from '{SOURCES}/figureWords.ts';
import {{ showClock, showShare }} from '{SOURCES}/quantity.ts';
import {{ english }} from '{SOURCES}/__tests__/support.ts';
const clock = time => showClock(time, {NOW}, 'en');
const said = JSON.parse(readFileSync(0, 'utf8')).map(cluster => [
  words.stateLine(cluster, english),
  words.timeLeft(cluster, {NOW}, english) ?? '',
  words.workersLine(cluster, english),
  words.tasksLine(cluster.tasks, english),
  showShare(cluster.memory, cluster.memory_limit).join(' of '),
  cluster.figures ? progressLine(cluster.figures, english) : '',
  ...memoryLines(cluster, english),
  ...cluster.workers.rows.map(row => words.workerLine(row, english, clock))
]);
console.log(JSON.stringify(said));
"""


def make_worker(**changes: Any) -> dict[str, Any]:
    return {
        "name": "worker-1",
        "state": "connected",
        "reason": None,
        "expected": None,
        "place": None,
        "since": None,
        "node": "cpu01",
        "job_id": "7",
        "exit": None,
        "log": None,
        "tries": 1,
        "memory": GB // 4,
        "memory_limit": GB,
        "cpu": 99.6,
        "gpus": None,
        **changes,
    }


def make_cluster(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        **appearance.NOTHING,
        "name": "big one",
        "state": "running",
        "reason": None,
        "cause": None,
        "node": "cpu01",
        "ends": None,
        "workers": {
            "wanted": len(rows),
            "connected": sum(row["state"] == "connected" for row in rows),
            "adapt": None,
            "rows": list(rows),
        },
        **changes,
    }


def make_figures(**changes: Any) -> dict[str, Any]:
    return {"spilled": 0, "unmanaged": 0, "rate": None, "progress": None, **changes}


def any_cluster(dice: random.Random) -> dict[str, Any]:
    def maybe(value: Any) -> Any:
        return dice.choice([None, value])

    rows = [
        make_worker(
            state=dice.choice(list(words.WORKERS)),
            reason=maybe("all GPUs are busy"),
            expected=maybe(NOW + dice.randrange(-90000, 90000)),
            place=maybe(dice.randrange(1, 9)),
            since=maybe(NOW - dice.randrange(90000)),
            node=maybe("cpu02"),
            exit=maybe(137),
        )
        for _ in range(dice.randrange(4))
    ]
    cluster = make_cluster(
        *rows,
        state=dice.choice(["submitted", "pending", "starting", "running", "ended"]),
        reason=maybe("all nodes are busy"),
        cause=dice.choice([None, "You stopped it.", "ended after 2 h without work"]),
        node=maybe("cpu01"),
        ends=maybe(NOW + dice.choice([-5, 59.5, 60, 3599, 3600, 7260, 86400, 172801])),
        memory=dice.randrange(1000 * GB),
        memory_limit=dice.choice([500, 512 * 1024**2, 4 * GB, 3 * 1024**4]),
        tasks={name: dice.choice([0, 1, 2, 30]) for name in appearance.NOTHING["tasks"]},
    )
    cluster["workers"]["wanted"] = dice.randrange(5)
    kinds = dice.choice([(), ("spilling",), ("unmanaged", "spilling")])
    cluster["troubles"] = [
        {"kind": kind, "text": "It is full.", "next": "Add workers.", "since": NOW}
        for kind in kinds
    ]
    cluster["figures"] = maybe(
        make_figures(
            spilled=dice.choice([0, 3 * GB]),
            unmanaged=dice.randrange(4 * GB),
            rate=dice.choice([None, 0, 0.04, 1, 9.96, 12.4, 5432.1]),
            progress=maybe({"done": dice.randrange(3), "all": dice.choice([1, 2, 40])}),
        )
    )
    return cluster


def test_a_notebook_says_what_the_panel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = [any_cluster(random.Random(seed)) for seed in range(400)]
    node = Path(sys.executable).with_name("node")
    ran = subprocess.run(
        [
            node,
            "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
            "--input-type=module",
            "-e",
            PANEL,
        ],
        input=json.dumps(clusters),
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    for cluster, said in zip(clusters, json.loads(ran.stdout), strict=True):
        assert [
            words.state_line(cluster),
            words.time_left(cluster, NOW),
            words.workers_line(cluster),
            words.tasks_line(cluster["tasks"]),
            words.share(cluster["memory"], cluster["memory_limit"]),
            words.progress_line(cluster["figures"]) if cluster["figures"] else "",
            *words.memory_lines(cluster),
            *(words.worker_line(row, NOW) for row in cluster["workers"]["rows"]),
        ] == said


def test_the_page_shows_each_worker_and_why_it_waits() -> None:
    cluster = make_cluster(
        make_worker(memory=GB // 2),
        make_worker(name="worker-2", state="pending", node=None, reason="all GPUs are busy"),
        memory=GB // 2,
        memory_limit=GB,
    )
    cluster["workers"]["adapt"] = {"minimum": 1, "maximum": 8}
    cluster["figures"] = make_figures(
        spilled=GB, rate=2.0, progress={"done": 12, "all": 40, "groups": []}
    )
    trouble = {"kind": "tiny", "text": "Tasks are tiny.", "next": "Use larger ones.", "since": NOW}
    cluster["troubles"] = [trouble]
    shown = appearance.page(cluster, NOW)
    for words_shown in (
        "<strong>big one</strong>: Running on cpu01",
        "Workers: 1 connected, 1 waiting: all GPUs are busy",
        "1 to 8, as needed",
        "Memory: 0.5 of 1 GB",
        "1 GB of results were written to disk",
        "<div>Tasks are tiny. Use larger ones. Since ",
        'Progress of “big one”" value="12" max="40"></progress> 12 of 40 tasks done, 2 per second',
        "No tasks",
        "connected on cpu01",
        "waiting: all GPUs are busy",
        "0.5 of 1 GB · CPU 100 %",
    ):
        assert words_shown in shown, words_shown
    assert appearance.summary(cluster).startswith("Running on cpu01, 1 connected, 1 waiting")


def test_of_a_cluster_that_is_gone_only_why_is_shown() -> None:
    cluster = make_cluster(make_worker(), state="ended", cause="You stopped it.", ends=NOW + 60)
    assert appearance.body(cluster, NOW) == ""
    assert (
        appearance.head(cluster, NOW)
        == "<div><strong>big one</strong>: Ended: You stopped it.</div>"
    )
    assert appearance.summary(cluster) == "Ended: You stopped it."


def test_nothing_that_comes_from_jobs_is_taken_for_html() -> None:
    evil = "<img src=x onerror=alert(1)>"
    row = make_worker(name=evil, reason=evil, node=evil, gpus=evil)
    for state in ("running", "ended"):
        cluster = make_cluster(row, state=state, name=evil, reason=evil, cause=evil, node=evil)
        shown = appearance.page(cluster, NOW)
        assert "<img" not in shown and "&lt;img" in shown
