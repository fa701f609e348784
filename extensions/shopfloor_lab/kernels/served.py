"""Joins kernels that are jobs with the Jupyter server: their routes and events, or the word why there are none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from jupyter_server.gateway.gateway_client import GatewayClient

from shopfloor_lab.answering import JsonHandler, for_the_person
from shopfloor_lab.errors import Conflict

from . import handlers
from .connection import PatientConnection
from .events import EVENT, SCHEMA
from .form import KernelForm, Specs
from .managers import JobKernels
from .noting import Noting
from .sessions import JobSessions

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

ADOPT_WITHIN = 8.0  # seconds by which finding earlier kernels may put off the server's start; it goes on afterwards
# What an administrator's or a person's own configuration of the server comes before.
CLASSES: dict[str, type] = {
    "kernel_manager_class": JobKernels,
    "kernel_websocket_connection_class": PatientConnection,
    "session_manager_class": JobSessions,
}
Routes = list[tuple[str, type[JsonHandler], dict[str, Any]]]


def set_classes(server: ServerApp) -> None:
    """Have the server use our classes, before it makes anything of them; a gateway's stay where one is configured."""
    if not GatewayClient.instance(parent=server).gateway_enabled:
        for name, ours in CLASSES.items():
            if name not in server.config.ServerApp:
                setattr(server, name, ours)


def trouble(server: ServerApp) -> str:
    """Why no kernel of this server can be a job, in words; empty where they can."""
    if server.gateway_config.gateway_enabled:
        return (
            f"A kernel gateway is configured ({server.gateway_config.url}), which has all kernels of this server:"
            " none of them can be a job of its own."
        )
    for name, ours in CLASSES.items():
        used = getattr(server, name)
        if not issubclass(used, ours):
            return f"ServerApp.{name} is configured as {_name(used)}: kernels that are jobs need {_name(ours)} there."
    return ""


def _name(one: type) -> str:
    return f"{one.__module__}.{one.__qualname__}"


def join(server: ServerApp) -> Routes:
    """Register the event, tell it from now on, find earlier kernels soon; the routes below ``shopfloor/api/``."""
    # Pages subscribe to the events that are known when they connect.
    server.event_logger.register_event_schema(SCHEMA)
    if why := trouble(server):
        server.log.warning("%s", why)
        return [(path, _NoJobs, {"why": why}) for path, _ in handlers.routes()]
    kernels: JobKernels = server.kernel_manager
    noting = Noting(kernels.lab.offers.hub)

    def tell(rows: list[dict[str, Any]]) -> None:
        noting.take(rows)
        data = {"kernels": rows, "server_time": time.time()}
        server.event_logger.emit(schema_id=EVENT, data=data)

    kernels.board.emit = tell
    _adopt(server, kernels)

    async def specs() -> Specs:
        return await ensure_async(server.kernel_spec_manager.get_all_specs())

    parts = {
        "kernels": kernels,
        "form": KernelForm(kernels.lab, specs, lambda: kernels.default_kernel_name),
        "sessions": server.session_manager,
    }
    return [(path, handler, parts) for path, handler in handlers.routes()]


def _adopt(server: ServerApp, kernels: JobKernels) -> None:
    """Find earlier kernels before anybody can ask: a page that is still open would take its kernel for gone."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            server.io_loop.run_sync(kernels.adopt, ADOPT_WITHIN)
        except asyncio.TimeoutError:
            server.log.warning("Kernels of earlier servers are still being looked for")
    else:
        server.io_loop.add_callback(kernels.adopt)


class _NoJobs(JsonHandler):
    def initialize(self, why: str) -> None:
        self.why = why

    @for_the_person
    async def get(self, *_: str) -> None:
        if self.request.path.endswith("/job-kernels"):
            self.finish({"kernels": [], "server_time": time.time()})
        else:
            raise Conflict(self.why)

    @for_the_person
    async def post(self, *_: str) -> None:
        raise Conflict(self.why)

    @for_the_person
    async def patch(self, *_: str) -> None:
        raise Conflict(self.why)

    @for_the_person
    async def delete(self, *_: str) -> None:
        raise Conflict(self.why)
