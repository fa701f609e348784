"""The life of a kernel's job, watched from its agent: what it uses, whether it works, and how it ends.

The rules are those of every job (shopfloor_jobs: idle, time left), and seen with what watches a server (session/). Only
what work is differs: a running cell, a person's hand, and what the GPUs compute; not what they hold in their memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from shopfloor_jobs.directory import leave_cause, start_record
from shopfloor_jobs.idle import Rule, State
from shopfloor_jobs.time_left import time_left
from shopfloor_jobs.within import set_within

from shopfloor_lab.session.given import Given, given
from shopfloor_lab.session.gpu_time import GpuTime
from shopfloor_lab.session.judging import Judging
from shopfloor_lab.session.measuring import Measuring, Reads
from shopfloor_lab.session.use import Meter, Use
from shopfloor_lab.session.work import Sign, gpus, programs

from .before_end import BeforeEnd
from .process import Kernel

# Seconds that are kept for what is to be done before the end, and the share of the job's time that they take at most.
LAST_SECONDS, LAST_SHARE = 30.0, 1 / 8
RECORDED_WITHIN, RECORD_PAUSE = 5.0, 0.05  # seconds; the runner starts us, then says so
WRITTEN_WITHIN = 1.0  # seconds for the last record of GPU time; a home may be away

log = logging.getLogger("shopfloor.kernel")


class Cells(Protocol):
    """What the recorder knows of the kernel's cells: ``busy`` while one runs, ``worked`` when one did last (of any
    clock), ``execution`` is Jupyter's word for it."""

    @property
    def busy(self) -> bool: ...
    @property
    def worked(self) -> float: ...
    @property
    def execution(self) -> str: ...


