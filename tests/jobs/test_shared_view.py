"""What leaves the owner's hands: only what is named, of the right type, and of bounded length."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.shared_view import LATER, MOST_ROWS, MOST_SAMPLES, clean

ROW = {
    "name": "worker-1",
    "state": "pending",
    "reason": "all GPUs are busy",
    "expected": 1790000000.5,
    "place": 3,
    "since": None,
    "node": "gpu01",
    "exit": None,
    "tries": 1,
    "memory": 1024,
    "memory_limit": 2048,
    "cpu": 99.5,
    "gpus": None,
}
VIEW = {
    "name": "big one",
    "state": "running",
    "reason": None,
    "cause": None,
    "expected": None,
    "place": None,
    "node": "cpu01",
    "started": 1790000000.0,
    "ends": None,
    "workers": {"wanted": 2, "connected": 1, "adapt": {"minimum": 0, "maximum": 4}, "rows": [ROW]},
    "memory": 1024,
    "memory_limit": 2048,
    "tasks": {"processing": 1, "waiting": 2, "memory": 3, "erred": 0},
    "troubles": [
        {"kind": "spilling", "text": "Memory is full.", "next": "Add workers.", "since": 1}
    ],
    "figures": {
        "cpu": 99.5,
        "cpus": 2,
        "results": 512,
        "spilled": 0,
        "unmanaged": 512,
        "rate": None,
        "progress": {"done": 1, "all": 3, "groups": [{"name": "sum", "done": 1, "all": 3}]},
    },
    "history": [{"at": 1790000000.0, "memory": 1024, "cpu": 99.5, "rate": 1.5}],
}
SECRET = "a-secret-that-is-in-no-view"


def test_what_an_earlier_lab_does_not_tell_yet_is_not_known():
    earlier = {name: value for name, value in VIEW.items() if name not in LATER}
    assert clean(earlier) == VIEW


def test_what_is_not_named_is_left_out_at_every_level():
    row = {**ROW, "log": SECRET, "job_id": SECRET}
    workers = {**VIEW["workers"], "rows": [row], "command": SECRET}
    view = {**VIEW, "workers": workers, "log": SECRET, "detail": SECRET, "request": {"x": SECRET}}
    assert clean(view) == VIEW
    assert clean(clean(view)) == VIEW


def test_what_is_too_long_is_cut_and_the_newest_rows_stay():
    rows = [{**ROW, "name": f"worker-{number}", "reason": "x" * 1000} for number in range(2000)]
    view = {**VIEW, "reason": "é" * 10_000, "workers": {**VIEW["workers"], "rows": rows}}
    view["history"] = VIEW["history"] * 1000
    shown = clean(view)
    assert len(shown["reason"]) == 500 and shown["reason"].endswith("…")
    assert len(shown["workers"]["rows"]) == MOST_ROWS
    assert shown["workers"]["rows"][-1]["name"] == "worker-1999"
    assert len(shown["workers"]["rows"][0]["reason"]) == 120
    assert len(shown["history"]) == MOST_SAMPLES
    assert len(json.dumps(shown)) < 512 * 1024, "as much as the hub takes"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"state": "borrowed"}, "view.state"),
        ({"name": 3}, "view.name"),
        ({"memory": "1024"}, "view.memory"),
        ({"memory": True}, "view.memory"),
        ({"memory": float("nan")}, "view.memory"),
        ({"memory": 1e300}, "view.memory"),
        ({"memory": 10**400}, "view.memory"),
        ({"workers": []}, "view.workers"),
        ({"workers": {**VIEW["workers"], "rows": {}}}, "view.workers.rows"),
        ({"workers": {**VIEW["workers"], "rows": [ROW, None]}}, "view.workers.rows[1]"),
        ({"tasks": {"processing": 1}}, "view.tasks.waiting"),
    ],
)
def test_what_has_another_shape_is_refused_by_its_name(change: dict[str, Any], field: str):
    with pytest.raises(Refused) as refused:
        clean({**VIEW, **change})
    assert refused.value.field == field


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_nothing_but_refused_is_raised(anything: Any):
    for view in (anything, dict.fromkeys(VIEW, anything)):
        with pytest.raises(Refused):
            clean(view)
