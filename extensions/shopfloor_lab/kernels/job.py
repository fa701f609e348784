"""The job of one kernel: asked for, waited for, seen to end, found again; provisioner.py runs the kernel in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from shopfloor_jobs import directory
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Job, Seen
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, SubmitRefused, Unreachable
from shopfloor_jobs.view import View
from shopfloor_jobs.within import set_within

from .kept import Kept
from .lab import Lab
from .order import ORDER, Arrival, Launch, Order
from .runs_file import has_outputs

ARRIVES = (0.02, 0.5)  # seconds between looks for the agent, the first and the longest
# Seconds between questions whether a job that is waited for still lives: at first, and after a minute.
ASKED, SELDOM = 1.0, 6.0
LOOKED = 5.0  # seconds for which one look at the jobs serves
RECORD_WITHIN = 10.0  # seconds in which a job's runner notes its end, when the scheduler knows it
CANCELLED, ENDED = "You cancelled it.", "It ended."
STOPPED = "was stopped"  # the runner's word, who cannot know by whom
# Slurm's codes for a job whose runner ended by itself: why that did, stands in its record alone.
BY_ITSELF = ("COMPLETED", "FAILED")

T = TypeVar("T")

log = logging.getLogger("shopfloor.kernels")


class KernelEnded(RuntimeError):
    """The kernel's job is over; the text is why."""


class KernelJob:
    """``kept`` is None for a kernel that nobody is to find again: its program has no server."""

    def __init__(
        self, lab: Lab, job: Job, order: Order, ways: tuple[Scheduler, View], kept: Kept | None
    ):
        self.job, self.order, self.kept = job, order, kept
        self.path = directory.directory_of(lab.home, job.tag)
        self.cause = ""  # why it is over, or its kernel, in words
        self.has_ended = False
        self.may_live = False  # it was to be cancelled, and nobody answered
        self._lab = lab
        self._scheduler, self._view = ways
        self._given_up = asyncio.Event()
        self._over_since: float | None = None

    @property
    def seen(self) -> Seen | None:
        """What the last look at all jobs showed of it, however old."""
        return self._view.last_known(self.job.owner, self.job.tag)

    @property
    def trouble(self) -> str:
        """Why nobody can say what becomes of it now; empty where that is known."""
        return self._view.trouble

    async def submit(self) -> None:
        """Raises SchedulerError; where it is cancelled, the submission has happened or not when this returns."""
        submitting = asyncio.ensure_future(self._submit())
        try:
            await asyncio.shield(submitting)
        except asyncio.CancelledError:
            # It goes on in its thread, so that only afterwards there is something to cancel.
            await asyncio.wait({submitting})
            raise

    async def _submit(self) -> None:
        try:
            await asyncio.to_thread(self._keep_first)
        except OSError as error:
            raise SubmitRefused(directory.home_words(error, self._lab.home)) from error
        try:
            await self._scheduler.submit(self.job)
        except Unreachable:
            raise  # it may have been submitted all the same
        except SchedulerError:
            await asyncio.to_thread(shutil.rmtree, self.path, True)
            raise

    def _keep_first(self) -> None:
        if self.kept:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.kept.write(self.path)

    async def keep(self, kept: Kept) -> None:
        """Write down what has changed of it; a home that is full or away keeps nothing, and says so in the log."""
        self.kept = kept
        try:
            await asyncio.to_thread(kept.write, self.path)
        except OSError as error:
            log.warning("Kernel %s will not be found again: %s", kept.kernel_id, error)

    def give_up(self) -> None:
        """Whoever waits for it waits no longer."""
        self._given_up.set()

    async def is_given_up_within(self, seconds: float) -> bool:
        """Waits for that no longer than this."""
        return await set_within(self._given_up, seconds)

    async def arrived(self) -> Arrival:
        """Where the agent listens, once it does. Raises KernelEnded."""
        pause, longest = ARRIVES
        began = asked_at = time.monotonic()
        while True:
            arrival = await asyncio.to_thread(_inside, self.path, Arrival.read)
            if arrival is not None:
                return arrival
            now = time.monotonic()
            if now - asked_at > min(SELDOM, max(ASKED, (now - began) / 10)):
                if await self.is_over(ASKED):
                    raise KernelEnded(self.cause or ENDED)
                asked_at = time.monotonic()
            if await self.is_given_up_within(pause):
                self.cause = CANCELLED
                raise KernelEnded(CANCELLED)
            pause = min(longest, pause * 1.2)

    async def is_over(self, max_age: float = LOOKED) -> bool:
        """Whether it has ended for certain; then ``cause`` says why. Unknown is not dead."""
        if self.has_ended:
            return True
        record = await asyncio.to_thread(self._record)
        if record is None:
            if not await self._view.is_gone(self.job.owner, self.job.tag, max_age):
                return False
            # Its runner knows best, and may still be about to write it down.
            self._over_since = self._over_since or time.monotonic()
            seen, waited = self.seen, time.monotonic() - self._over_since
            ran = seen is not None and seen.started is not None
            if ran and (not seen.cause or seen.detail in BY_ITSELF) and waited < RECORD_WITHIN:
                return False
            record = await asyncio.to_thread(self._record)
        elif record.get("cause") == STOPPED:
            await self.refresh(ASKED)
        self.cause, self.has_ended = self.cause or cause_of(record or {}, self.seen), True
        return True

    def _record(self) -> dict[str, Any] | None:
        with contextlib.suppress(OSError):  # the home is away for a moment: not known now
            return _inside(self.path, directory.exit_record)
        return None

    async def refresh(self, max_age: float) -> None:
        """Have what ``seen`` says looked up, where that is older; not knowing changes nothing."""
        with contextlib.suppress(Unreachable):
            await self._view.job(self.job.owner, self.job.tag, max_age)

    async def cancel(self) -> None:
        """End it through the scheduler; where that does not answer, it may live on, and says so."""
        try:
            await self._cancel()
        except SchedulerError as error:
            log.warning("The kernel's job %s may still run: %s", self.job.tag, error)
            self.may_live = True

    async def _cancel(self) -> None:
        seen = await self._scheduler.look()
        job = self.job
        ids = [
            one.id for one in seen if one.alive and one.tag == job.tag and one.owner == job.owner
        ]
        if ids:
            await self._scheduler.cancel(job.owner, ids)

    async def discard(self) -> None:
        """Remove its keys, and end the watch over it; not of one that may live on, for somebody to find."""
        if self.may_live:
            return
        self._view.forget(self.job.owner, self.job.tag)
        # One that was told to end keeps them, for it might have been told to start again.
        with contextlib.suppress(OSError):
            await asyncio.to_thread(directory.discard, self.path)