class Life:
    """Of the job that this process is; ``tell`` is called when a page should hear of it, ``end`` ends the job.

    ``clock`` gives seconds that never jump.
    """

    def __init__(
        self,
        job: Given,
        rule: Rule,
        kernel: Kernel,
        before_end: BeforeEnd,
        cells: Cells,
        *,
        tell: Callable[[], Any],
        end: Callable[[], Any],
        home: Path,
        meter: Reads | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._job, self._kernel, self._before_end, self._cells = job, kernel, before_end, cells
        self._tell, self._end = tell, end
        self._gpu_time = GpuTime(job, home)
        meter = meter or Meter(job, home, gpu_time=self._gpu_time)
        self._measuring = Measuring(meter, log)
        self._judging = Judging(rule, clock)
        self._use: Use | None = None
        self._kept = 0  # times
        self._ends: float | None = None  # of the idle rule, on the wall's clock
        self._ending: str | None = None
        self._closing: asyncio.Task[None] | None = None
        self._told: Any = None
        self._sooner = asyncio.Event()
        self.last_seconds = min(LAST_SECONDS, job.request.time * LAST_SHARE)

    async def run(self) -> None:
        """Watch until the job is ended for want of work."""
        try:
            while not await self.look():
                if await set_within(self._sooner, self._next_look()):
                    self._sooner.clear()
        finally:
            if self._closing:
                self._closing.cancel()

    async def look(self) -> bool:
        """Measure, judge and do what is due; whether the job is over with that."""
        self._use = await self._measuring.read(self._judging.rule.pause)
        self._judge()
        if self._time_is_due() and self._before_end.wanted(self._kernel.pid):
            now, job = time.time(), self._job
            # An end that was moved may be nearer than what is kept for this.
            self._close("time", max(job.stops - now, min(self.last_seconds, job.ends - now)))
        if self._judging.idle.state is State.EXPIRED:
            return await self._end_idle()
        self.tell_changes()
        return False

    async def write(self) -> None:
        """Keep the GPU time that was counted, before the job ends."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._gpu_time.write))
        await asyncio.wait({writing}, timeout=WRITTEN_WITHIN)

    def keep(self) -> None:
        """A person wants it."""
        self._kept += 1
        self._judge()
        self.tell_changes()
        self._sooner.set()

    def move_end(self, ends: float) -> None:
        """The scheduler ends the job at this time (epoch seconds), for somebody moved its limit.

        What was done because the end was near is to be done again before the new one.
        """
        by = ends - self._job.ends
        self._job = replace(self._job, ends=ends, stops=self._job.stops + by)
        log.info("The end of the job is moved by %.0f s", by)
        if self._ending == "time" and not self._time_is_due():
            self._ending = None
            self._before_end.forget()
        self.tell_changes()
        self._sooner.set()

    def report(self) -> dict[str, Any]:
        """What Lab is told of the job; times in epoch seconds."""
        return {
            "use": self._use.to_json() if self._use else None,
            "execution": self._cells.execution,
            "idle": {
                "state": self._judging.idle.state.value,
                "after": self._judging.rule.after,
                "ends": self._ends,
            },
            "ends": self._job.ends,
            "stops": self._job.stops,
            "warning": time_left(self._job.stops, time.time(), self._job.request.time).warning,
            "ending": self._ending,
            "hook": self._before_end.report,
            "gpus": self._job.visible_gpus if self._job.request.gpus else "",
            "gpu_seconds": self._gpu_time.report(),
        }

    def tell_changes(self) -> None:
        """Tell, if anything changed that a page should hear of at once."""
        report = self.report()
        said = ("ends", "warning", "ending", "hook")
        changes = report["idle"]["state"], *(report[one] for one in said)
        if changes != self._told:
            self._told = changes
            self._tell()

    async def _end_idle(self) -> bool:
        """End the job; False where somebody came while it was done what a notebook wants done before."""
        self._close("idle", max(self.last_seconds, self._judging.rule.warning))
        self.tell_changes()
        before = self._by_hand()
        if self._closing:
            await self._closing
        if self._by_hand() != before:
            log.info("Idle rule: the end is called off, for somebody came")
            self._ending = None
            self._before_end.forget()
            self._judge()
            self.tell_changes()
            return False
        try:
            leave_cause(self._job.directory, self._job.index, self._cause())
        except OSError as error:
            log.warning("Why this kernel ends cannot be written down: %s", error)
        self._end()
        return True

    def _close(self, why: str, seconds: float) -> None:
        """Have done what is to be done before the end."""
        self._ending = why
        if self._closing is None or self._closing.done():
            work = self._before_end.run(self._kernel.pid, seconds)
            self._closing = asyncio.create_task(work)

    def _time_is_due(self) -> bool:
        return time.time() >= self._job.stops - self.last_seconds

    def _next_look(self) -> float:
        """Seconds until something may have changed, or is due."""
        left = time_left(self._job.stops, time.time(), self._job.request.time)
        due = [self._judging.rule.pause, left.seconds - self.last_seconds]
        due += [one for one in (left.next_warning, self._judging.left) if one is not None]
        return max(0.05, min(one for one in due if one > 0))

    def _signs(self) -> list[Sign]:
        signs = self._by_hand()
        if self._use is None:
            return [*signs, Sign("what it uses is not known", busy=True)]
        return signs + (gpus(self._use) if self._gpus_tell() else programs(self._use))

    def _by_hand(self) -> list[Sign]:
        return [
            Sign("cell", self._cells.worked, self._cells.busy),
            # What a widget's button began is no cell, and as much a person's.
            Sign("kernel", busy=self._cells.execution == "busy"),
            Sign("the person's hand", self._kept),
            Sign("start", self._kernel.starts),
        ]

    def _gpus_tell(self) -> bool:
        """Whether all of the job's GPUs say how busy they are; else its programs count, as where it has none."""
        known = [gpu for gpu in self._use.gpus if gpu.busy is not None] if self._use else []
        return 0 < self._job.request.gpus <= len(known)

    def _judge(self) -> None:
        signs, before = self._signs(), self._judging.idle
        self._judging.note(signs)
        idle = self._judging.idle = self._judging.judge()
        if idle.state is not before.state:
            log.info(self._judging.evidence(idle, signs))
        if idle.ends != before.ends:
            # Once, for what is computed anew at each look would never be twice the same.
            left = self._judging.left
            self._ends = None if left is None else round(time.time() + left)

    def _cause(self) -> str:
        return self._judging.rule.ended_without("GPU work" if self._gpus_tell() else "work")


async def own_job() -> Given:
    """What the job was given that this process is. Raises OSError, ValueError or KeyError."""
    path, index = Path(os.environ["SHOPFLOOR_JOB_DIR"]), int(os.environ["SHOPFLOOR_INDEX"])
    deadline = time.monotonic() + RECORDED_WITHIN
    while time.monotonic() < deadline:
        if await asyncio.to_thread(start_record, path, index):
            break
        await asyncio.sleep(RECORD_PAUSE)
    job = await asyncio.to_thread(given, os.environ)
    if job is None:
        raise ValueError("SHOPFLOOR_JOB_DIR is not set")
    return job
