"""The idle rule, by value: nothing ends while it works, and nothing ends that was not warned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs.idle import Idle, Rule, State, judge

HOUR = 3600
TWO_HOURS = Rule(after=2 * HOUR, warning=600)


def follow(rule: Rule, looks: list[tuple[float, float]]) -> list[Idle]:
    """What is judged at each look, given as (last work, now)."""
    judged: list[Idle] = []
    for last_work, now in looks:
        judged.append(judge(rule, last_work, now, judged[-1] if judged else None))
    return judged


def states(rule: Rule, looks: list[tuple[float, float]]) -> list[State]:
    return [one.state for one in follow(rule, looks)]


def test_a_job_without_a_rule_is_never_ended():
    assert judge(Rule(), 0, 1e9) == Idle(State.OFF)


def test_a_job_is_warned_and_then_ended():
    looks = [(0.0, now) for now in (0, 6599, 6600, 7199, 7200)]
    assert states(TWO_HOURS, looks) == ["active", "active", "warned", "warned", "expired"]
    assert follow(TWO_HOURS, looks)[2].ends == 7200


def test_a_job_that_works_is_never_warned_however_long_it_runs():
    assert set(states(TWO_HOURS, [(now, now) for now in range(0, 100 * HOUR, 60)])) == {"active"}


def test_work_in_the_last_second_keeps_it_and_the_next_warning_is_a_whole_one():
    judged = follow(TWO_HOURS, [(0, 6600), (7199, 7199), (7199, 7199 + 6600), (7199, 7199 + 7200)])
    assert [one.state for one in judged] == ["warned", "active", "warned", "expired"]
    assert judged[2].ends == 7199 + 7200


def test_a_job_that_nobody_looked_at_for_hours_is_warned_for_the_whole_time_first():
    judged = follow(TWO_HOURS, [(0, 60), (0, 9 * HOUR), (0, 9 * HOUR + 599), (0, 9 * HOUR + 600)])
    assert [one.state for one in judged] == ["active", "warned", "warned", "expired"]
    assert judged[1].ends == 9 * HOUR + 600


def test_work_between_two_looks_makes_an_older_warning_void():
    judged = follow(TWO_HOURS, [(0, 6600), (6700, 9 * HOUR)])
    assert judged[1] == Idle(State.WARNED, 9 * HOUR + 600, 9 * HOUR)


def test_a_warning_takes_at_most_half_of_the_time():
    assert Rule(after=60, warning=600).warning == 30


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (7200, "ended after 2 h without work"),
        (5400, "ended after 1 h 30 min without work"),
        (8, "ended after 8 s without work"),
    ],
)
def test_the_cause_is_told_in_words(after: float, cause: str):
    assert Rule(after, 600).cause == cause


@pytest.mark.parametrize("rule", [Rule(), TWO_HOURS, Rule(0.5, 0.25)])
def test_a_rule_travels_in_the_environment(rule: Rule):
    assert Rule.from_environment(rule.to_environment()) == rule


def test_no_rule_in_the_environment_is_off():
    assert Rule.from_environment({}) == Rule()
    with pytest.raises(ValueError, match="soon"):
        Rule.from_environment({"SHOPFLOOR_IDLE_AFTER": "soon"})


@given(
    st.floats(1, 1e5),
    st.floats(0, 1e5),
    st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), max_size=30),
)
def test_nothing_ends_that_worked_since_or_was_not_warned_for_the_warnings_time(
    after: float, warning: float, steps: list[tuple[float, bool]]
):
    rule, now, last_work = Rule(after, warning), 0.0, 0.0
    before, warned = None, None
    for step, works in steps:
        now += step
        last_work = now if works else last_work
        before = judge(rule, last_work, now, before)
        if works or before.state is State.ACTIVE:
            warned = None
        elif warned is None:
            warned = now
        if before.state is State.EXPIRED:
            assert now - last_work >= after - 1e-6
            assert warned is not None and now - warned >= rule.warning - 1e-6
