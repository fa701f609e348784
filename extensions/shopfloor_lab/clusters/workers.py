"""The workers of one cluster: dask-jobqueue's cluster with our jobs in it, kept at the wanted number.

dask knows who is connected, the scheduler knows whose job waits or ended; :meth:`Workers.keep` compares the
two and replaces what is over (replacing.py), and :meth:`Workers.report` is what people see of it (rows.py). The
controller runs both.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from dataclasses import replace
from typing import Any

import dask
from dask_jobqueue.core import JobQueueCluster
from distributed.deploy.cluster import Cluster
from distributed.security import Security
from shopfloor_jobs.job import State
from shopfloor_jobs.view import Source
from shopfloor_jobs.within import set_within

from shopfloor_lab.gpu_record import GpuRecord

from .adapting import Adapting
from .command import memory_limit
from .connection import SCRATCH
from .figures import Figures
from .job import SETTINGS, WorkerJob
from .known import Known
from .launch import Launch, Place
from .leaving import CAUSE, Leaving, least_missed, leaving
from .presence import Presence
from .replacing import Replacing
from .rows import OVER, Dask, Facts, cause_of, row, state_of
from .silent import Scheduler
from .spent import Spent
from .watching import Watching

# Seconds between looks while a worker is not connected, by how long that has been so: at the scheduler itself, and
# at the hub, whose answer costs next to nothing while nothing changes.
PAUSES = ((20, 1.0), (120, 5.0), (float("inf"), 8.0))
PAUSES_OF_HUB = ((20, 1.0), (float("inf"), 2.0))
SIGNING_OFF = 3.0  # seconds in which cancelled workers leave the scheduler
LEAVING = 0.3  # seconds between looks while workers leave
CALM = 60.0  # seconds between looks while all are connected
HEARTBEATS = 5.0  # seconds after which it is seen that a worker fell silent; asks nobody
ADAPTS = 1.0  # seconds after which it is seen that there is more work; asks nobody
AT_MOST_EACH = (
    0.5  # seconds between looks that events cause, and between orders that are carried out
)
FAILED = 1.0  # seconds until the next look after one that failed
KEPT = 20  # rows of workers that are over, the newest

log = logging.getLogger("shopfloor.workers")


class Workers(JobQueueCluster):
    """A dask scheduler listening on ``host`` with TLS only, and its workers.

    ``hub`` is asked for their jobs, where there is one, else the scheduler. ``wanted`` is how many workers there
    shall be, ``ends`` when the cluster itself does (epoch seconds, None if it has no end). Make it in a running loop,
    and await it.
    """

    job_cls = WorkerJob

    def __init__(
        self,
        launch: Launch,
        security: Security,
        host: str,
        ends: float | None = None,
        hub: Source | None = None,
        record: GpuRecord | None = None,
    ):
        dask.config.update_defaults({"jobqueue": {WorkerJob.config_name: SETTINGS}})
        # The scheduler makes an empty folder for itself, by default in the node's /tmp.
        dask.config.set(temporary_directory=str(launch.directory / SCRATCH))
        self._numbers = itertools.count(1)
        super().__init__(
            launch=launch,
            security=security,
            scheduler_cls=Scheduler,
            scheduler_options={"host": host, "dashboard": False, "dashboard_address": None},
            silence_logs=False,
            asynchronous=True,
            name=launch.directory.name,
        )
        self.launch, self.wanted, self.ends = launch, 0, ends
        self.adapting: Adapting | None = None
        self._changed = asyncio.Event()
        launch.told = self._changed.set
        self.replacing = Replacing()
        self.known, self._pauses = Known(launch, hub), PAUSES_OF_HUB if hub else PAUSES
        self.spent = Spent(launch.request, record=record)
        self._figures: Figures | None = None
        # Workers that should go, while no other can take their results; and why the last look failed.
        self._stuck: set[str] = set()
        self._failure = ""
        self._over: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._tries: dict[str, int] = {}
        # Workers whose successors were asked for, as their time is nearly up.
        self._succeeded: set[str] = set()
        self._presence = Presence(self._changed, self.replacing)
        self._watching: Watching | None = None
        self._look_at = float("-inf")
        self._asked_anew, self._carried_out_at = False, float("-inf")
        self._unsettled_since: float | None = None

    def want(self, workers: int) -> None:
        """Ask for this many workers, those anew that were given up. :meth:`keep` does it."""
        self.adapting = None
        self._want(workers)

    def adapt(self, adapting: Adapting) -> None:
        """Ask for as many workers as there is work for. :meth:`keep` does it."""
        self.adapting = adapting
        self._want(adapting.wanted(self.wanted, time.monotonic()))

    def _want(self, workers: int) -> None:
        self.wanted, self._asked_anew = workers, True
        self._stuck.clear()
        self.replacing.begin()
        self._changed.set()

    async def keep(self) -> None:
        """Bring what runs to what is wanted, and look after it, until cancelled."""
        self.scheduler.add_plugin(self._presence, name="shopfloor")
        self._figures = Figures(self.scheduler)
        self._watching = Watching(self.scheduler, self._presence)
        self.scheduler.add_plugin(self._watching, name="shopfloor-watching")
        while True:
            self._changed.clear()
            try:
                await self._look_after_all()
                self._failure = ""
            except Exception as error:
                log.exception("A look at the workers failed")
                self._failure = f"Its workers cannot be looked after at the moment: {error}"
                await asyncio.sleep(FAILED)
            due = max(0.0, self._look_at - time.monotonic())
            if self._asked_anew:
                due = min(due, self._until_carried_out())
            heartbeats = ADAPTS if self.adapting else HEARTBEATS
            if not await set_within(self._changed, min(heartbeats, due)):
                continue
            # Something came, went or was asked, so what is known is old; 64 workers that come cause few looks.
            self._look_at = min(self._look_at, time.monotonic() + AT_MOST_EACH)

    async def _look_after_all(self) -> None:
        self.spent.note(self._running())
        if self._asked_anew and not self._until_carried_out():
            self._asked_anew, self._carried_out_at = False, time.monotonic()
            # The look that the order caused may have been before.
            self._look_at = min(self._look_at, self._carried_out_at + AT_MOST_EACH)
            try:
                await self._begin_anew()
            except Exception:
                self._asked_anew = True
                raise
        await self._follow_the_work()
        await self._let_leave()
        if self._watching:
            self._watching.look(self._over)  # also while nobody asks: it is told since when
        if time.monotonic() >= self._look_at:
            await self._look()
            replaced = await self._replace()
            pause = AT_MOST_EACH if replaced else self._pause()
            self._look_at = time.monotonic() + pause

    async def cancel_all(self) -> None:
        """Cancel every worker's job, in one go; without regard to results, for nobody is left to hold them."""
        self.launch.give_all_up()
        await self.launch.last_answers()
        await self.launch.cancel_owed()
        # A worker whose scheduler goes while its nanny closes it hangs for 8 s.
        while self.scheduler.workers:
            self._changed.clear()
            if not await set_within(self._changed, SIGNING_OFF):
                return

    async def see_them_leave(self, seconds: float) -> None:
        """Wait until the workers' jobs ended, but not longer; signalling a worker that closes delays it by 8 s."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await self.known.look(self._places(), source=self.launch.scheduler)
            if all(self._ending(job) is not None for job in self.workers.values()):
                return
            await asyncio.sleep(LEAVING)

    @property
    def transitions(self) -> int:
        """How often any task changed its state; grows whenever anything is computed, asked for or let go."""
        return int(self.scheduler.transition_counter)

    @property
    def busy(self) -> bool:
        """Whether tasks run, or nobody has connected yet of those who are on their way."""
        workers = self.scheduler.workers.values()
        if workers:
            return any(worker.processing for worker in workers)
        return any(self._ending(job) is None for job in self.workers.values())

    def report(self) -> dict[str, Any]:
        """What people see of the cluster (plain types): workers, memory in bytes, tasks by state."""
        living = [self._row(job) for job in self.workers.values()]
        rows = sorted([*self._over, *living], key=_number)
        groups = [group.states for group in self.scheduler.task_groups.values()]

        def count(*states: str) -> int:
            return sum(group[state] for group in groups for state in states)

        return {
            "workers": {
                "wanted": self.wanted,
                "connected": sum(row["state"] == "connected" for row in rows),
                "adapt": self.adapting.to_json() if self.adapting else None,
                "rows": rows,
            },
            "memory": sum(row["memory"] or 0 for row in rows),
            "memory_limit": sum(row["memory_limit"] or 0 for row in rows),
            "tasks": {
                "processing": count("processing"),
                "waiting": count("waiting", "queued", "no-worker"),
                "memory": count("memory"),
                "erred": count("erred"),
            },
            "figures": self._figures.report() if self._figures else None,
            "spent": self._spent(),
            "troubles": self._watching.report(self._over) if self._watching else [],
            "problem": self.known.silence
            or self._failure
            or self._stays()
            or self.replacing.gave_up,
        }

    def _until_carried_out(self) -> float:
        """Seconds until orders may be carried out: the first one at once, of a hundred in a second few."""
        return max(0.0, self._carried_out_at + AT_MOST_EACH - time.monotonic())

    async def _begin_anew(self) -> None:
        for job in list(self.workers.values()):
            if state_of(self._facts(job), time.time()) in OVER:
                await self._drop(job)
        self._over.clear()
        await self._adjust()

    async def _follow_the_work(self) -> None:
        """Adapt to what dask's scheduler would like; what could not be had is not asked for again."""
        if self.adapting is None:
            return
        wanted = self.adapting.wanted(self.scheduler.adaptive_target(), time.monotonic())
        if wanted < self.wanted or (wanted > self.wanted and not self.replacing.gave_up):
            self.wanted = wanted
            await self._adjust()

    async def _let_leave(self) -> None:
        """Let workers whose time is nearly up give their results to others, which are asked for before."""
        connected, now = self._connected(), time.time()
        stages = {
            name: leaving(self.known.start(job.place), self.ends, now)
            for name, job in self.workers.items()
            if name in connected and name in self.worker_spec
        }
        # The copies of an array began together, and their time is up together.
        soon = {name for name, stage in stages.items() if stage is not Leaving.NOT_YET}
        if unsucceeded := soon - self._succeeded:
            self._succeeded |= unsucceeded
            for _ in unsucceeded:
                self.worker_spec.update(self.new_worker_spec())
            await self._correct_state()
        leavers = [name for name, stage in stages.items() if stage is Leaving.NOW]
        if not leavers:
            return
        rows = {
            name: row(
                replace(self._facts(self.workers[name]), dask=None, exit={"cause": CAUSE}),
                now,
                self._tries.get(name, 1),
            )
            for name in leavers
        }
        await self._remove(leavers)
        self._over.extend(rows[name] for name in leavers if name not in self.worker_spec)
        if not self.replacing.gave_up:
            self._fill()  # what ended meanwhile left a gap
        await self._correct_state()

    async def _adjust(self) -> None:
        staying = self._staying()
        surplus = len(staying) - self.wanted
        workers = self.scheduler.workers.values()
        names = least_missed(staying, workers, max(0, surplus))
        # Who leaves soon stands in for a successor, and goes first where there are more than are wanted.
        soon = [name for name in self.worker_spec if name in self._succeeded]
        names += least_missed(soon, workers, max(0, len(soon) - self.wanted))
        if names:
            await self._remove(names)
        self._fill()
        await self._correct_state()

    def _fill(self) -> None:
        for _ in range(self.wanted - len(self._staying())):
            self.worker_spec.update(self.new_worker_spec())

    def _staying(self) -> list[str]:
        """The workers whose successors were not asked for yet: so many there shall be."""
        return [name for name in self.worker_spec if name not in self._succeeded]

    async def _replace(self) -> bool:
        """Note which workers are over and why, and start their successors, as far as that makes sense.

        Returns whether any was started.
        """
        asked = False
        for job in list(self.workers.values()):
            facts, name = self._facts(job), str(job.name)
            if name not in self.worker_spec or state_of(facts, time.time()) not in OVER:
                continue
            tries = self._tries.get(name, 1)
            log = await self.known.log(job.place) if job.place else ""
            self._over.append(row(facts, time.time(), tries, log))
            next_tries = self.replacing.successor(
                name, cause_of(facts), tries, self._presence.stayed(name), bool(facts.refusal)
            )
            await self._drop(job)
            if next_tries and len(self._staying()) < self.wanted:
                spec = self.new_worker_spec()
                self._tries.update(dict.fromkeys(spec, next_tries))
                self.worker_spec.update(spec)
                asked = True
        if asked:
            await self._correct_state()
        return asked

    async def _remove(self, names: list[str]) -> None:
        connected = self._connected()
        holders = {name for name in names if name in connected}
        if holders and self.wanted:
            # By name: SpecCluster passes names as addresses, so that results would be lost.
            retired = await self.scheduler.retire_workers(names=list(holders), close_workers=False)
            stuck = holders - {worker["name"] for worker in retired.values()}
            self._stuck = (self._stuck - holders) | stuck
            names = [name for name in names if name not in stuck]
        for name in names:
            del self.worker_spec[name]

    def _stays(self) -> str:
        stuck = sorted(self._stuck.intersection(self._connected(), self.worker_spec))
        return f"{', '.join(stuck)} stays: no other worker can take its results" if stuck else ""

    async def _drop(self, job: WorkerJob) -> None:
        name = str(job.name)
        self.workers.pop(name, None)
        self.worker_spec.pop(name, None)
        self._tries.pop(name, None)
        await job.close()

    async def _look(self) -> None:
        await self.known.look(self._places(), self._connected())
        for name in list(self._presence.unexplained):
            job = self.workers.get(name)
            self._presence.explain(
                name, await self.known.log(job.place) if job and job.place else ""
            )

    def _places(self) -> list[Place]:
        return [job.place for job in self.workers.values() if job.place]

    def _pause(self) -> float:
        connected = self._connected()
        on_their_way = any(
            name not in connected and self._ending(job) is None
            for name, job in self.workers.items()
        )
        # That nobody answers is said, so it must be seen when somebody does again.
        unsettled = self.launch.owed or self.known.silence or on_their_way
        if not unsettled:
            self._unsettled_since = None
            return CALM
        now = time.monotonic()
        self._unsettled_since = self._unsettled_since or now
        waited = now - self._unsettled_since
        return next(pause for limit, pause in self._pauses if waited < limit)

    def _running(self) -> dict[tuple[str, int], float]:
        """Since when each worker's job runs that does, in epoch seconds."""
        seen = {(one.tag, one.index): self.known.seen(one) for one in self._places()}
        return {
            place: job.started
            for place, job in seen.items()
            if job and job.state is State.RUNNING and job.started is not None
        }

    def _spent(self) -> dict[str, Any]:
        self.spent.note(self._running())
        return self.spent.report()

    def _connected(self) -> dict[str, Any]:
        return {worker.name: worker for worker in self.scheduler.workers.values()}

    def _ending(self, job: WorkerJob) -> str | None:
        """Why a worker's job is no more, in words; None while it lives as far as is known."""
        facts = self._facts(job)
        return cause_of(facts) if state_of(facts, time.time()) in OVER else None

    def _facts(self, job: WorkerJob) -> Facts:
        place, name = job.place, str(job.name)
        worker = self._connected().get(name)
        return Facts(
            name=name,
            submitted=bool(place and place.id),
            refusal=place.refusal if place else "",
            seen=self.known.seen(place),
            dask=None
            if worker is None
            else Dask(
                heard=worker.last_seen,
                host=worker.host,
                memory=worker.metrics.get("memory"),
                memory_limit=worker.memory_limit or memory_limit(self.launch.request.memory),
                cpu=worker.metrics.get("cpu"),
            ),
            left=self._presence.left.get(name),
            connected_once=name in self._presence.since,
            restarts=self._presence.restarts.get(name, 0),
            restarted_for=self._presence.why.get(name, ""),
            start=self.known.start(place),
            exit=self.known.exit(place) if worker is None else {},
        )

    def _row(self, job: WorkerJob) -> dict[str, Any]:
        return row(self._facts(job), time.time(), self._tries.get(str(job.name), 1))

    def _new_worker_name(self, worker_number: int) -> str:
        # Never twice: dask refuses a second worker of a name while the first is still closing.
        return f"worker-{next(self._numbers)}"

    def _update_worker_status(self, op: str, msg: Any) -> None:
        # SpecCluster would give up the job of a worker that is away for 15 s; here the scheduler's word counts.
        Cluster._update_worker_status(self, op, msg)


def _number(shown: dict[str, Any]) -> int:
    return int(shown["name"].rpartition("-")[2])
