"""Reads the meter of a job beside everything else; one that hangs (a home whose server is away) delays nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from .use import Use


class Reads(Protocol):
    """What is measured with, such as :class:`~.use.Meter`."""

    def read(self) -> Use: ...


class Measuring:
    """Reads ``meter`` in a thread, once at a time."""

    def __init__(self, meter: Reads, log: logging.Logger | logging.LoggerAdapter[Any]):
        self._meter, self._log = meter, log
        self._reading: asyncio.Task[Use] | None = None

    async def read(self, within: float) -> Use | None:
        """What is used now; None where it cannot be read, or takes longer than so many seconds."""
        if self._reading is None:
            self._reading = asyncio.create_task(asyncio.to_thread(self._meter.read))
        done, _ = await asyncio.wait([self._reading], timeout=within)
        if not done:
            return None
        task, self._reading = self._reading, None
        try:
            return task.result()
        except OSError as error:
            self._log.warning("What this job uses cannot be read: %s", error)
            return None
