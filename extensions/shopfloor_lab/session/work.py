"""What counts as work in a server: the signs that the idle rule of shopfloor_jobs is applied to.

Open pages are not work, however often they ask. A kernel that computes is, for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shopfloor_jobs.within import set_within
from zmq import ZMQError

from .use import Use

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

CONTENTS_EVENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"
BUSY_CORES = 0.1  # an idle kernel uses less than 0.01; what computes uses about 1
BUSY_GPU = 0.05  # share of time
ANSWER_SECONDS = 3.0  # a kernel whose main thread is free answers within milliseconds


@dataclass(frozen=True)
class Sign:
    """Something that may be work: ``busy`` while it goes on; ``stamp`` is when it happened, in whatever form."""

    what: str
    stamp: Any = None
    busy: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {'busy' if self.busy else self.stamp}"


class Work:
    """The signs of one server. ``clusters`` lists its Dask clusters, as the panel *Jobs* shows them."""

    def __init__(self, server: ServerApp, clusters: Callable[[], Awaitable[list[dict[str, Any]]]]):
        self._server, self._clusters = server, clusters
        self._touched = self._saved = _stamp()
        server.event_logger.add_listener(schema_id=CONTENTS_EVENTS, listener=self._on_contents)

    def touch(self) -> None:
        """A person does something on a page of this server, or wants to keep it."""
        self._touched = _stamp()

    async def _on_contents(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        if data.get("action") in ("save", "upload", "create", "rename", "copy", "delete"):
            self._saved = _stamp()

    def signs(self, use: Use | None) -> list[Sign]:
        """What can be seen at once."""
        return [
            Sign("the person's hand", self._touched),
            Sign("files", self._saved),
            *self._kernels(),
            *self._terminals(),
            *(programs(use) if use else ()),
            *(gpus(use) if use else ()),
        ]

    def saves(self) -> Sign:
        """The files alone: when the pages were asked to save, that they did so is no work."""
        return Sign("files", self._saved)

    async def slow_signs(self) -> list[Sign]:
        """What must be asked for: the kernels themselves, and Dask clusters. Takes up to some seconds."""
        manager = self._server.kernel_manager
        kernels = [manager.get_kernel(one) for one in manager.list_kernel_ids()]
        free = await asyncio.gather(*map(answers, kernels))
        signs = [
            Sign(f"kernel {one.kernel_id[:8]}, which does not answer", busy=True)
            for one, is_free in zip(kernels, free, strict=True)
            if not is_free
        ]
        try:
            clusters = await self._clusters()
        except OSError as error:
            return [*signs, Sign(f"Dask clusters, which cannot be seen ({error})", busy=True)]
        return signs + [
            Sign(f"Dask cluster {one['name']}", busy=True)
            for one in clusters
            if one["tasks"]["processing"]
        ]

    def _kernels(self) -> list[Sign]:
        manager = self._server.kernel_manager
        signs = []
        for kernel_id in manager.list_kernel_ids():
            kernel = manager.get_kernel(kernel_id)
            busy = getattr(kernel, "execution_state", "") == "busy"
            signs.append(
                Sign(f"kernel {kernel_id[:8]}", getattr(kernel, "last_activity", None), busy)
            )
        return signs

    def _terminals(self) -> list[Sign]:
        manager = self._server.web_app.settings.get("terminal_manager")
        listed = manager.list() if manager else []
        return [Sign(f"terminal {one['name']}", one["last_activity"]) for one in listed]


def _stamp() -> str:
    return datetime.now().isoformat(timespec="microseconds")


def programs(use: Use) -> list[Sign]:
    """Programs that compute without a cell or a terminal that shows it, such as one with its output in a file."""
    return [
        Sign(f"process {pid}", busy=True)
        for pid, cores in use.programs.items()
        if cores >= BUSY_CORES
    ]


def gpus(use: Use) -> list[Sign]:
    """GPUs that compute, whatever is in their memory."""
    return [
        Sign(f"GPU {number}", busy=True)
        for number, gpu in enumerate(use.gpus)
        if gpu.busy is not None and gpu.busy >= BUSY_GPU
    ]


async def answers(kernel: Any, seconds: float = ANSWER_SECONDS) -> bool:
    """Whether the kernel's main thread is free: it answers there only between two cells.

    What the server says of a kernel is not enough. It takes the kernel for idle as soon as anything that was
    asked of it is done, and kernels do small things (those of widgets) beside a running cell.
    """
    if getattr(kernel, "execution_state", "") in ("dead", "terminating"):
        return True
    answered = asyncio.Event()
    try:
        stream = kernel.connect_shell()
    except ZMQError:  # it waits for its ports
        return False
    try:
        stream.on_recv(lambda message: answered.set())
        kernel.session.send(stream, "kernel_info_request")
        return await set_within(answered, seconds)
    finally:
        stream.close()