def cause_of(record: Mapping[str, Any], seen: Seen | None) -> str:
    """Why a job is over: its runner knows best, but for who stopped it."""
    told, by_scheduler = str(record.get("cause") or ""), seen.cause if seen else ""
    return by_scheduler or told or ENDED if told in ("", STOPPED) else told


def read_again(lab: Lab, ways: tuple[Scheduler, View], path: Path) -> KernelJob | None:
    """The job with this directory, as an earlier Lab server left it; None where it cannot be had again.

    One without keys was seen to end: it is had again for what it printed. Raises OSError.
    """
    kept, record = Kept.read(path), directory.read_json(path / "request.json")
    if kept is None or record is None:
        return None
    try:
        job = Job.from_json(record)
        order = Order.read(path / directory.PRIVATE / ORDER)
    except FileNotFoundError:
        return _read_ended(lab, job, ways, kept) if has_outputs(path) else None
    except (KeyError, TypeError, ValueError, Refused):
        return None
    return KernelJob(lab, job, order, ways, kept)


def _read_ended(lab: Lab, job: Job, ways: tuple[Scheduler, View], kept: Kept) -> KernelJob:
    nothing = Order(Launch([]), "", "", "", "", kept.name, {})
    ended = KernelJob(lab, job, nothing, ways, kept)
    record = _inside(ended.path, directory.exit_record) or {}
    ended.cause, ended.has_ended = cause_of(record, None), True
    return ended


def _inside(path: Path, read: Callable[[Path], T | None]) -> T | None:
    """What is read in a directory; None where that is not there. Raises OSError."""
    # On NFS a file that was not there is not seen for half a minute, unless its directory is opened.
    with contextlib.suppress(FileNotFoundError), os.scandir(path):
        return read(path)
    return None
