"""Submits and cancels the jobs of one cluster's workers, as few as possible: those asked for at once are one array."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shopfloor_jobs.directory import home_words
from shopfloor_jobs.job import Job, family_of, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, SubmitRefused, Unreachable

from .adopting import Adopting, Place
from .connection import write_workers

AT_ONCE = 4  # submissions in flight; more would only wait in slurmctld
TRIES = 3
Command = Callable[[Sequence[str]], list[str]]
LAST_ANSWERS = 2.0  # seconds that submissions on their way are waited for when the cluster ends


class Launch:
    """``directory`` is the cluster's job directory, ``env`` what its workers find in their environment.

    ``told`` is called when a submission was answered. ``tags`` holds the names by tag of every job that was ever
    asked for, ``owed`` ids of jobs that are to be cancelled; what the scheduler did not answer,
    :meth:`cancel_owed` asks again.
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
        self.told: Callable[[], None] = _nobody
        self._adopting = Adopting(directory)
        if self._adopting.tag:
            self.tags[self._adopting.tag] = self._adopting.names
            # Lab noted them; but who took the cluster for ended before it began has cleared that away.
            with contextlib.suppress(OSError):
                write_workers(directory, self.tags)
        self._command: Command | None = None
        self._gathered: list[Place] = []
        self._standing: dict[str, Place] = {}
        self._on_their_way: set[str] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._cancelling: asyncio.Task[None] | None = None
        self._cancelled: set[str] = (
            set()
        )  # asked for once: a worker that is told to end twice takes longer
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._recording, self._cancels = asyncio.Lock(), asyncio.Lock()

    def submit(self, name: str, command: Command) -> Place:
        """Ask for a worker; its place says later what came of it. ``command`` makes the argument list for names.

        Those that are asked for before the event loop turns again become one job array; whom Lab asked for with the
        cluster's own job is not asked for again.
        """
        self._command = command
        place = self._adopting.take(name)
        if place is None:
            place = Place(name)
            self._gather(place, command)
        self._standing[name] = place
        return place

    async def settle(self) -> None:
        """Find out what came of whom Lab asked for; those that it did not get are asked for anew."""
        if not self._adopting.open or self._command is None:
            return
        ids, no_more = await asyncio.to_thread(self._adopting.told)
        left, self._adopting.open = self._adopting.open, []
        for place in left:
            if place.id:
                continue
            if place.name in ids:
                self.found(place, ids[place.name])
            elif not no_more:
                self._adopting.open.append(place)
            elif not place.given_up:
                place.tag, place.index = "", 0
                self._gather(place, self._command)

    def _gather(self, place: Place, command: Command) -> None:
        if not self._gathered:
            sending = asyncio.get_running_loop().create_task(self._send(command))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        self._gathered.append(place)

    def found(self, place: Place, id: str) -> None:
        """A place has this job, as the scheduler says."""
        place.id, place.refusal = id, ""
        if place.given_up:
            self._owe(id)

    def give_up(self, place: Place) -> None:
        """Cancel a worker's job, together with those that are given up at the same time."""
        place.given_up = True
        self._standing.pop(place.name, None)
        if place in self._gathered:
            self._gathered.remove(place)
        elif place.id:
            self._owe(place.id)

    def give_all_up(self) -> None:
        """Cancel every worker's job, also of those whose submission was asked for a moment ago."""
        for place in list(self._standing.values()):
            self.give_up(place)

    def unmeant(self, id: str) -> None:
        """A job of ours lives that no worker stands for: its submission was answered by nobody."""
        self._owe(id)

    def sends(self, tag: str) -> bool:
        """Whether the submission of this job is on its way."""
        return tag in self._on_their_way

    @property
    def at_rest(self) -> bool:
        """Whether every submission and every cancellation was answered."""
        unknown = any(not place.id for place in self._adopting.open)
        return not self.owed and not self._sending and not unknown

    async def last_answers(self) -> None:
        """Wait for submissions that are on their way, but not for long."""
        await self.settle()
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_ANSWERS)

    async def cancel_owed(self) -> None:
        """Cancel what is owed; what the scheduler does not answer stays owed."""
        async with self._cancels:  # nothing is asked for twice at once
            if ids := sorted(self.owed):
                try:
                    await self.scheduler.cancel(self.owner, ids)
                except SchedulerError:
                    return
                self.owed.difference_update(ids)

    def _owe(self, id: str) -> None:
        if id in self._cancelled:
            return
        self._cancelled.add(id)
        self.owed.add(id)
        if self._cancelling is None or self._cancelling.done():
            self._cancelling = asyncio.get_running_loop().create_task(self._cancel_soon())

    async def _cancel_soon(self) -> None:
        await asyncio.sleep(0)  # those that are given up in this turn of the loop go together
        asked: set[str] = set()
        while new := self.owed - asked:
            asked |= new
            await self.cancel_owed()

    async def _send(self, command: Command) -> None:
        await asyncio.sleep(0)
        left, self._gathered = self._gathered, []
        if not left:
            return
        try:
            try:
                await self._submit(left, command)
            except SubmitRefused:
                if len(left) == 1:
                    raise
                # An array is taken or refused as a whole; part of it may be within the limit.
                for place in list(left):
                    if not place.given_up:
                        await self._submit([place], command)
                    left.remove(place)
        except SchedulerError as error:
            _refuse(left, str(error))
        except OSError as error:
            _refuse(left, home_words(error, Path.home()))
        self.told()

    async def _submit(self, places: Sequence[Place], command: Command) -> None:
        names = [place.name for place in places]
        job = worker_job(self.owner, self.directory, self.request, self.env, names, command(names))
        for index, place in enumerate(places):
            place.tag, place.index = job.tag, index
        async with self._recording:
            # Before the submission: a controller that is killed in between leaves a trace to follow.
            self.tags[job.tag] = names
            await asyncio.to_thread(write_workers, self.directory, self.tags)
        self._on_their_way.add(job.tag)
        try:
            ids = await self._ensure(job, len(places))
        finally:
            self._on_their_way.discard(job.tag)
        # Asked a second time, the scheduler tells the living ones only; the others have ids all the same.
        array = ids[0].partition("_")[0]
        for place in places:
            self.found(place, f"{array}_{place.index}" if len(places) > 1 else ids[0])

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


def _refuse(places: Sequence[Place], words: str) -> None:
    for place in places:
        place.refusal = words


def _nobody() -> None:
    pass


def worker_job(
    owner: str,
    directory: Path,
    request: Request,
    env: Mapping[str, str],
    names: Sequence[str],
    command: Sequence[str],
) -> Job:
    """The job of these workers of the cluster with this job directory: a copy for each name."""
    return Job(
        tag=new_tag("worker", family_of(directory.name)),
        owner=owner,
        kind="worker",
        request=request,
        command=tuple(command),
        env=env,
        title=names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}",
        parent=directory.name,
    )
