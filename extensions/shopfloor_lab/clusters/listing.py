"""A person's clusters as the Lab server knows them: read from their job directories, never kept in its memory.

So nothing is lost when Lab restarts. What runs is asked for at the controllers (remote.py), what waits or
ended at the scheduler (sights.py); handlers.py puts both on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from shopfloor_jobs import directory
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import SchedulerError, SubmitRefused, Unreachable

from shopfloor_lab.errors import Conflict, NoAnswer
from shopfloor_lab.hub import Hub
from shopfloor_lab.jobs import Jobs

from . import first, state
from .access import Access
from .adapting import Adapting
from .carried import carry
from .connection import (
    FIRST,
    PLAN,
    STOPPED,
    Connection,
    Ended,
    Most,
    Plan,
    check_workers,
    cluster_directories,
    left_behind,
)
from .kernels import Kernels
from .news import News
from .planning import Planner, Prepared, most_workers
from .remote import Remote
from .sights import Sights
from .sweeping import Sweeper
from .words import ended_line

FRESH = 2.0  # seconds for which one look at the scheduler serves
STOPPING = 5.0  # seconds that stopping is waited for before it is answered
RECORD_WITHIN = 30.0  # seconds in which a job's runner notes its end, on a slow file system too
ORDERED_WITHIN = (
    10.0  # seconds that a cluster may take for an order: a large graph keeps its scheduler busy
)
PAGES_OPEN = 15.0  # seconds that a cluster may take to open its plots: its node may be busy


class Clusters:
    """The clusters under one home. ``offer`` fetches what the person may ask for; ``news`` tells what changes."""

    def __init__(
        self,
        home: Path,
        offer: Callable[[], Awaitable[Offer]],
        environment: Mapping[str, str],
        hub: Hub | None = None,
        kernels: Kernels | None = None,
        jobs: Jobs | None = None,
    ):
        self.home, self.offer = home, offer
        self.hub = Hub({}) if hub is None else hub
        self.planner = Planner(
            home, offer, environment, self.hub.host, kernels or Kernels(environment)
        )
        self.news = News(self.list, home)
        self._remote = Remote()
        self._access = Access(self.hub)
        self._sights = Sights(
            home, offer, jobs or Jobs(self.hub), environment.get("SHOPFLOOR_TAG", "")
        )
        self._sweeper = Sweeper(offer, self._sights, self._access)
        self._last: dict[str, str] = {}
        self._no_room: dict[str, str] = {}
        self._starts = asyncio.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # What each running cluster's controller said last.
        self._answers: dict[str, Mapping[str, Any]] = {}

    async def list(self) -> list[dict[str, Any]]:
        """All clusters, newest first, as in the contract with the panel."""
        files = await asyncio.to_thread(self._read_all)
        return await self._describe(files)

    async def one(self, cluster: str, max_age: float = FRESH) -> dict[str, Any]:
        """Raises LookupError where there is none with this id."""
        return (await self._describe([await self._files(cluster)], max_age))[0]

    async def start(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Submit a cluster; the answer's ``notes`` say what the notebook should know of versions.

        Raises Refused, Conflict, SchedulerError, or what ``offer`` raises.
        """
        made = await self.planner.plan(body)
        # Of two at once, the second one counts the first, and takes another name.
        async with self._starts:
            return await self._start(made)

    async def _start(self, made: Prepared) -> dict[str, Any]:
        plan, job = made.plan, made.job
        shown, together = await asyncio.gather(self.list(), first.together(made, self.hub))
        living = [one["name"] for one in shown if one["state"] != "ended"]
        if len(living) >= (most := made.offer.clusters.at_once):
            has = "1 cluster" if len(living) == 1 else f"{len(living)} clusters"
            raise Conflict(
                f"You have {has}, and {most} at a time is the limit here; stop one first: {', '.join(living)}"
            )
        if not plan.name:
            plan = replace(plan, name=_free_name(living))
            job = replace(job, title=plan.name)
        elif plan.name in living:
            raise Conflict(
                f"name: there is a cluster named {plan.name!r} already; take another name"
            )
        path = directory.directory_of(self.home, job.tag)
        own, of_workers = self._sights.schedulers(made.offer, plan)
        workers = None
        try:
            await asyncio.to_thread(_store, plan, path)
            if together:
                workers = await first.announce(made, self.home)
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, path, True)
            raise SubmitRefused(directory.home_words(error, self.home)) from error
        try:
            job = await self._access.give(job)
            await own.submit(job)
        except Unreachable:
            # It may have been submitted all the same: the list will tell.
            await asyncio.to_thread((path / FIRST).unlink, True)
            raise
        except SchedulerError:
            await asyncio.to_thread(shutil.rmtree, path, True)
            await self._access.take_back(job.tag)
            raise
        if workers:
            await first.ask_for(of_workers, *workers, path)
        return {**await self.one(job.tag, max_age=0), "notes": list(made.checked.notes)}

    async def scale(self, cluster: str, workers: Any) -> dict[str, Any]:
        """Raises Refused, LookupError, Conflict (it does not run) or NoAnswer."""
        count = check_workers(workers)
        return await self._steer(
            cluster, "scale", lambda most: {"count": check_workers(count, most)}
        )

    async def adapt(self, cluster: str, adapt: Any) -> dict[str, Any]:
        """From now on, as many workers as there is work for; raises as :meth:`scale` does."""
        asked = Adapting.check(adapt).to_json()
        return await self._steer(
            cluster, "adapt", lambda most: Adapting.check(asked, most).to_json()
        )

    async def keep(self, cluster: str) -> dict[str, Any]:
        """The person wants it, though it computes nothing; raises as :meth:`scale` does."""
        return await self._steer(cluster, "keep")

    async def _steer(
        self,
        cluster: str,
        operation: str,
        values: Callable[[Most], Mapping[str, int]] | None = None,
    ) -> dict[str, Any]:
        # In the order in which they came, so that the last one wins; a look at the files takes one longer than another.
        async with self._turns.setdefault(cluster, asyncio.Lock()):
            asked = values(await self._most(cluster)) if values else {}
            connection = await self._running(cluster)
            await self._remote.ask(connection, operation, ORDERED_WITHIN, **asked)
        return await self.one(cluster)

    async def _most(self, cluster: str) -> Most:
        plan = (await self._files(cluster)).plan
        most = most_workers(await self.offer(), Request.from_json(plan.request))
        # Its controller holds itself to what was allowed when it started.
        return Most(plan.most) if plan.most < most.workers else most

    async def plots(self, cluster: str) -> tuple[Connection, str, int]:
        """How to reach a running cluster, and the host and port of its plots, which are served from now on.

        Raises LookupError, Conflict (it does not run, or cannot draw) or NoAnswer.
        """
        connection = await self._running(cluster)
        try:
            answer = await self._remote.ask(connection, "plots", PAGES_OPEN)
        except NoAnswer as error:
            now = await self.one(cluster, max_age=0)
            if now["state"] == "ended":
                raise _over(now) from error
            raise NoAnswer(f"Cluster {connection.name!r} does not answer at the moment.") from error
        if "problem" in answer:
            raise Conflict(str(answer["problem"]))
        return connection, str(answer["host"]), int(answer["port"])

    async def cell(self, cluster: str, kernel: str | None = None) -> str:
        """The Python source that connects a notebook with this kernel (None: the cluster's). Raises LookupError."""
        files = await self._files(cluster)
        kernel = kernel or files.plan.software.get("kernel")
        lines = []
        # A kernel that cannot be asked says so when the cell runs.
        with contextlib.suppress(Refused, OSError):
            if await self.planner.kernels.needs_code(kernel):
                folder = await asyncio.to_thread(carry, self.home)
                lines = ["import sys", "", f"sys.path.append({str(folder)!r})"]
        lines += ["from shopfloor_lab.clusters import connect", ""]
        return "\n".join([*lines, f"client = connect({files.plan.name!r})", "client"])

    async def end(self, cluster: str, living: bool = False) -> None:
        """Stop a living cluster; take an ended one off the list.

        Raises LookupError, SchedulerError, or Conflict: a ``living`` one was meant, and it has ended.
        """
        described = await self.one(cluster)
        files = await self._files(cluster)
        if described["state"] == "ended":
            if living:
                raise _over(described)
            await self._sweeper.sweep(files)
            self._last.pop(cluster, None)
            self._no_room.pop(cluster, None)
            self._answers.pop(cluster, None)
            await asyncio.to_thread((files.path / PLAN).unlink, True)
            return
        try:
            if files.connection is None:
                raise NoAnswer
            await self._remote.ask(files.connection, "stop")
        except NoAnswer as error:
            if self._sights.is_elsewhere(files.plan):
                raise Conflict(
                    f"Cluster {files.plan.name!r} does not answer, and it runs beside another Lab server of"
                    " yours: stop it there, or stop that server."
                ) from error
            await self._sweeper.cancel(files)
            if not files.start:
                # Nobody is there to note it, and the scheduler forgets it soon.
                await self._note_end(files, STOPPED)
                return
        deadline = time.monotonic() + STOPPING
        while time.monotonic() < deadline:
            if (await self._files(cluster)).exit:
                break
            await asyncio.sleep(0.1)
        self._remote.forget(cluster)

    def end_with_lab(self) -> None:
        """End what runs beside this server, which ends."""
        self._sights.end_beside()

    async def _running(self, cluster: str) -> Connection:
        """How a cluster is reached. Raises LookupError, or Conflict where it does not run."""
        files = await self._files(cluster)
        if files.ended:
            raise _over(await self.one(cluster))
        if files.connection is None:
            raise Conflict(f"Cluster {files.plan.name!r} has not started yet.")
        return files.connection

    async def _files(self, cluster: str) -> state.Files:
        try:
            path = directory.directory_of(self.home, cluster)
        except ValueError:
            path = None
        files = await asyncio.to_thread(state.read, path) if path else None
        if files is None:
            raise LookupError("There is no such cluster.")
        return files

    def _read_all(self) -> list[state.Files]:
        found = [state.read(path) for path in cluster_directories(self.home)]
        return sorted(
            (files for files in found if files is not None),
            key=lambda files: files.plan.created,
            reverse=True,
        )

    async def _describe(
        self, every: list[state.Files], max_age: float = FRESH
    ) -> list[dict[str, Any]]:
        answers = await asyncio.gather(*map(self._answer, every))
        described = []
        for files, answer in zip(every, answers, strict=True):
            sight = state.Sight(last=self._last.get(files.id))
            if answer is not None:
                self._answers[files.id] = answer
            if answer is None and not files.ended:
                sight = await self._sights.of(files, sight.last, max_age)
                if files.connection:
                    why = await asyncio.to_thread(_expired, files.connection.certificate)
                    sight = replace(sight, trouble=why)
            before = self._answers.get(files.id)
            cluster = state.describe(files, answer, sight, time.time(), before)
            if cluster["state"] == "ended" and not files.ended:
                # Its runner notes why before the scheduler shows that it ended, but our look at the files is older.
                files = await asyncio.to_thread(state.read, files.path) or files
                cluster = state.describe(files, None, sight, time.time())
                if not files.ended:
                    cluster = await self._last_words(files, cluster, sight)
            self._last[files.id] = cluster["state"]
            described.append(cluster)
            if cluster["state"] == "ended":
                self._answers.pop(files.id, None)
                if left_behind(files.path):
                    await self._sweeper.sweep(files)
        return described

    async def _last_words(
        self, files: state.Files, cluster: dict[str, Any], sight: state.Sight
    ) -> dict[str, Any]:
        """Of one that ended without a record: whether it could write none, noted as soon as there is room."""
        if files.id not in self._no_room:  # tried once, not at every look
            why = await asyncio.to_thread(directory.cannot_be_written, files.path, self.home)
            self._no_room[files.id] = why
        why = self._no_room[files.id]
        if why:
            cluster = state.describe(files, None, replace(sight, trouble=why), time.time())
            await self._sweeper.sweep(files)
        # A runner that was there writes its own record, soon; the scheduler forgets after minutes what it said.
        ended = sight.seen.ends if sight.seen else None
        if why or not files.start or (ended and time.time() - ended > RECORD_WITHIN):
            await self._note_end(files, cluster["cause"])
        return cluster

    async def _note_end(self, files: state.Files, cause: str) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(Ended(cause, time.time()).write, files.path)

    async def _answer(self, files: state.Files) -> dict[str, Any] | None:
        if files.ended or files.connection is None:
            self._remote.forget(files.id)
            return None
        try:
            return await self._remote.ask(files.connection, "status")
        except NoAnswer:
            return None


def _expired(certificate: str) -> str:
    # Lab starts without what certificates need.
    from .security import expired

    return expired(certificate)


def _over(cluster: Mapping[str, Any]) -> Conflict:
    return Conflict(ended_line(cluster["name"], cluster["cause"]))


def _free_name(taken: list[str]) -> str:
    number = 1
    while f"cluster-{number}" in taken:
        number += 1
    return f"cluster-{number}"


def _store(plan: Plan, path: Path) -> None:
    path.mkdir(mode=0o700, parents=True)
    plan.write(path)
