"""What the hub does by itself: one view of the scheduler that runs, and what follows from what it shows.

Servers that ended are noticed at once, and jobs of this hub that no server means any more are cancelled: a
stop that found no scheduler, say, of a hub that was then restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from shopfloor_jobs.job import Seen
from shopfloor_jobs.scheduler import SchedulerError, scheduler_from
from shopfloor_jobs.view import View
from sqlalchemy.exc import SQLAlchemyError

from . import metrics
from .alongside import Alongside
from .cancelling import discard
from .intent import KIND
from .logged import about, log

if TYPE_CHECKING:
    from .spawner import ShopfloorSpawner

LOOKS_BEFORE_SWEEP = 2


class Watch:
    """The view of one scheduler configuration, running, with what the hub does after each look.

    ``origin`` begins the tags of this hub's jobs, so that another hub's on the same cluster are let be.
    """

    _all: dict[str, Watch] = {}

    def __init__(self, scheduler_config: Mapping[str, Any], origin: str):
        self.view: View = View(metrics.observed(scheduler_from(scheduler_config)))
        metrics.VIEW.view = self.view
        self.alongside = Alongside(self.view)
        self.origin = origin
        self._unmeant: dict[str, int] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    def of(cls, scheduler_config: Mapping[str, Any], origin: str) -> Watch:
        """The one for this configuration; made, and started, when it is first asked for."""
        key = repr((sorted(scheduler_config.items()), origin))
        if key not in cls._all:
            cls._all[key] = watch = cls(scheduler_config, origin)
            watch.view.run()
            watch._keep(watch._run())
        return cls._all[key]

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        while True:
            if await self.view.change(3600) and not self.view.trouble:
                hub = JupyterHub.instance() if JupyterHub.initialized() else None
                if hub is not None and hub.db is not None:
                    try:
                        self._tell(hub)
                        self._sweep(hub)
                    except SQLAlchemyError as error:
                        # It comes back, and who watches must still be there then.
                        words = str(error).partition("\n")[0]
                        log.warning(
                            "The database does not answer, the next look goes on: %s", words
                        )
                        hub.db.rollback()

    def _tell(self, hub: JupyterHub) -> None:
        for spawner in _spawners(hub):
            if spawner.ready and spawner.sight.has_changed():
                self._keep(spawner.poll_and_notify())

    def _sweep(self, hub: JupyterHub) -> None:
        """Cancel this hub's living jobs that no server means, once two looks in a row showed them so."""
        prefix = f"shopfloor-{KIND}-{self.origin}"
        held = {spawner.intent.tag for spawner in _spawners(hub)}
        unmeant = {
            job.tag: job
            for job in self.view.jobs()
            if job.alive and self.origin and job.tag.startswith(prefix) and job.tag not in held
        }
        if unmeant:
            meant = _tags_in_database(hub)
            unmeant = {tag: job for tag, job in unmeant.items() if tag not in meant}
        self._unmeant = {tag: self._unmeant.get(tag, 0) + 1 for tag in unmeant}
        for tag, looks in self._unmeant.items():
            if looks == LOOKS_BEFORE_SWEEP:
                self._keep(self._cancel(unmeant[tag]))
                self._unmeant[tag] = 0  # if it lives on, it is cancelled again

    async def _cancel(self, job: Seen) -> None:
        fields = about(job.tag, job.owner, job.id)
        log.warning("Cancelling a job: no server means it", extra=fields)
        try:
            await self.view.scheduler.cancel(job.owner, [job.id])
            await discard(self.view, job.owner, job.tag)
        except SchedulerError as error:
            log.warning("A job could not be cancelled yet: %s", error, extra=fields)


def _spawners(hub: JupyterHub) -> Iterator[ShopfloorSpawner]:
    """The spawners that hold a job; the hub has all of them in memory, unless it is starting just now."""
    for user in list(hub.users.values()):
        for spawner in list(user.spawners.values()):
            if getattr(spawner, "intent", None):
                yield spawner


def _tags_in_database(hub: JupyterHub) -> set[str]:
    states = (state or {} for (state,) in hub.db.query(orm.Spawner.state))
    return {tag for state in states if (tag := state.get("shopfloor", {}).get("tag"))}
