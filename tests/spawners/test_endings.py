"""Which ends are kept of a server, and which of them are of today."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Unreachable
from shopfloor_spawners import endings
from shopfloor_spawners.ending import Ending, Facts


def ending(number: int, at: float = 0.0, **more) -> Ending:
    return Ending(f"shopfloor-server-{number:016x}", "failed", at, f"End {number}.", **more)


def stored(*ends: Ending, **state) -> SimpleNamespace:
    """What JupyterHub's row of a server is to endings.py: its state."""
    row = SimpleNamespace(state=state or None)
    for one in ends:
        endings.keep(row, one)
    return row


def test_the_latest_are_kept_and_the_rest_of_the_state_is_left_alone():
    row = stored(
        *(ending(number, at=float(number)) for number in range(endings.KEPT + 2)),
        shopfloor={"tag": "x"},
    )
    assert [one.sentence for one in endings.all_of(row)] == [
        f"End {number}." for number in range(2, endings.KEPT + 2)
    ]
    assert row.state["shopfloor"] == {"tag": "x"}


def test_what_is_learnt_later_takes_the_place_of_what_was_told_at_once():
    row = stored(ending(1, at=1.0, more_follows=True), ending(2, at=2.0))
    endings.keep(row, ending(1, at=1.0, log="why"))
    assert [(one.tag[-1], one.log, one.more_follows) for one in endings.all_of(row)] == [
        ("1", "why", False),
        ("2", "", False),
    ]


def test_of_earlier_ends_little_of_the_log_is_kept():
    row = stored(ending(1, log="a" * 4000), ending(2, at=2.0, log="b" * 4000))
    first, last = endings.all_of(row)
    assert (len(first.log), len(last.log)) == (endings.OLD_LOG_LETTERS, 4000)


def test_a_new_state_takes_the_endings_along_only_where_there_are_any():
    assert endings.kept(stored(job_id="17")) == {}
    row = stored(ending(1))
    assert endings.kept(row) == {"endings": [ending(1).to_json()]}


def test_today_begins_at_midnight_but_the_last_hours_count():
    noon = datetime(2026, 11, 23, 12, 0).astimezone().timestamp()
    night = datetime(2026, 11, 23, 1, 0).astimezone().timestamp()
    yesterday = datetime(2026, 11, 22, 23, 0).astimezone().timestamp()
    row = stored(ending(1, at=yesterday), ending(2, at=night))
    assert [one.at for one in endings.todays(row, now=noon)] == [night]
    assert [one.at for one in endings.todays(row, now=night)] == [yesterday, night]


def test_what_another_version_wrote_otherwise_is_left_out():
    row = stored(ending(1))
    row.state["endings"].append({"tag": "x", "something": "new"})
    assert [one.sentence for one in endings.all_of(row)] == ["End 1."]


TAG = "shopfloor-server-0123456789abcdef"
LIVED = Seen("17", TAG, "alice", State.RUNNING, node="gpu01")
ENDED = Seen("17", TAG, "alice", State.ENDED, cause="its node failed", detail="NODE_FAIL")


class Accounting:
    """A scheduler whose accounts tell this of every job."""

    def __init__(self, told: Seen | Unreachable | None):
        self.told = told

    async def past(self, owner: str, tag: str) -> Seen | None:
        if isinstance(self.told, Unreachable):
            raise self.told
        return self.told


async def test_an_end_that_nobody_else_tells_is_told_by_the_accounts():
    assert await endings._accounted(Accounting(ENDED), "alice", TAG) == ENDED
    # What slurmdbd was not told of yet lives on there.
    for nothing in (None, LIVED, Unreachable("slurmdbd is down")):
        assert await endings._accounted(Accounting(nothing), "alice", TAG) is None


FACTS = Facts(TAG, "alice", Request(), {}, was_ready=True, now=1790000000.0)


@pytest.mark.parametrize(
    ("facts", "seen", "record", "told"),
    [
        (FACTS, None, None, False),
        (FACTS, LIVED, None, False),
        (FACTS, ENDED, None, True),
        (FACTS, LIVED, {"cause": "ended by itself"}, True),
        (replace(FACTS, ended_by="alice"), LIVED, None, True),
        (replace(FACTS, hub_cancelled=True), LIVED, None, True),
    ],
)
def test_the_accounts_are_asked_of_no_end_that_is_known(
    facts: Facts, seen: Seen | None, record: dict | None, told: bool
):
    assert endings._is_told(facts, seen, record) is told
