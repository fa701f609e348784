"""What the waiting page is told, by value: sentence, place, times and trouble, and what counts as news."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.request import Request
from shopfloor_jobs.view import Health
from shopfloor_spawners.progress import is_news, progress_event, wanted

WELL = Health(looked=1000.0)
ONE_A100 = Request(gpus=1, gpu_type="a100")
WAITING = Seen(
    id="17",
    tag="shopfloor-server-0123456789abcdef",
    owner="alice",
    state=State.PENDING,
    reason="others are before it",
    detail="Priority",
    submitted=900.0,
    expected=2000.0,
    place=3,
)


def event(seen, request=ONE_A100, **more):
    return progress_event(seen, request, **{"asked": 900.0, "before": None, "health": WELL, **more})


def test_a_waiting_job_says_for_what_why_its_place_and_when():
    told = event(WAITING, before=2900.0)
    assert (told["stage"], told["message"]) == ("waiting", "Waiting for a free A100")
    assert (told["reason"], told["place"]) == ("others are before it", 3)
    assert (told["expected"], told["was"], told["asked"]) == (2000.0, 2900.0, 900.0)
    assert told["step"] and told["detail"] == "job 17: Priority"


@pytest.mark.parametrize(
    ("others", "words"), [(0, ""), (1, "one other asked before"), (7, "7 others asked before")]
)
def test_who_is_not_yet_in_the_queue_reads_how_many_asked_before(others: int, words: str):
    told = event(None, others=others)
    assert (told["stage"], told["reason"]) == ("asked", words)
    assert event(WAITING, others=others)["reason"] == "others are before it"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(cpus=1), "a free CPU"),
        (Request(cpus=8), "8 free CPUs"),
        (Request(gpus=1), "a free GPU"),
        (Request(gpus=2, gpu_type="h100"), "2 free H100s"),
        (Request(nodes=3, gpus=2), "3 free nodes"),
    ],
)
def test_what_has_to_become_free(request_: Request, words: str):
    assert wanted(request_) == words


def test_a_job_that_does_not_wait_for_its_turn_has_no_place_and_says_why_in_large():
    told = event(replace(WAITING, detail="JobHeldAdmin", reason="an administrator holds it"))
    assert told["message"] == "Waiting: an administrator holds it"
    assert (told["place"], told["queues"]) == (None, False)
    assert "administrator" in told["step"]


def test_a_place_that_the_cluster_hides_is_unknown_though_it_queues():
    told = event(replace(WAITING, place=None))
    assert (told["place"], told["queues"]) == (None, True)


@pytest.mark.parametrize(
    ("seen", "arrived", "stage", "message"),
    [
        (None, False, "asked", "Asking for a place"),
        (
            replace(WAITING, state=State.STARTING, node="gpu01"),
            False,
            "starting",
            "Starting JupyterLab on gpu01",
        ),
        (
            replace(WAITING, state=State.RUNNING, node="gpu01"),
            True,
            "ready",
            "JupyterLab answers on gpu01",
        ),
    ],
)
def test_the_other_stages(seen, arrived, stage, message):
    told = event(seen, arrived=arrived)
    assert (told["stage"], told["message"], told["place"], told["expected"]) == (
        stage,
        message,
        None,
        None,
    )


def test_trouble_is_told_with_when_it_began_and_what_was_known_stays():
    told = event(WAITING, health=Health(1000.0, trouble="Socket timed out", since=1010.0))
    assert (told["trouble"], told["since"]) == ("Socket timed out", 1010.0)
    assert told["message"] == "Waiting for a free A100"


def test_another_look_that_showed_the_same_is_no_news():
    first = event(WAITING)
    assert is_news(first, None)
    assert not is_news(event(WAITING, health=Health(looked=1006.0)), first)
    assert is_news(event(replace(WAITING, place=2)), first)
    assert is_news(event(WAITING, health=Health(1000.0, trouble="x", since=1.0)), first)
