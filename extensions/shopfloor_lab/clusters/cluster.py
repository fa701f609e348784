"""A cluster that the Jobs panel started, as the object that distributed's users know; widget.py is how it looks.

It holds nothing: the controller keeps the workers, and goes on when this object, its kernel or its machine is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from pathlib import Path
from typing import Any

import distributed
from distributed.comm import Comm
from distributed.core import Status, rpc
from distributed.utils import NoOpAwaitable
from shopfloor_jobs import directory
from tornado.ioloop import IOLoop

from . import appearance
from .adapting import Adapting
from .client import TIMEOUT, Client, NotConnected, choose, compare, no_answer, security_of
from .connection import Ended, Most, check_workers
from .words import ended_line

ANSWER = 5.0  # seconds within which a controller does what it is asked
LEAVING = 5.0  # seconds that the end of a cluster is waited for
LEFT = "this object has left it; the Jobs panel says whether it runs on."
LOST = "the connection was lost; the Jobs panel says whether it runs on."


class Cluster(distributed.deploy.Cluster):
    """The running cluster with this ``name``, or the newest one; shown in a cell, it can be watched and scaled there.

    ``close()``, and the end of a ``with`` block, leave the cluster running, unless ``shutdown_on_close``;
    ``shutdown()`` ends it. In a coroutine: ``await Cluster(asynchronous=True)``, or ``async with``. Several may
    have the same cluster at the same time; what was asked for last holds for all. Raises LookupError, saying what
    to do, where there is no such cluster, or where it still waits or starts.

    >>> cluster = Cluster()
    >>> cluster.scale(4)
    >>> client = cluster.get_client()
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        shutdown_on_close: bool = False,
        asynchronous: bool = False,
        loop: IOLoop | None = None,
        home: Path | None = None,
    ):
        self.home = home or Path.home()
        self.connection = choose(self.home, name)
        compare(self.connection, stacklevel=3)
        self.security = security_of(self.connection)
        self.shutdown_on_close = shutdown_on_close
        #: What the controller said last of workers, memory and tasks.
        self.report: Mapping[str, Any] = {}
        #: Called, in the loop, whenever there is something new to see.
        self.changed: Callable[[], None] = lambda: None
        self._why_not = ""
        self._tasks: set[asyncio.Future[Any]] = set()
        self._starting: asyncio.Future[None] | None = None
        self._looking: asyncio.Future[Any] | None = None
        super().__init__(
            asynchronous=asynchronous,
            loop=IOLoop.current() if loop is None and asynchronous else loop,
            quiet=True,
            name=self.connection.name,
        )
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._begin)
            except NotConnected:
                self._loop_runner.stop()
                raise

    def __await__(self) -> Generator[Any, Any, Cluster]:
        async def begun() -> Cluster:
            await self._begin()
            return self

        return begun().__await__()

    async def _begin(self) -> None:
        """Connect, once however many wait for it."""
        if self.status is Status.created and self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        if self._starting is not None:
            await self._starting

    async def _start(self) -> None:
        self.scheduler_comm = rpc(
            self.connection.address,
            timeout=TIMEOUT,
            connection_args=self.security.get_connection_args("client"),
        )
        try:
            await super()._start()
            self.report = await self.scheduler_comm.shopfloor_status()
        except OSError as error:
            await super()._close()
            raise self._unreachable() from error
        # What the scheduler has there are the controller's own names.
        self._cluster_info.update(name=self.connection.name, type=type(self).__name__)

    async def _sync_cluster_info(self) -> None:
        """Nothing: it would overwrite, each second, what the controller says of itself."""

    async def _watch_worker_status(self, comm: Comm) -> None:
        await super()._watch_worker_status(comm)
        if self.status is Status.running:  # the scheduler went, not we
            self._why_not = LOST
            self._soon(self._leave())

    def _update_worker_status(self, op: str, msg: Any) -> None:
        super()._update_worker_status(op, msg)
        if self._looking is None or self._looking.done():  # 64 that come at once are one question
            self._looking = self._soon(self._look())

    # Steering

    def scale(self, n: int) -> Awaitable[None] | None:
        """Ask for ``n`` workers; those that are given up hand their results to others first.

        Raises Refused (a ValueError) for what is no number of workers, LookupError where the cluster is gone.
        """
        return self._steer("scale", count=check_workers(n, self._most))

    def adapt(  # type: ignore[override]
        self, *, minimum: int = 0, maximum: float = math.inf
    ) -> Awaitable[None] | None:
        """From now on have as many workers as there is work for, until :meth:`scale` names a number.

        The controller does it, also when nobody is connected. Raises as :meth:`scale` does.
        """
        most = self._most.workers if maximum == math.inf else maximum
        asked = Adapting.check({"minimum": minimum, "maximum": most}, self._most)
        return self._steer("adapt", **asked.to_json())

    def look(self) -> Any:
        """The cluster as the panel shows it, asked for now: state, workers with their reasons, memory, tasks.

        An awaitable in a coroutine. Of one that is gone it says why.
        """
        if self.status is Status.closed and not self.asynchronous:
            return self.described()
        return self.sync(self._look)

    def shutdown(self) -> Awaitable[None] | None:
        """End the cluster with all its workers, for everybody; what only they have in memory is lost."""
        if self.status is Status.closed and not self.asynchronous:
            raise self._gone()
        return self.sync(self._shutdown)

    def close(self, timeout: float | None = None) -> Any:
        """Leave the cluster, which runs on, unless this was made with ``shutdown_on_close``; ``timeout`` in seconds."""
        if self.status is Status.created:  # never awaited: there is nothing to leave
            self.status = Status.closed
            return NoOpAwaitable()
        left = super().close(timeout)
        if not self.asynchronous:
            self._loop_runner.stop()
        return left

    async def _close(self) -> None:
        if self.shutdown_on_close and self.status is Status.running:
            await self._shutdown()
        else:
            await self._leave()

    async def _leave(self) -> None:
        self._why_not = self._why_not or LEFT
        await super()._close()
        self.changed()

    async def _shutdown(self) -> None:
        self.shutdown_on_close = False
        with contextlib.suppress(NotConnected):  # it is what was asked for
            await self._ask("stop")
        if self._watch_worker_status_task:
            await asyncio.wait({self._watch_worker_status_task}, timeout=LEAVING)
        await self._close()

    @property
    def _most(self) -> Most:
        return Most(self.connection.most)

    def _steer(self, operation: str, **values: int) -> Awaitable[None] | None:
        if self.asynchronous:
            # Done whether or not it is awaited, as with distributed's own clusters.
            return self._soon(self._tell(operation, **values))
        if self.status is Status.closed:
            raise self._gone()
        self.sync(self._tell, operation, **values)
        return None

    async def _tell(self, operation: str, **values: int) -> None:
        self.report = await self._ask(operation, **values)
        self.changed()

    async def _look(self) -> Mapping[str, Any]:
        with contextlib.suppress(NotConnected):
            self.report = await self._ask("status")
            self.changed()
        return self.described()

    async def _ask(self, operation: str, **values: int) -> Mapping[str, Any]:
        """The controller's answer. Raises NotConnected."""
        await self._begin()
        if self.status is not Status.running:
            raise self._gone()
        try:
            question = getattr(self.scheduler_comm, f"shopfloor_{operation}")(**values)
            return await asyncio.wait_for(question, ANSWER)
        except (OSError, asyncio.TimeoutError) as error:
            raise self._unreachable() from error

    def _soon(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What is known of it

    @property
    def workers(self) -> dict[str, Mapping[str, Any]]:
        """What the controller said last of each worker that is not over, by its name; :meth:`look` asks anew."""
        rows = self.report["workers"]["rows"] if self.report else ()
        return {row["name"]: row for row in rows if row["state"] not in ("failed", "ended")}

    @property
    def dashboard_link(self) -> str:
        """Empty: no web page of a cluster is open to whoever finds its port. The panel shows Dask's plots."""
        return ""

    def get_client(self) -> Client:
        """The client that this process has of the cluster, or a new one; awaitable in a coroutine."""
        with contextlib.suppress(ValueError):  # there is none
            current = distributed.Client.current()
            if isinstance(current, Client) and current.cluster is self:
                return current
        return Client(self, connection=self.connection, asynchronous=self.asynchronous)

    def described(self) -> dict[str, Any]:
        """What was said last, in the shape of the panel's clusters (state.py); reads files only where it is gone."""
        running, cause = self.status is Status.running, None
        if running or self.status is Status.created:
            state = "running" if running else "starting"
        else:
            cause = self._cause()
            state, cause = ("ended", cause) if cause else ("left", self._why_not)
        return {
            **appearance.NOTHING,
            **(self.report if running else {}),
            "name": self.name,
            "state": state,
            "reason": (self.report.get("problem") or None) if running else None,
            "cause": cause,
            "node": self.connection.node,
            "ends": self.connection.ends,
        }

    def _gone(self) -> NotConnected:
        """Why there is no connection any more, in words."""
        cause = self._cause()
        return NotConnected(
            ended_line(self.name, cause) if cause else f"Cluster {self.name!r}: {self._why_not}"
        )

    def _unreachable(self) -> NotConnected:
        """Why there is no answer: it may just have ended, and said so."""
        return self._gone() if self._cause() else no_answer(self.connection)

    def _cause(self) -> str:
        path = directory.directory_of(self.home, self.connection.id)
        if end := Ended.read(path):
            return end.cause
        if record := directory.exit_record(path):
            return str(record.get("cause") or "It ended.")
        return ""

    def __repr__(self) -> str:
        return f"<Cluster {self.name!r}: {appearance.summary(self.described())}>"

    def _repr_html_(self, cluster_status: Any = None) -> str:
        return appearance.page(self.described())

    def _widget(self) -> Any:
        if not hasattr(self, "_cached_widget"):
            self._cached_widget = None
            with contextlib.suppress(ImportError):
                from .widget import View

                self._view = View(self)
                self._cached_widget = self._view.box
        return self._cached_widget
