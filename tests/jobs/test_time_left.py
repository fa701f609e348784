"""How long a job still has, by value: a countdown that is never more than the truth, and warnings in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs.time_left import countdown, time_left

HOUR = 3600


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2 * HOUR, "2 h"),
        (2 * HOUR - 1, "1 h 59 min"),
        (HOUR, "1 h"),
        (HOUR - 1, "59 min"),
        (300, "5 min"),
        (299.9, "4:59"),
        (65, "1:05"),
        (0.9, "0:00"),
    ],
)
def test_a_countdown_is_rounded_down_and_shows_seconds_at_the_end(seconds: float, words: str):
    assert countdown(seconds) == words


@pytest.mark.parametrize(
    ("left", "warning", "next_warning"),
    [
        (2 * HOUR, None, 2 * HOUR - 900),
        (900.5, None, 0.5),
        (900, 900, 600),
        (301, 900, 1),
        (300, 300, None),
        (0, 300, None),
        (-50, 300, None),
    ],
)
def test_a_long_job_is_warned_at_15_and_5_minutes(
    left: float, warning: float | None, next_warning: float | None
):
    found = time_left(1000 + left, 1000, given=4 * HOUR)
    assert (found.warning, found.next_warning) == (warning, next_warning)


@pytest.mark.parametrize(
    ("given_seconds", "marks"),
    [(60, [30, 15]), (600, [300, 150]), (1200, [600, 300]), (1800, [900, 300])],
)
def test_a_short_job_is_warned_later_but_warned(given_seconds: float, marks: list[float]):
    seen = dict.fromkeys(
        time_left(given_seconds, now, given_seconds).warning for now in range(int(given_seconds))
    )
    assert list(seen) == [None, *marks]


def test_what_has_ended_has_nothing_left():
    found = time_left(1000, 2000, given=HOUR)
    assert (found.seconds, found.words) == (0, "0:00 left")


@given(st.floats(0, 1e6), st.floats(60, 1e6))
def test_the_next_warning_comes_when_it_was_said_to_come(left: float, total: float):
    found = time_left(left, 0, total)
    if found.next_warning is not None:
        later = time_left(left, found.next_warning + 1e-6, total)
        assert later.warning is not None and later.warning != found.warning
