"""Waiting for an event, but not for ever: whatever looks by itself and can be told to look sooner waits so."""

from __future__ import annotations

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set, at the latest after so many seconds.

    Before Python 3.12 ``asyncio.wait_for`` swallows a cancellation that comes as the event is set: a loop around it
    goes on for ever, and so does who waits for its end.
    """
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting}, timeout=max(0.0, seconds))
    finally:
        waiting.cancel()
    return event.is_set()
