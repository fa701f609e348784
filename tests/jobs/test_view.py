"""One look answers all who ask; unknown is not dead; a look that began too early is not enough."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.scheduler import NothingNew, Unreachable
from shopfloor_jobs.view import Pace, View

TAG = "shopfloor-server-0123456789abcdef"
RUNNING = Seen("17", TAG, "alice", State.RUNNING)


class ScriptedScheduler:
    """Answers each look with the next entry: jobs, or an exception; the last one again and again."""

    def __init__(self, *answers: list[Seen] | Exception):
        self.answers = list(answers)
        self.looks = 0
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def look(self) -> list[Seen]:
        self.looks += 1
        self.began.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.go_on.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_however_many_ask_at_once_one_look_answers():
    scheduler = ScriptedScheduler([RUNNING])
    view = View(scheduler)
    found = await asyncio.gather(*(view.job("alice", TAG) for _ in range(50)))
    assert found == [RUNNING] * 50
    assert scheduler.looks == 1


async def test_a_look_that_began_before_the_question_is_not_taken_for_fresh():
    scheduler = ScriptedScheduler([], [RUNNING])
    scheduler.go_on.clear()
    view = View(scheduler)
    earlier = asyncio.create_task(view.job("bob", TAG, max_age=0))
    await scheduler.began.wait()
    mine = asyncio.create_task(view.job("alice", TAG, max_age=0))
    await asyncio.sleep(0)
    scheduler.go_on.set()
    await earlier
    assert await mine == RUNNING


async def test_unknown_is_not_dead_and_one_clean_look_without_the_job_is_not_enough():
    scheduler = ScriptedScheduler(Unreachable("no answer"), [], Unreachable("no answer"), [])
    view = View(scheduler)
    assert [await view.is_gone("alice", TAG, 0) for _ in range(4)] == [False, False, False, True]


async def test_a_look_that_began_before_a_job_was_asked_for_says_nothing_of_its_end():
    scheduler = ScriptedScheduler([])
    scheduler.go_on.clear()
    view = View(scheduler)
    earlier = asyncio.create_task(view.job("bob", TAG, max_age=0))
    await scheduler.began.wait()
    mine = asyncio.create_task(view.is_gone("alice", TAG, 0))
    await asyncio.sleep(0)
    scheduler.go_on.set()
    await earlier
    assert not await mine, "two looks ended, and one of them counts"
    assert scheduler.looks == 2
    assert await view.is_gone("alice", TAG, 0)


async def test_a_source_that_lags_behind_is_asked_more_often_until_it_is_certain():
    view = View(ScriptedScheduler([]), sure=3)
    assert [await view.is_gone("alice", TAG, 0) for _ in range(3)] == [False, False, True]


async def test_an_ended_job_is_gone_and_a_living_one_of_the_same_tag_counts_first():
    ended = Seen("16", TAG, "alice", State.ENDED, cause="failed")
    assert await View(ScriptedScheduler([ended])).is_gone("alice", TAG)
    assert not await View(ScriptedScheduler([ended, RUNNING])).is_gone("alice", TAG)


async def test_somebody_elses_job_with_the_same_name_does_not_count():
    view = View(ScriptedScheduler([Seen("18", TAG, "mallory", State.RUNNING)]))
    assert await view.job("alice", TAG) is None


async def test_what_was_known_is_still_known_when_the_scheduler_is_silent():
    view = View(ScriptedScheduler([RUNNING], Unreachable("silent since then")))
    await view.job("alice", TAG)
    with pytest.raises(Unreachable):
        await view.job("alice", TAG, max_age=0)
    assert view.last_known("alice", TAG) == RUNNING
    assert view.trouble == "silent since then"


@contextlib.asynccontextmanager
async def running(view: View) -> AsyncIterator[View]:
    view.run()
    try:
        yield view
    finally:
        view._running.cancel()


QUICK = Pace(calm=0.01, quick=0.01, share=1)


async def test_a_running_view_looks_by_itself_and_those_who_ask_cause_no_look():
    scheduler = ScriptedScheduler([RUNNING], [])
    async with running(View(scheduler, Pace(calm=60))) as view:
        assert await view.change(5)
        assert [await view.job("alice", TAG, None) for _ in range(20)] == [RUNNING] * 20
        assert scheduler.looks == 1


async def test_whoever_hurries_wakes_a_calm_view():
    scheduler = ScriptedScheduler([], [RUNNING])
    async with running(View(scheduler, Pace(calm=60, quick=0.01))) as view:
        await view.change(5)
        assert not await view.change(0.05)
        view.hurry()
        assert await view.change(5)
        assert await view.job("alice", TAG, None) == RUNNING


async def test_a_running_view_goes_on_after_trouble_and_tells_it():
    scheduler = ScriptedScheduler(Unreachable("silent"), Unreachable("silent"), [RUNNING])
    async with running(View(scheduler, QUICK)) as view:
        view.await_news()
        await view.change(5)
        first = view.health
        assert (first.trouble, first.looked) == ("silent", None)
        await view.change(5)
        assert view.health.since == first.since
        await view.change(5)
        assert (view.health.trouble, view.health.since) == ("", None)
        assert view.health.looked >= first.since


async def test_an_expected_start_that_moved_is_told_with_what_it_was():
    waiting = Seen("17", TAG, "alice", State.PENDING, expected=1000.0)
    moved = [replace(waiting, expected=when) for when in (1030.0, 1900.0, 1910.0)]
    view = View(ScriptedScheduler([waiting], *([one] for one in moved)))
    was = []
    for _ in range(4):
        await view.job("alice", TAG, max_age=0)
        was.append(view.expected_before("alice", TAG))
    assert was == [None, None, 1000.0, 1000.0]


async def test_the_same_look_told_twice_is_not_two_looks():
    view = View(ScriptedScheduler([], NothingNew(), NothingNew(), []))
    assert [await view.is_gone("alice", TAG, 0) for _ in range(4)] == [False, False, False, True]


async def test_who_has_nothing_new_to_say_answers_all_the_same():
    view = View(ScriptedScheduler([RUNNING], Unreachable("silent"), NothingNew()))
    await view.job("alice", TAG, 0)
    known = view.health
    assert not await view.is_gone("alice", TAG, 0)
    assert view.trouble == "silent"
    told = asyncio.create_task(view.change(5))
    await asyncio.sleep(0)
    assert await view.job("alice", TAG, 0) == RUNNING
    assert view.health == known
    assert await told


def test_a_scheduler_that_answers_slowly_is_asked_less():
    pace = Pace(calm=6, quick=0.5, share=10, stalest=20, longest=60)
    assert pace.interval(took=0.02, hurried=False) == 6
    assert pace.interval(took=0.02, hurried=True) == 0.5
    assert pace.interval(took=1, hurried=True) == 10
    assert pace.interval(took=0.02, hurried=False, wanted=False) == 60


def test_what_somebody_waits_for_is_never_left_for_a_minute_however_slow_the_scheduler():
    pace = Pace(calm=6, share=10, stalest=20, longest=60)
    assert pace.interval(took=3, hurried=False) == 20
    assert pace.interval(took=3, hurried=False, wanted=False) == 60
