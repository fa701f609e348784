"""The Lab server's kernels: one that is a job may wait in a queue for hours, while nobody waits for it here.

It outlives the server: adopting.py finds it again, sessions.py the documents that it belongs to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from traitlets import default

from shopfloor_lab.errors import NoAnswer

from .adopting import Adopting
from .board import Board
from .entry import Entry
from .job import KernelJob
from .kept import Kept
from .kernel import JobKernel
from .lab import Lab
from .provisioner import NAMED, JobProvisioner


class JobKernels(AsyncMappingKernelManager):
    """A kernel that is a job is there as soon as it is asked for; others as ever, when they run."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.lab = Lab()
        self.board = Board(self._job_is_over)
        self._adopting = Adopting(self.lab, self._have, self._is_here)
        self._ended: set[str] = set()  # by the person, though the end may take its time

    @default("use_pending_kernels")
    def _waits_for_none(self) -> bool:
        return True

    @default("kernel_manager_class")
    def _own_kernels(self) -> str:
        return f"{JobKernel.__module__}.{JobKernel.__qualname__}"

    def pre_start_kernel(self, kernel_name: str | None, kwargs: Any) -> tuple[Any, str, str]:
        chosen, taken = kwargs.pop("chosen", None), kwargs.pop("taken", None)
        kernel, name, kernel_id = super().pre_start_kernel(kernel_name, kwargs)
        kernel.chosen, kernel.taken = chosen, taken
        kernel.asked = taken.kept.asked if taken else time.time()
        return kernel, name, kernel_id

    async def _async_start_kernel(  # type: ignore[override]
        self, *, chosen: Mapping[str, Any] | None = None, **given: Any
    ) -> str:
        """As Jupyter's own; ``chosen`` makes the kernel a job with this request."""
        if given.get("kernel_id") in self:
            return await super()._async_start_kernel(**given)
        if "taken" not in given and (other := self._not_here(given.get("kernel_id"))):
            # A page asks once more for the one that its notebook was opened with: that may not be taken for what
            # runs here now.
            del given["kernel_id"]
            given["kernel_name"] = given.get("kernel_name") or other.name
        if chosen is not None:
            given["chosen"] = chosen
        kernel_id = await super()._async_start_kernel(**given)
        kernel = self._kernels[kernel_id]
        if starting := self._pending_kernels.get(kernel_id):
            if kernel.is_a_job:
                self.board.add(kernel_id, kernel, starting)
                return kernel_id
            await starting
            await self._pending_kernel_tasks.pop(kernel_id)
            if error := kernel.ready.exception():
                self._forget(kernel_id)
                raise error
        return kernel_id

    start_kernel = _async_start_kernel

    def _not_here(self, kernel_id: str | None) -> Entry | Kept | None:
        """The kernel, where it has ended, or another server has it still."""
        return self.board.find(kernel_id) or self._adopting.waits_for(kernel_id)

    async def _async_shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        ending = self._pending_kernels.get(kernel_id)
        if ending and kernel_id in self._ended:
            # Once is enough; the base class would not find it any more when that is done.
            await asyncio.wait({ending})
            return
        kernel = self._kernels.get(kernel_id)
        provisioner = kernel.provisioner if kernel else None
        if not restart:
            self._ended.add(kernel_id)
        if isinstance(provisioner, JobProvisioner) and not kernel.ready.done():
            provisioner.give_up()
            # Before the base class cancels what waits for it: that takes the future along, which the start sets.
            if starting := self._pending_kernels.get(kernel_id):
                await asyncio.wait({starting})
            while (
                not kernel.ready.done()
            ):  # a restart has two of them, one for the end and one for the start
                await asyncio.wait({kernel.ready})
        await super()._async_shutdown_kernel(kernel_id, now=now, restart=restart)
        if kernel_id not in self._kernels:
            self._forget(kernel_id)

    shutdown_kernel = _async_shutdown_kernel

    async def _remove_kernel_when_ready(self, kernel_id: str, kernel_awaitable: Any) -> None:
        """Called for a kernel that the person ended; nothing is left to say of it when that is done."""
        await super()._remove_kernel_when_ready(kernel_id, kernel_awaitable)
        self._ended.discard(kernel_id)
        if kernel_id not in self._kernels:
            await self.board.ends(kernel_id)

    async def _async_restart_kernel(self, kernel_id: str, now: bool = False) -> Any:
        kernel = self.get_kernel(kernel_id)
        if kernel.is_a_job and (not kernel.ready.done() or kernel.ready.exception()):
            raise web.HTTPError(409, "Its job has not started yet, or has ended.")
        return await super()._async_restart_kernel(kernel_id, now=now)

    restart_kernel = _async_restart_kernel

    async def interrupt_kernel(self, kernel_id: str) -> None:
        kernel = self.get_kernel(kernel_id)
        if kernel.is_a_job and not kernel.ready.done():
            raise web.HTTPError(409, "Its job has not started yet.")
        try:
            await ensure_async(super().interrupt_kernel(kernel_id))
        except NoAnswer as error:
            raise web.HTTPError(503, str(error)) from error

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """A kernel that is a job has a rule of its own, which knows better whether it works."""
        if not self._kernels[kernel_id].is_a_job:
            await super().cull_kernel_if_idle(kernel_id)

    def start_buffering(
        self, kernel_id: str, session_key: str, channels: Mapping[str, Any]
    ) -> None:
        """What a job's kernel prints while no page is open is recorded on its node, in bounds, and not kept here."""
        if not self._kernels[kernel_id].is_a_job:
            super().start_buffering(kernel_id, session_key, channels)
            return
        for stream in channels.values():
            stream.close()

    async def _async_shutdown_all(self, now: bool = False) -> None:
        """End the kernels here; those that are jobs run on, for the next server to find."""
        await self._adopting.close()
        self.board.close()
        ending = self._ended.intersection(self._pending_kernels)
        if ending:
            await asyncio.wait({self._pending_kernels[one] for one in ending})
        for kernel_id in ending:
            self._forget(kernel_id)
        for kernel_id, kernel in list(self._kernels.items()):
            if isinstance(kernel.provisioner, JobProvisioner) and kernel_id in self._kernels:
                await self._let_go(kernel_id, kernel)
        await super()._async_shutdown_all(now)

    shutdown_all = _async_shutdown_all

    async def _let_go(self, kernel_id: str, kernel: JobKernel) -> None:
        kernel.provisioner.let_go()
        kernel.stop_restarter()
        self.stop_watching_activity(kernel_id)
        self.stop_buffering(kernel_id)
        if waiting := self._pending_kernel_tasks.pop(kernel_id, None):
            waiting.cancel()
        if starting := self._pending_kernels.get(kernel_id):
            starting.cancel()
            await asyncio.wait({starting})
        await kernel.cleanup_resources()
        self._forget(kernel_id)

    async def adopt(self) -> None:
        """Have the kernels again that earlier servers of this person's asked for.

        Done once; what cannot be had yet is had later, and nobody waits for that.
        """
        await self._adopting.once()

    async def _have(self, job: KernelJob) -> None:
        if await job.is_over():
            self.board.add_ended(job)
        else:
            await self._take(job)

    def _is_here(self, kernel_id: str) -> bool:
        return kernel_id in self or self.board.find(kernel_id) is not None

    async def _take(self, job: KernelJob) -> None:
        kept, launch = job.kept, job.order.launch
        named = {name: launch.env[name] for name in NAMED if name in launch.env}
        await self._async_start_kernel(
            kernel_id=kept.kernel_id,
            kernel_name=kept.name,
            cwd=launch.cwd or None,
            env={**self.lab.environment, **named},
            chosen=kept.chosen,
            taken=job,
        )

    def _job_is_over(self, kernel_id: str) -> None:
        if kernel := self._kernels.get(kernel_id):
            if kernel._restarter:
                kernel._restarter._fire_callbacks("dead")  # this class's, and those of its pages
            if kernel_id in self._kernels:
                self._handle_kernel_died(kernel_id)

    def _handle_kernel_died(self, kernel_id: str) -> None:
        kernel = self._kernels.get(kernel_id)
        if kernel and kernel.is_a_job:
            self.board.ended(kernel_id)
            kernel.stop_restarter()
            self.stop_watching_activity(kernel_id)
            self.stop_buffering(kernel_id)
            kernel._close_control_socket()
            self._forget(kernel_id)
        else:
            super()._handle_kernel_died(kernel_id)

    def _forget(self, kernel_id: str) -> None:
        """The base classes leave traces of one whose start failed, and stumble over them when they end all."""
        self.remove_kernel(kernel_id)
        for traces in (
            self._pending_kernels,
            self._pending_kernel_tasks,
            self._kernel_connections,
            self._kernel_ports,
        ):
            traces.pop(kernel_id, None)
