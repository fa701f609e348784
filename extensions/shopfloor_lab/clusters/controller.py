"""The command of a cluster's job: a dask scheduler, its workers, and the way to steer them; outlives Lab and browser.

It finds its plan in the job's directory and writes there how it is reached (connection.py). The Lab server
steers it over dask's own comm, with the cluster's certificates (remote.py); nothing else listens, but for dask's
plots (pages.py) once somebody looks at them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopfloor_jobs import directory
from shopfloor_jobs.directory import home_words
from shopfloor_jobs.idle import Rule, State
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import scheduler_from

from shopfloor_lab.address import listening_address
from shopfloor_lab.gpu_record import WRITE_SECONDS, GpuRecord
from shopfloor_lab.hub import Hub, NoHub
from shopfloor_lab.jobs import HubJobs

from .adapting import Adapting
from .connection import (
    STOPPED,
    TLS,
    WORKERS,
    Connection,
    Ended,
    Most,
    Plan,
    Took,
    check_workers,
    remove_secrets,
)
from .environment import job_environment
from .idling import Idling
from .launch import Launch
from .pages import Pages
from .security import make_certificates, own_security
from .versions import versions_here
from .workers import Workers

log = logging.getLogger("shopfloor.controller")

SHUT_DOWN = "A client shut it down."
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
GOODBYE = 3  # seconds in which workers leave whose scheduler was shut down
PATIENCE = 4  # seconds for each step of the end; the runner's grace is 10


class Controller:
    """One cluster from start to end, in the job directory ``path``.

    ``plan`` is what the person asked for and ``job`` the job's own request.json; ``environment`` is the
    process's.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]):
        plan = Plan.read(path)
        job = directory.read_json(path / "request.json")
        if plan is None or job is None:
            raise SystemExit(f"{path}: there is no plan of a cluster here")
        self.path, self.plan, self.owner = path, plan, str(job["owner"])
        self.environment, self.hub = environment, Hub(environment)
        self.scheduler = scheduler_from(plan.scheduler)
        self.ends = (
            float(environment["SHOPFLOOR_ENDS"]) if "SHOPFLOOR_ENDS" in environment else None
        )
        self.idling = Idling(Rule(**plan.idle))
        self.request = Request.from_json(plan.request)
        # A worker's project is this job's own, where none was named.
        project = self.request.account or environment.get("SLURM_JOB_ACCOUNT", "")
        self.record = GpuRecord(Path.home(), path.name, project, time.time())
        self.cause = ""
        self._end = asyncio.Event()

    async def run(self) -> None:
        """Run the cluster until it is told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Who sent it, and hence why, is known to the runner and the scheduler, not to us.
            loop.add_signal_handler(number, self._end.set)
        try:
            await self._run()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self.cause = home_words(error, Path.home())
            remove_secrets(self.path)
            self._leave_cause()
            raise SystemExit(self.cause) from error

    async def _run(self) -> None:
        make_certificates(self.path / TLS, self.ends)
        workers = Workers(
            Launch(
                self.scheduler,
                self.owner,
                self.path,
                self.request,
                {**job_environment(self.environment), **self.plan.software.get("env", {})},
            ),
            own_security(self.path / TLS),
            await listening_address(self.plan.scheduler, self.plan.peer, self.path.name),
            self.ends,
            HubJobs(self.hub, self.scheduler) if self.hub else None,
            self.record,
        )
        keeping = pages = None
        beside: list[asyncio.Task[None]] = []
        try:
            await workers
            pages = Pages(workers.scheduler, self.path / TLS)
            workers.scheduler.handlers.update(self._handlers(workers, pages))
            if self.plan.adapt:
                workers.adapt(Adapting.check(self.plan.adapt))
            else:
                workers.want(self.plan.workers)
            keeping = asyncio.create_task(workers.keep())
            beside = [asyncio.create_task(self._end_when_idle(workers))]
            beside.append(asyncio.create_task(self._keep_record()))
            self._connection(workers.scheduler.address).write(self.path)
            log.info("cluster %r at %s", self.plan.name, workers.scheduler.address)
            await self._until_the_end(workers, keeping)
        finally:
            for task in beside:
                task.cancel()
            await self._close(workers, keeping, pages)

    async def _keep_record(self) -> None:
        """Now and then, beside all else: a home may be away."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await asyncio.to_thread(self.record.write, time.time())

    async def _end_when_idle(self, workers: Workers) -> None:
        state = State.OFF
        while True:
            before, state = state, self.idling.look(workers.transitions, workers.busy)
            if state is not before:
                log.info(
                    "Idle rule: %s after %.0f s without work (%d transitions of tasks so far)",
                    state.value,
                    self.idling.quiet,
                    workers.transitions,
                )
            if state is State.EXPIRED:
                self.cause = self.idling.rule.cause
                self._end.set()
                return
            await asyncio.sleep(self.idling.rule.pause)

    async def _until_the_end(self, workers: Workers, keeping: asyncio.Task[None]) -> None:
        told = asyncio.create_task(self._end.wait())
        gone = asyncio.create_task(workers.scheduler.finished())
        await asyncio.wait({told, gone, keeping}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if gone.done():
            # Who is asked for now would be a job for nobody.
            keeping.cancel()
            await asyncio.wait({keeping}, timeout=PATIENCE)
            # Nobody is left to be told to end: dask would try to reach it until its time-out.
            workers.shutdown_scheduler = False
            self.cause = self.cause or SHUT_DOWN
            await workers.see_them_leave(GOODBYE)
        gone.cancel()
        if keeping.done() and not keeping.cancelled():
            keeping.result()

    async def _close(
        self, workers: Workers, keeping: asyncio.Task[None] | None, pages: Pages | None
    ) -> None:
        """Take the workers along, and leave nothing that opens anything."""
        if keeping:
            keeping.cancel()
            await asyncio.wait({keeping}, timeout=PATIENCE)
        closing = [pages.close()] if pages else []
        for what in (*closing, workers.cancel_all(), workers.close(), self._give_back()):
            try:
                await asyncio.wait_for(what, PATIENCE)
            except asyncio.TimeoutError:
                log.warning("%s took more than %s s", what, PATIENCE)
            except (Exception, asyncio.CancelledError):
                # dask's own, where the end came while it started a worker.
                log.exception("%s failed", what)
        # First what goes, so that on a full disk there is room for why.
        remove_secrets(self.path)
        if workers.launch.at_rest:
            (self.path / WORKERS).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            Took(**workers.spent.report()).write(self.path)
        self.record.write(time.time())
        self._leave_cause()

    async def _give_back(self) -> None:
        """End the token that the hub was asked with; one that is left behind ends by itself."""
        if self.hub:
            with contextlib.suppress(NoHub):
                await self.hub.delete("access", PATIENCE)

    def _leave_cause(self) -> None:
        if self.cause:
            with contextlib.suppress(OSError):
                Ended(self.cause, time.time()).write(self.path)

    def _handlers(self, workers: Workers, pages: Pages) -> dict[str, Any]:
        def status() -> dict[str, Any]:
            return {**workers.report(), "idle": self.idling.to_json()}

        def keep() -> dict[str, Any]:
            self.idling.touch()
            return status()

        def scale(count: int) -> dict[str, Any]:
            workers.want(check_workers(count, Most(self.plan.most)))
            return keep()

        def adapt(minimum: int, maximum: int) -> dict[str, Any]:
            asked = {"minimum": minimum, "maximum": maximum}
            workers.adapt(Adapting.check(asked, Most(self.plan.most)))
            return keep()

        def stop() -> dict[str, Any]:
            self.cause = STOPPED
            self._end.set()
            return {}

        return {
            "shopfloor_status": status,
            "shopfloor_scale": scale,
            "shopfloor_adapt": adapt,
            "shopfloor_keep": keep,
            "shopfloor_stop": stop,
            "shopfloor_plots": pages.open,
        }

    def _connection(self, address: str) -> Connection:
        tls = self.path / TLS
        started = directory.start_record(self.path) or {}
        return Connection(
            id=self.path.name,
            name=self.plan.name,
            address=address,
            ca=str(tls / "ca.pem"),
            certificate=str(tls / "client.pem"),
            key=str(tls / "client.key"),
            job_id=str(started.get("job_id", "")),
            node=socket.gethostname(),
            started=float(started.get("started", time.time())),
            ends=self.ends,
            versions=versions_here(),
            most=self.plan.most,
        )


def open_files() -> None:
    """Let this process open as many files as it may: each worker takes some, and the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Run the cluster whose job this process is: SHOPFLOOR_JOB_DIR names its directory."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    path = os.environ.get("SHOPFLOOR_JOB_DIR")
    if not path:
        raise SystemExit(
            "SHOPFLOOR_JOB_DIR is not set: this is the command of a job, see Lab's Jobs panel"
        )
    os.umask(0o077)
    open_files()
    asyncio.run(Controller(Path(path), dict(os.environ)).run())


if __name__ == "__main__":
    main()
