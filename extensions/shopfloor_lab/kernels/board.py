"""The list of a Lab server's kernels that are jobs, those included that ended: made anew as things change, and told.

It looks every second while a kernel waits or starts, and seldom otherwise; managers.py says which kernels there are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from shopfloor_jobs import directory
from shopfloor_jobs.directory import home_words
from shopfloor_jobs.masking import mask
from shopfloor_jobs.within import set_within

from shopfloor_lab.errors import Conflict, NoAnswer
from shopfloor_lab.session.moved_end import SLACK

from .entry import Entry
from .job import ENDED, KernelJob
from .kept import Session, forget
from .kernel import JobKernel
from .link import Link
from .provisioner import SILENT
from .rows import row
from .runs_file import forget_runs, has_outputs, read_runs

WAITS, RUNS, LEAST = (
    1.0,
    3.0,
    0.2,
)  # seconds between looks; the least where short cells follow each other
ENDS_WITHIN = 15.0  # seconds for a job that was told to end
MOVED = 30.0  # seconds for which the end that the scheduler has for a running job is believed
LOG_LINES = 20
NOTEBOOK = "notebook"  # the type of its sessions
MAY_LIVE = "It was told to end, and nobody says whether it has: its job may still run."
Row = dict[str, Any]

log = logging.getLogger("shopfloor.kernels")


class Board:
    """``emit`` takes all rows, whenever one of them is another than before; ``over`` hears of each living kernel whose
    job is seen to have ended."""

    def __init__(self, over: Callable[[str], Any]) -> None:
        self._over = over
        self.emit: Callable[[list[Row]], Any] = lambda rows: None
        self._entries: dict[str, Entry] = {}
        self._shown: list[Row] = []
        self._stirred = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Future[Any]] = set()

    # What managers.py and sessions.py say

    def add(self, kernel_id: str, kernel: JobKernel, starting: asyncio.Future[Any]) -> None:
        """A kernel was asked for, or is had again; ``starting`` is done when it runs or cannot be had."""
        spec = kernel.kernel_spec
        label = spec.display_name if spec else kernel.kernel_name
        asked = spec.metadata["kernel_provisioner"].get("config", {}).get("request", {})
        entry = Entry(kernel_id, kernel.kernel_name, label, dict(asked), kernel.asked)
        entry.kernel = kernel
        entry.session = kernel.taken.kept.session if kernel.taken else None
        self._entries[entry.id] = entry
        # Jupyter hears at once whether it computes, the agent is asked now and then.
        kernel.observe(lambda _: self.stir(), "execution_state")
        starting.add_done_callback(lambda _: self._soon(self._began(entry)))
        self._begin()

    def add_ended(self, job: KernelJob) -> None:
        """A kernel of an earlier server, whose job is over."""
        kept = job.kept
        entry = Entry(kept.kernel_id, kept.name, job.job.title, dict(kept.chosen), kept.asked)
        entry.job, entry.session, entry.cause = job, kept.session, job.cause
        self._entries[entry.id] = entry
        self._soon(self._bury(entry))
        self._begin()

    async def ends(self, kernel_id: str) -> None:
        """The person has ended a kernel that ran: nothing is left to say of it, if it is certain that its job ends."""
        entry = self._entries.get(kernel_id)
        if entry is None or entry.cause:
            return
        if entry.job and entry.job.may_live:
            entry.cause = MAY_LIVE
            await self._bury(entry)
            return
        del self._entries[kernel_id]
        await self._forget(entry)
        self.stir()

    def ended(self, kernel_id: str) -> None:
        """A kernel's job is over, and Jupyter has it no more."""
        if entry := self._entries.get(kernel_id):
            known = entry.job.cause if entry.job else ""
            death = entry.link.kernel.death if entry.link else None
            entry.cause = known or (str(death["cause"]) if death else "") or ENDED
            self._soon(self._bury(entry, ends_job=not (entry.job and entry.job.has_ended)))

    def note_session(self, kernel_id: str, session: Session) -> None:
        """Which document the kernel belongs to, now."""
        if entry := self._entries.get(kernel_id):
            entry.session = session
            for other in self._ended_of(session):
                self._soon(self._make_way(other))
            self.stir()

    def _ended_of(self, session: Session) -> list[Entry]:
        return [
            one
            for one in self._entries.values()
            if one.cause and one.session and one.session.path == session.path
        ]

    async def _make_way(self, entry: Entry) -> None:
        """Another kernel is there in its stead: it goes, but not with the only copy of what it printed."""
        await entry.is_buried.wait()
        if not entry.unsaved and entry.id in self._entries:
            await self.remove(entry.id)

    def close(self) -> None:
        """The server ends."""
        if self._looking:
            self._looking.cancel()
        for task in self._tasks:
            task.cancel()

    # What handlers.py asks

    def rows(self) -> list[Row]:
        """All kernels, the newest first."""
        now = time.time()
        entries = sorted(self._entries.values(), key=lambda one: -one.asked)
        return [row(entry.facts(), now, SILENT) for entry in entries]

    def row(self, kernel_id: str) -> Row:
        """Raises LookupError."""
        return row(self.entry(kernel_id).facts(), time.time(), SILENT)

    def find(self, kernel_id: str | None) -> Entry | None:
        """The kernel, if it is or was a job."""
        return self._entries.get(kernel_id or "")

    def entry(self, kernel_id: str) -> Entry:
        """As :meth:`find`. Raises LookupError where there is none."""
        if entry := self.find(kernel_id):
            return entry
        raise LookupError("There is no such kernel with a job of its own (any more).")

    async def keep(self, kernel_id: str) -> None:
        """The person wants it, though it computes nothing. Raises LookupError, Conflict or NoAnswer."""
        await self._link(kernel_id).keep()
        self.stir()

    async def runs(self, kernel_id: str) -> list[dict[str, Any]]:
        """What the last run of each cell printed. Raises LookupError, Conflict or NoAnswer."""
        entry = self.entry(kernel_id)
        if not entry.cause:
            return await self._link(kernel_id).runs()
        await entry.is_buried.wait()
        try:
            return list(await asyncio.to_thread(read_runs, entry.job.path)) if entry.job else []
        except OSError as error:
            raise NoAnswer(home_words(error, Path.home())) from error

    async def saved(self, kernel_id: str) -> None:
        """What one printed that has ended is in its notebook, and that is saved: the record is not needed any more.
        Raises LookupError, Conflict or NoAnswer."""
        entry = self.entry(kernel_id)
        if not entry.cause:
            raise Conflict("It has not ended.")
        await entry.is_buried.wait()
        try:
            if entry.job:
                await asyncio.to_thread(forget_runs, entry.job.path)
        except OSError as error:
            raise NoAnswer(home_words(error, Path.home())) from error
        entry.unsaved = False
        path = entry.session.path if entry.session else None
        later = [one.session for one in self._entries.values() if one.asked > entry.asked]
        if any(one and one.path == path for one in later):
            await self._make_way(entry)
        self.stir()

    def _link(self, kernel_id: str) -> Link:
        entry = self.entry(kernel_id)
        if entry.link is None:
            raise Conflict("Its job has ended." if entry.cause else "It has not started yet.")
        return entry.link

    async def remove(self, kernel_id: str) -> None:
        """Take one that has ended off the list. Raises LookupError."""
        entry = self.entry(kernel_id)
        del self._entries[kernel_id]
        await self._forget(entry)
        self.stir()

    def sessions(self) -> dict[str, Session]:
        """The documents of the living kernels, by kernel."""
        return {
            one.id: one.session
            for one in self._entries.values()
            if one.session and not one.cause and one.kernel
        }

    def stir(self) -> None:
        """Look at once."""
        self._stirred.set()

    # Looking

    def _begin(self) -> None:
        self.stir()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._entries or self._shown:
            self._stirred.clear()
            try:
                await self._look()
            except Exception:  # whatever one of them said: the next look tells of the others
                log.exception("A look at the kernels failed")
            waits = any(one.link is None for one in self._living())
            await asyncio.sleep(LEAST)
            await set_within(self._stirred, WAITS if waits else RUNS)

    async def _look(self) -> None:
        """Tell what is known now, and ask what is not: a hub that is away holds up the answer, and nothing else."""
        for entry in self._living():
            if entry.asking is None or entry.asking.done():
                entry.asking = asyncio.ensure_future(self._ask(entry))
                self._soon(entry.asking)
        self._tell()

    def _tell(self) -> None:
        rows = self.rows()
        if rows != self._shown:
            self._shown = rows
            self.emit(rows)

    async def _ask(self, entry: Entry) -> None:
        """What becomes of its job, by those who may take long to say."""
        try:
            job = entry.job
            if job is None:
                return
            if job.kept and job.kept.session != entry.session:
                await job.keep(replace(job.kept, session=entry.session))
            if entry.link:
                began = job.seen is not None and job.seen.started is not None
                await job.refresh(MOVED if began else WAITS)
                await _follow_end(job, entry.link)
            link = entry.link
            quiet = link is not None and (link.silence() > SILENT or link.kernel.ending)
            # Its restarter sees that, too, but none is there while a person's own restart fails.
            if quiet and await job.is_over():
                self._over(entry.id)
            self._tell()
        except Exception:  # whatever one of them said: the next look asks again
            log.exception("A look at kernel %s failed", entry.id)

    def _living(self) -> list[Entry]:
        return [one for one in self._entries.values() if not one.cause]

    async def _began(self, entry: Entry) -> None:
        kernel = entry.kernel
        ready = kernel.ready if kernel else None
        if ready is not None and ready.done() and not ready.cancelled() and ready.exception():
            error = ready.exception()
            entry.cause = str(error) or type(error).__name__
            # What Jupyter itself says of it must be true as well.
            kernel.execution_state, kernel.reason = "dead", entry.cause
            # It may run, though Jupyter's start of it failed: nobody else ends the job.
            await self._bury(entry, ends_job=entry.link is not None)
        self.stir()

    async def _bury(self, entry: Entry, ends_job: bool = False) -> None:
        """Read what a kernel's job left, and remove its keys; where it is not over yet, it is ended."""
        try:
            await self._read_last(entry, ends_job)
        finally:
            entry.is_buried.set()
            self.stir()

    async def _read_last(self, entry: Entry, ends_job: bool) -> None:
        if ends_job and entry.provisioner:
            await entry.provisioner.bury()
            if entry.job:
                await _has_ended(entry.job)
        if entry.job:
            with suppress(OSError):
                text = await asyncio.to_thread(directory.tail, entry.job.path, LOG_LINES)
                entry.log = mask(text)
                entry.start = await asyncio.to_thread(directory.start_record, entry.job.path) or {}
            if entry.session and entry.session.type == NOTEBOOK:
                entry.unsaved = await asyncio.to_thread(has_outputs, entry.job.path)
            await entry.job.discard()
        if entry.link:
            entry.link.close()
        entry.kernel = None

    async def _forget(self, entry: Entry) -> None:
        if entry.job:
            try:
                await asyncio.to_thread(_forget_all, entry.job.path)
            except OSError as error:
                log.warning("Kernel %s may be found again: %s", entry.id, error)

    def _soon(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _follow_end(job: KernelJob, link: Link) -> None:
    """Tell the agent of a limit that was moved: it knows the one that the job began with."""
    ends, known = job.seen.ends if job.seen and job.seen.alive else None, link.job.get("ends")
    if ends and known and abs(ends - known) > SLACK:
        with suppress(
            NoAnswer
        ):  # again at the next look; one of an earlier version goes by what it knows
            await link.move_end(ends)


async def _has_ended(job: KernelJob) -> None:
    """Waits some time for a job that was told to end: its agent writes down last what its cells printed."""
    until = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < until and not await job.is_over():  # noqa: ASYNC110 - it is asked
        await asyncio.sleep(LEAST)


def _forget_all(path: Path) -> None:
    forget(path)
    forget_runs(path)
