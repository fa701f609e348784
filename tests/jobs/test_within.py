"""Waiting for an event: told at once, given up in time, and never deaf to being cancelled."""

from __future__ import annotations

import asyncio
import time

import pytest
from shopfloor_jobs.within import set_within


async def test_it_returns_as_soon_as_the_event_is_set():
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, event.set)
    assert await set_within(event, 60)


@pytest.mark.parametrize("seconds", [0.05, 0, -1])
async def test_it_gives_up_in_time(seconds: float):
    began = time.monotonic()
    assert not await set_within(asyncio.Event(), seconds)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("turns", range(6))
async def test_a_loop_around_it_ends_when_it_is_cancelled_as_the_event_is_set(turns: int):
    event = asyncio.Event()

    async def look() -> None:
        while True:
            await set_within(event, 60)
            event.clear()

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.01)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    looking.cancel()
    ended, _ = await asyncio.wait({looking}, timeout=1)
    assert ended and looking.cancelled()
