"""Waiting for a condition with a deadline; what every test uses in place of a fixed sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
EVERY_SECONDS = 0.02


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first true value of ``condition``; fails the test, saying ``what`` was awaited, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s still waiting until {what}; last: {value!r}")
        time.sleep(EVERY_SECONDS)


async def async_wait_until(
    condition: Callable[[], T | Awaitable[T]],
    seconds: float,
    what: str,
    every: float = EVERY_SECONDS,
) -> T:
    """The same on an event loop; ``condition`` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s still waiting until {what}; last: {value!r}")
        await asyncio.sleep(every)
