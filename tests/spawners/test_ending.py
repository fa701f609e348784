"""Each end has its sentence, what is safe, and a next step within the offer; by value, rows 7 to 17 of the faults."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_spawners.ending import AT, SAVED, UNTOUCHED, Ending, Facts, ending_of, retry_of

MB = 1024**2
TAG = "shopfloor-server-0123456789abcdef"
REQUEST = Request(cpus=1, memory=100 * MB, time=60, partition="gpu")
FACTS = Facts(
    tag=TAG,
    owner="alice",
    request=REQUEST,
    options={"preset": "small"},
    was_ready=True,
    now=5000.0,
)


def seen(detail: str, cause: str = "", **more) -> Seen:
    return Seen(
        "17",
        TAG,
        "alice",
        State.ENDED,
        cause=cause,
        detail=detail,
        node="gpu01",
        ends=4000.0,
        **more,
    )


def told(**facts) -> Ending:
    return ending_of(replace(FACTS, **facts))


@pytest.mark.parametrize(
    ("facts", "kind", "sentence", "change"),
    [
        ({"seen": seen("NODE_FAIL")}, "node_lost", "gpu01 stopped answering at {at}.", {}),
        ({"seen": seen("CANCELLED")}, "cancelled", "Cancelled at {at} outside Shopfloor.", {}),
        (
            {"seen": seen("PREEMPTED"), "exit": {"cause": "was stopped"}},
            "preempted",
            "Preempted by a job of higher priority at {at}.",
            {},
        ),
        (
            {"seen": seen("TIMEOUT")},
            "time_limit",
            "Ended at its time limit of 1 min, at {at}.",
            {"time": 120},
        ),
        (
            {"exit": {"cause": "reached its time limit of 1 min"}},
            "time_limit",
            "Ended at its time limit of 1 min, at {at}.",
            {"time": 120},
        ),
        (
            {"seen": seen("OUT_OF_MEMORY")},
            "out_of_memory",
            "Ran out of memory at {at}: asked 100 MB, used all of it.",
            {"memory": 200 * MB},
        ),
        (
            {"exit": {"cause": "ran out of memory: asked 100 MB, used 104 MB"}},
            "out_of_memory",
            "Ran out of memory at {at}: asked 100 MB, used 104 MB.",
            {"memory": 200 * MB},
        ),
        (
            {
                "was_ready": False,
                "seen": seen("FAILED", "failed"),
                "exit": {"cause": "the command /x was not found"},
            },
            "environment",
            "The software could not be started at {at}: the command /x was not found.",
            {},
        ),
        (
            {"was_ready": False, "failure": "ended", "exit": {"cause": "failed with exit code 1"}},
            "environment",
            "The software could not be started at {at}: it failed with exit code 1.",
            {},
        ),
        (
            {"seen": seen("FAILED", "failed"), "exit": {"cause": "killed by signal 11 (SIGSEGV)"}},
            "failed",
            "JupyterLab ended at {at}: it was killed by signal 11 (SIGSEGV).",
            {},
        ),
        (
            {"seen": seen("COMPLETED"), "exit": {"cause": "ended by itself"}},
            "finished",
            "Shut down from inside JupyterLab at {at}.",
            {},
        ),
        (
            {"seen": seen("CANCELLED"), "ended_by": "alice"},
            "stopped",
            "You stopped it at {at}.",
            {},
        ),
        ({"ended_by": "trainer"}, "stopped", "Stopped at {at} by trainer.", {}),
        (
            {"was_ready": False, "ended_by": "alice"},
            "cancelled",
            "You cancelled it at {at}, before it was ready.",
            {},
        ),
        (
            {"was_ready": False, "ended_by": "trainer"},
            "cancelled",
            "Cancelled at {at} by trainer, before it was ready.",
            {},
        ),
        (
            {"exit": {"cause": "the machine was restarted"}},
            "node_lost",
            "Ended at {at}, for the machine was restarted.",
            {},
        ),
        (
            {"hub_cancelled": True},
            "given_up",
            "Ended by the hub at {at}, for JupyterLab did not answer it.",
            {},
        ),
        ({}, "unknown", "Ended at {at}; the scheduler does not say why.", {}),
    ],
)
def test_an_end_is_told_with_its_cause(facts, kind, sentence, change):
    ending = told(**facts)
    assert (ending.kind, ending.sentence, ending.change) == (kind, sentence, change)
    assert ending.safe == (SAVED if facts.get("was_ready", True) else UNTOUCHED)


@pytest.mark.parametrize(
    ("said", "kind", "begins", "step"),
    [
        (
            "The job was not accepted: Invalid account or account/partition combination specified",
            "project",
            "Not started at {at}. Project: ",
            "administrator",
        ),
        (
            "The job was not accepted: Invalid qos specification",
            "priority",
            "Not started at {at}. Priority",
            "project",
        ),
        (
            "The job was not accepted: Invalid partition name specified",
            "partition",
            "Not started at {at}. Hardware",
            "",
        ),
        (
            "The job was not accepted: Requested time limit is invalid",
            "limit",
            "Not started at {at}. Time limit: ",
            "shorter",
        ),
        (
            "The job was not accepted: Job violates accounting/QOS policy (job submit limit, user's size and/or"
            " time limits)",
            "limit",
            "Not started at {at}. Project: ",
            "Wait",
        ),
        (
            "The job was not accepted: your home directory /home/alice is full: remove something there and try again",
            "home",
            "Not started at {at}. Home: ",
            "Remove",
        ),
        (
            "The job was not accepted: your home directory /home/alice cannot be written (Read-only file system):"
            " ask your administrator",
            "home",
            "Not started at {at}. Home: ",
            "administrator",
        ),
        (
            "The job was not accepted: there is no Unix account 'alice' on this machine: ask your administrator"
            " for one",
            "account",
            "Not started at {at}. Account: ",
            "administrator",
        ),
        (
            "The job was not accepted: Something new",
            "refused",
            "Not started at {at}: Something new",
            "help",
        ),
    ],
)
def test_a_refused_start_names_the_field_and_who_can_help(said, kind, begins, step):
    ending = told(was_ready=False, failure="refused", said=said)
    assert ending.kind == kind
    assert ending.sentence.startswith(begins) and ending.sentence.endswith(".")
    assert step in ending.step and ending.safe == UNTOUCHED


def test_a_stop_of_a_server_that_had_run_out_of_memory_suggests_more():
    ending = told(ended_by="alice", seen=seen("OUT_OF_MEMORY"))
    assert (ending.kind, ending.change) == ("stopped", {"memory": 200 * MB})
    assert "run out of memory" in ending.step


def test_the_time_is_the_runners_then_the_schedulers_then_ours():
    assert told(seen=seen("CANCELLED"), exit={"ended": 3000.0, "cause": "was stopped"}).at == 3000.0
    assert told(seen=seen("CANCELLED")).at == 4000.0
    assert told(seen=replace(seen("CANCELLED"), ends=9e9)).at == 5000.0
    assert told().at == 5000.0


def test_an_ending_survives_the_database():
    ending = told(seen=seen("OUT_OF_MEMORY"), log="last\nlines")
    assert Ending.from_json(json.loads(json.dumps(ending.to_json()))) == ending


def test_the_sentence_holds_the_time_once_whatever_the_cause_says():
    ending = told(was_ready=False, failure="refused", said=f"odd {AT} words")
    assert AT not in ending.text().split(" ", 4)[3] and ending.text().count(AT) == 1


OFFER = Offer(
    person="alice",
    site="Test",
    scheduler={"type": "slurm"},
    partitions=(
        Partition("gpu", limits={"cpus": 4, "memory": 150 * MB, "time": 3600, "gpus": 1}),
        Partition("cpu", limits={"cpus": 8, "memory": 4000 * MB, "time": 90, "gpus": 0}),
    ),
    presets=(Preset("small", "Small", REQUEST.to_json()),),
)


def test_trying_again_asks_for_the_suggested_change_within_the_limits_of_what_was_asked():
    longer = retry_of(told(seen=seen("TIMEOUT")), OFFER)
    assert (longer.change, longer.request["time"], longer.request["partition"]) == (
        {"time": 120},
        120,
        "gpu",
    )
    larger = retry_of(told(seen=seen("OUT_OF_MEMORY")), OFFER)
    assert larger.change == {"memory": 150 * MB}


def test_where_no_more_can_be_had_the_same_is_asked_and_said():
    facts = {"request": replace(REQUEST, memory=150 * MB), "seen": seen("OUT_OF_MEMORY")}
    retry = retry_of(told(**facts), OFFER)
    assert (retry.preset, retry.change) == ("small", {})
    assert "150 MB is the most" in retry.note


def test_without_a_change_the_preset_or_the_fields_are_asked_again():
    assert retry_of(told(seen=seen("NODE_FAIL")), OFFER).preset == "small"
    own = retry_of(told(seen=seen("NODE_FAIL"), options={"cpus": 1}), OFFER)
    assert own.preset == "" and own.request["memory"] == 100 * MB
    assert retry_of(told(seen=seen("TIMEOUT")), None).preset == "small"
