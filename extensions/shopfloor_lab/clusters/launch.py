"""Submits and cancels the jobs of one cluster's workers, as few as possible: those asked for at once are one array."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, SubmitRefused, Unreachable

from .connection import write_workers

AT_ONCE = 4  # submissions in flight; more would only wait in slurmctld
TRIES = 3
LAST_ANSWERS = 2.0  # seconds that submissions on their way are waited for when the cluster ends


@dataclass
class Place:
    """Where one worker stands: copy ``index`` of the job with this tag, which the scheduler calls ``id``.

    Tag and id are empty until they are known; ``refusal`` is why there is no job, in words.
    """

    name: str
    tag: str = ""
    index: int = 0
    id: str = ""
    refusal: str = ""
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def settle(self, id: str = "", refusal: str = "") -> None:
        self.id, self.refusal = id, refusal
        self.settled.set()


class Launch:
    """``directory`` is the cluster's job directory, ``env`` what its workers find in their environment.

    ``command`` makes the argument list that starts workers of these names, each copy its own. ``tags`` holds the
    names by tag of every job that was ever asked for, ``owed`` ids of jobs whose cancellation the scheduler did
    not answer; :meth:`settle` asks again.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        owner: str,
        directory: Path,
        request: Request,
        env: Mapping[str, str],
    ):
        self.scheduler, self.owner, self.directory = scheduler, owner, directory
        self.request, self.env = request, dict(env)
        self.tags: dict[str, list[str]] = {}
        self.owed: set[str] = set()
        self._gathered: list[Place] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._recording = asyncio.Lock()

    def submit(self, name: str, command: Callable[[Sequence[str]], list[str]]) -> Place:
        """Ask for a worker; its place says, once settled, what came of it.

        Those that are asked for before the event loop turns again become one job array.
        """
        place = Place(name)
        if not self._gathered:
            sending = asyncio.get_running_loop().create_task(self._send(command))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        self._gathered.append(place)
        return place

    async def last_answers(self) -> None:
        """Wait for submissions that are on their way, but not for long."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_ANSWERS)

    async def cancel(self, ids: Sequence[str]) -> None:
        """Cancel these jobs now, or when the scheduler answers again."""
        self.owed.update(ids)
        await self.settle()

    async def settle(self) -> None:
        if ids := sorted(self.owed):
            try:
                await self.scheduler.cancel(self.owner, ids)
            except SchedulerError:
                return
            self.owed.difference_update(ids)

    async def _send(self, command: Callable[[Sequence[str]], list[str]]) -> None:
        await asyncio.sleep(0)
        places, self._gathered = self._gathered, []
        left = list(places)
        try:
            try:
                await self._submit(places, command)
            except SubmitRefused:
                if len(places) == 1:
                    raise
                # An array is taken or refused as a whole; part of it may be within the limit.
                while left:
                    await self._submit(left[:1], command)
                    del left[0]
        except (SchedulerError, OSError) as error:
            for place in left:
                place.settle(refusal=str(error))

    async def _submit(
        self, places: Sequence[Place], command: Callable[[Sequence[str]], list[str]]
    ) -> None:
        names = [place.name for place in places]
        job = Job(
            tag=new_tag("worker"),
            owner=self.owner,
            kind="worker",
            request=self.request,
            command=tuple(command(names)),
            env=self.env,
            title=names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}",
            parent=self.directory.name,
        )
        for index, place in enumerate(places):
            place.tag, place.index = job.tag, index
        async with self._recording:
            # Before the submission: a controller that is killed in between leaves a trace to follow.
            self.tags[job.tag] = names
            await asyncio.to_thread(write_workers, self.directory, self.tags)
        ids = await self._ensure(job, len(places))
        # Asked a second time, the scheduler tells the living ones only; the others have ids all the same.
        array = ids[0].partition("_")[0]
        for place in places:
            place.settle(id=f"{array}_{place.index}" if len(places) > 1 else ids[0])

    async def _ensure(self, job: Job, count: int) -> list[str]:
        async with self._turn:
            for attempt in range(1, TRIES + 1):
                try:
                    return await self.scheduler.submit(job, count)
                except Unreachable:
                    if attempt == TRIES:
                        raise
                    await asyncio.sleep(2**attempt)
        raise AssertionError("unreachable")
