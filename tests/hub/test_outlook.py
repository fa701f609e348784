"""What a choice comes to: costs, what is left, when it starts; estimates are kept, shared and few at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from shopfloor_hub import estimates as module
from shopfloor_hub.costs import (
    cost_words,
    free_words,
    hours,
    left_words,
    rate_words,
    room_words,
)
from shopfloor_hub.estimates import Estimate, Estimates, TooMany
from shopfloor_hub.offers import Known
from shopfloor_hub.outlook import Outlook, start_json
from shopfloor_jobs.accounts import Account, Accounts
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Description, NodeInfo, SubmitRefused, Unreachable

GB = 1024**3
VISION = Account("vision", True, gpu_limit=200 * 3600, gpu_used=52 * 3600)
GPU = Request(cpus=1, memory=GB, gpus=2, gpu_type="a100", partition="gpu", time=3600)
NODES = (
    NodeInfo("gpu01", ("gpu",), 16, 64 * GB, {"a100": 4}, 16, 64 * GB, {"a100": 0}),
    NodeInfo("gpu02", ("gpu",), 16, 64 * GB, {"l40": 2}, 16, 64 * GB, {"l40": 2}),
    NodeInfo("cpu01", ("cpu",), 16, 64 * GB, {}, 12, 64 * GB),
)
MACHINE = Description("slurm", "22.05", (), {}, NODES)
OFFER = Offer(
    "alice",
    "Site",
    {"type": "slurm"},
    (Partition("cpu", "CPU nodes"), Partition("gpu", "", {"gpus": 4}, {"a100": 4, "l40": 2})),
    (Preset("small", "Small", {"cpus": 1}),),
)


async def known(moment: float) -> Known:
    return Known(MACHINE, Accounts(), moment)


class Answers:
    """A scheduler that estimates by GPU type: a time, or an exception; holds back while ``go_on`` is not set."""

    def __init__(self, **by_type: float | Exception):
        self.by_type, self.asked, self.at_once, self.most = by_type, 0, 0, 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def estimate(self, owner: str, request: Request) -> float:
        self.asked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.go_on.wait()
        self.at_once -= 1
        answer = self.by_type[request.gpu_type or "none"]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("seconds", "words"), [(7200, "2"), (1800, "0.5"), (3600 * 1204.4, "1,204"), (60, "0.017")]
)
def test_hours_are_short(seconds: float, words: str):
    assert hours(seconds) == words


def test_a_cost_is_told_with_what_is_left():
    assert cost_words(GPU, VISION) == "2 of the 148 GPU-hours that vision has left"
    assert cost_words(replace(GPU, gpus=0), VISION).startswith("none of the 148")
    assert cost_words(GPU, replace(VISION, gpu_limit=None)) == "2 GPU-hours of vision"
    assert cost_words(GPU, None) == "2 GPU-hours"
    assert cost_words(replace(GPU, gpus=0), None) == ""
    assert cost_words(GPU, VISION, 4) == "8 of the 148 GPU-hours that vision has left"
    assert left_words([VISION, Account("free")]) == ["vision: 148 of 200 GPU-hours left"]


def test_free_hardware_is_told_by_type_and_for_a_card():
    assert free_words(OFFER, MACHINE) == ["CPU nodes 12 of 16 CPUs", "A100 0 of 4", "L40 2 of 2"]
    assert room_words(MACHINE, GPU) == "none free now"
    assert room_words(MACHINE, replace(GPU, gpus=1, gpu_type="l40")) == "2 free now"
    assert room_words(replace(MACHINE, nodes=()), GPU) == ""


def test_the_price_of_an_hour_counts_every_worker():
    assert rate_words(replace(GPU, gpus=1), 4) == "4 GPU-hours per hour"
    assert rate_words(replace(GPU, gpus=1)) == "1 GPU-hour per hour"
    assert rate_words(replace(GPU, gpus=2, nodes=2), 3) == "12 GPU-hours per hour"
    assert rate_words(replace(GPU, gpus=0), 4) == ""


@pytest.mark.parametrize(
    ("estimate", "kind"),
    [
        (Estimate(100, 110), "now"),
        (Estimate(100, 500), "later"),
        (Estimate(100, refused="no"), "refused"),
        (Estimate(100, 110, trouble="silent"), "unknown"),
        (Estimate(), "unknown"),
    ],
)
def test_a_start_is_now_later_refused_or_unknown(estimate: Estimate, kind: str):
    assert start_json(estimate, now=100)["kind"] == kind


async def test_what_is_free_is_offered_instead_unless_the_scheduler_would_refuse_it():
    now = time.time()

    async def outlook(**estimates: float | Exception) -> dict:
        accounts = Accounts({"alice": (VISION,)})
        answers = Estimates(Answers(**estimates))
        return await Outlook(OFFER, accounts, answers, known).of(replace(GPU, gpus=1))

    answer = await outlook(a100=now + 900, l40=now + 800)
    assert answer["start"]["kind"] == "later"
    assert answer["instead"][0]["values"]["gpu_type"] == "l40"
    assert not answer["too_dear"]
    assert not answer["free"]
    assert (await outlook(a100=now + 900, l40=SubmitRefused("no")))["instead"] == []
    assert (await outlook(a100=now, l40=now))["instead"] == []


async def test_many_jobs_cost_as_many_times_and_it_is_told_how_many_fit():
    l40 = replace(GPU, gpus=1, gpu_type="l40", time=100 * 3600)
    outlook = Outlook(
        OFFER, Accounts({"alice": (VISION,)}), Estimates(Answers(l40=time.time())), known
    )
    one, four = await outlook.of(l40), await outlook.of(l40, 4)
    assert (one["room"], four["room"]) == (2, 2)
    assert (one["rate"], four["rate"]) == ("1 GPU-hour per hour", "4 GPU-hours per hour")
    assert (one["too_dear"], four["too_dear"]) == (False, True)
    assert four["cost"] == "400 of the 148 GPU-hours that vision has left"
    assert four["rooms"] == {"small": "free now"}
    assert four["free_now"] == ["CPU nodes 12 of 16 CPUs", "A100 0 of 4", "L40 2 of 2"]
    assert four["seen"] == four["start"]["asked"], (
        "found out after the scheduler said when it starts"
    )


async def test_free_hardware_is_told_though_the_scheduler_promises_less():
    outlook = Outlook(OFFER, Accounts(), Estimates(Answers(l40=time.time() + 3600)), known)
    answer = await outlook.of(replace(GPU, gpus=1, gpu_type="l40"))
    assert (answer["start"]["kind"], answer["free"], answer["instead"]) == ("later", True, [])


async def test_one_answer_serves_everybody_who_asks_the_same_and_for_a_while():
    scheduler = Answers(a100=1.0)
    estimates = Estimates(scheduler)
    found = await asyncio.gather(*(estimates.get("alice", GPU) for _ in range(20)))
    assert {one.starts for one in found} == {1.0}
    await estimates.get("alice", GPU)
    assert scheduler.asked == 1
    await estimates.get("bob", GPU)
    assert scheduler.asked == 2


async def test_few_are_asked_at_a_time_and_one_person_cannot_take_the_whole_line():
    scheduler = Answers(a100=1.0)
    scheduler.go_on.clear()
    estimates = Estimates(scheduler)
    others = [asyncio.create_task(estimates.get(f"person{number}", GPU)) for number in range(30)]
    mine = [
        asyncio.create_task(estimates.get("alice", replace(GPU, cpus=number)))
        for number in range(1, 9)
    ]
    done, _ = await asyncio.wait(mine, return_when=asyncio.FIRST_EXCEPTION)
    assert isinstance(done.pop().exception(), TooMany)
    scheduler.go_on.set()
    await asyncio.gather(*others)
    assert scheduler.most == module.AT_ONCE


async def test_a_silent_scheduler_holds_nobody_up_and_what_was_known_is_told(monkeypatch):
    monkeypatch.setattr(module, "WITHIN", 0.02)
    monkeypatch.setattr(module, "FRESH", 0.0)
    scheduler = Answers(a100=50.0)
    estimates = Estimates(scheduler)
    assert (await estimates.get("alice", GPU)).starts == 50.0
    scheduler.go_on.clear()
    late = await estimates.get("alice", GPU)
    assert (late.starts, late.trouble) == (50.0, "the scheduler has not answered yet")


@pytest.mark.parametrize(
    ("error", "refused", "trouble"),
    [(SubmitRefused("no such QOS"), "no such QOS", ""), (Unreachable("away"), "", "away")],
)
async def test_a_refusal_is_kept_and_silence_is_not(error: Exception, refused: str, trouble: str):
    estimates = Estimates(Answers(a100=error))
    found = await estimates.get("alice", GPU)
    assert (found.refused, found.trouble) == (refused, trouble)
    await estimates.get("alice", GPU)
    assert estimates.scheduler.asked == (1 if refused else 2)


async def test_whether_there_is_room_is_not_told_from_what_was_known_last_night():
    moments: list[float] = []

    async def noted(moment: float) -> Known:
        moments.append(moment)
        return await known(moment)

    outlook = Outlook(OFFER, Accounts(), Estimates(Answers()), noted)
    assert (await outlook.room_now(GPU))["room"] == 0
    assert time.time() - 120 < moments[0] < time.time()
