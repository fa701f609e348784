"""A pytest plugin for ``make faults``: lists the fault tests, and writes each result down as soon as it is there.

``SHOPFLOOR_FAULTS_LIST`` and ``SHOPFLOOR_FAULTS_RESULTS`` name the files; results are lines of JSON, so that a run
which is cut loses at most one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from . import results

LIST, RESULTS = "SHOPFLOOR_FAULTS_LIST", "SHOPFLOOR_FAULTS_RESULTS"


def describe(item: pytest.Item) -> dict[str, Any] | None:
    """What the table needs of a test; None for one that is no row."""
    row = item.get_closest_marker("fault")
    if row is None:
        return None
    number, what = row.args
    long = item.get_closest_marker("fault_long")
    seconds = long.args[0] if long else 0
    return {"id": item.nodeid, "row": number, "what": what, "seconds": seconds}


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    if path := os.environ.get(LIST):
        found = [one for item in session.items if (one := describe(item))]
        Path(path).write_text(json.dumps(found))


class _Durations:
    """A test fails in any of its phases; its seconds are those of all of them."""

    def __init__(self) -> None:
        self.seconds, self.failed = 0.0, False

    def add(self, report: pytest.TestReport) -> None:
        if report.when == "setup":
            self.__init__()
        self.seconds += report.duration
        self.failed |= report.failed or report.skipped  # who is skipped has shown nothing


_durations = _Durations()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _durations.add(report)
    if report.when == "teardown" and (path := os.environ.get(RESULTS)):
        result = {
            "id": report.nodeid,
            "failed": _durations.failed,
            "seconds": round(_durations.seconds, 1),
        }
        results.write(Path(path), result)
