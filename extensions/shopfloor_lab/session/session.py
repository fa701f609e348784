"""The one watch of a server, made a little after the server's start, which it must not slow down."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from shopfloor_lab.hub import Hub

    from .watch import Watch

START_AFTER = 5.0  # seconds; the first page that asks is served before
STOP_SECONDS = 60.0  # that ending in order may take
EVENT = "urn:shopfloor:session"
SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "Session",
    "description": "Time left, use and idle state of the job that this server runs in.",
    "personal-data": False,
    "type": "object",
    "properties": {
        "session": {
            "title": "Session",
            "description": "As the route shopfloor/api/session answers.",
            "type": "object",
        }
    },
    "required": ["session"],
}


class Session:
    """``clusters`` lists the server's Dask clusters; ``environment`` is that of the server's job."""

    def __init__(
        self,
        server: ServerApp,
        clusters: Callable[[], Awaitable[list[dict[str, Any]]]],
        environment: Mapping[str, str],
        home: Path,
        hub: Hub,
    ):
        self._server, self._clusters, self._hub = server, clusters, hub
        self._environment, self._home = environment, home
        self._starting: asyncio.Task[Watch | None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        # Pages subscribe to the events that are known when they connect.
        server.event_logger.register_event_schema(SCHEMA)

    def start_soon(self) -> None:
        """Have the watch begin when the server is up, whether or not a page asks for it."""
        if self._environment.get("SHOPFLOOR_JOB_DIR"):
            self._server.io_loop.call_later(START_AFTER, self.watch)

    async def watch(self) -> Watch | None:
        """The watch, after its first look; None where this server is no job."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        watch = await asyncio.shield(self._starting)
        if watch:
            await watch.looked.wait()
        return watch

    async def _start(self) -> Watch | None:
        from .given import given
        from .gpu_time import GpuTime
        from .measuring import Measuring
        from .moved_end import MovedEnd
        from .use import Meter
        from .watch import Watch
        from .work import Work

        try:
            job = await asyncio.to_thread(given, self._environment)
        except (OSError, ValueError, LookupError) as error:
            self._server.log.error("What this job was given cannot be read: %r", error)
            return None
        if job is None:
            return None
        gpu_time = GpuTime(job, self._home)
        watch = Watch(
            job,
            Work(self._server, self._clusters),
            Measuring(Meter(job, self._home, gpu_time=gpu_time), self._server.log),
            lambda seen: self._server.event_logger.emit(schema_id=EVENT, data={"session": seen}),
            self._end,
            self._server.log,
        )
        atexit.register(gpu_time.write)
        self._running = asyncio.create_task(watch.run())
        self._running.add_done_callback(lambda task: self._report(task, watch))
        self._following = asyncio.create_task(MovedEnd(self._hub, job, watch.move_end).run())
        return watch

    def _report(self, running: asyncio.Task[None], watch: Watch) -> None:
        watch.looked.set()  # who waits for a look that failed gets what is known
        if not running.cancelled() and (error := running.exception()):
            self._server.log.error("This job is not watched any more", exc_info=error)

    def _end(self) -> None:
        """End the server in order: kernels are asked to shut down. One that hangs in it is ended all the same."""
        hung = threading.Timer(STOP_SECONDS, os._exit, [1])
        hung.daemon = True
        hung.start()
        self._server.stop()
