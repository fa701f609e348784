"""What sacct prints, as a job that has ended."""

from __future__ import annotations

import pytest
from shopfloor_jobs.job import State
from shopfloor_jobs.slurm_past import parse_sacct, sacct_arguments

TAG = "shopfloor-server-0123456789abcdef"
PRINTED = """\
17|NODE_FAIL|gpu01|gpu|1790000000|1790000001|1790000100
17|CANCELLED by 1004|gpu[02-03]|gpu|1790000000|1790000200|1790000300
"""


def test_the_last_run_of_it_is_told_in_the_words_that_a_look_has():
    seen = parse_sacct(PRINTED, "alice", TAG)
    assert (seen.id, seen.tag, seen.owner, seen.node) == ("17", TAG, "alice", "gpu02")
    assert (seen.state, seen.detail) == (State.ENDED, "CANCELLED")
    assert seen.cause and "1004" not in seen.cause
    assert (seen.started, seen.ends) == (1790000200, 1790000300)


@pytest.mark.parametrize(
    ("code", "state"), [("RUNNING", State.RUNNING), ("PENDING", State.PENDING)]
)
def test_one_that_lives_has_no_end_and_no_cause(code: str, state: State):
    seen = parse_sacct(f"18|{code}|None assigned|gpu|1790000000|Unknown|Unknown\n", "alice", TAG)
    assert (seen.state, seen.cause, seen.node, seen.started, seen.ends) == (
        state,
        "",
        "",
        None,
        None,
    )


def test_nothing_is_nothing_and_other_words_are_no_answer():
    assert parse_sacct("", "alice", TAG) is None
    with pytest.raises(ValueError, match="sacct printed 'Slurm accounting storage is disabled'"):
        parse_sacct("Slurm accounting storage is disabled\n", "alice", TAG)


def test_only_this_persons_jobs_of_this_tag_are_asked_for():
    arguments = sacct_arguments("alice", TAG)
    assert "--user=alice" in arguments and f"--name={TAG}" in arguments
