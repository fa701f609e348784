"""The Lab server's kernels: one that is a job may wait in a queue for hours, while nobody waits for it here."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import default

from .provisioner import JobProvisioner


class JobKernels(AsyncMappingKernelManager):
    """A kernel that is a job is there as soon as it is asked for; others as ever, when they run."""

    @default("use_pending_kernels")
    def _waits_for_none(self) -> bool:
        return True

    async def _async_start_kernel(self, **given: Any) -> str:  # type: ignore[override]
        kernel_id = await super()._async_start_kernel(**given)
        kernel = self._kernels[kernel_id]
        if starting := self._pending_kernels.get(kernel_id):
            if _is_a_job(kernel):
                return kernel_id
            await starting
            await self._pending_kernel_tasks.pop(kernel_id)
            if error := kernel.ready.exception():
                self._forget(kernel_id)
                raise error
        return kernel_id

    start_kernel = _async_start_kernel

    async def _async_shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        kernel = self._kernels.get(kernel_id)
        if kernel and isinstance(kernel.provisioner, JobProvisioner) and not kernel.ready.done():
            kernel.provisioner.give_up()
            # Before the base class cancels what waits for it: that takes the future along, which the start then sets.
            await self._pending_kernels[kernel_id]
        await super()._async_shutdown_kernel(kernel_id, now=now, restart=restart)
        if kernel_id not in self._kernels:
            self._forget(kernel_id)

    shutdown_kernel = _async_shutdown_kernel

    def _forget(self, kernel_id: str) -> None:
        """The base classes leave traces of one whose start failed, and stumble over them when they end all."""
        self.remove_kernel(kernel_id)
        self._pending_kernels.pop(kernel_id, None)
        self._kernel_connections.pop(kernel_id, None)


def _is_a_job(kernel: Any) -> bool:
    spec = kernel.kernel_spec
    chosen = (spec.metadata if spec else {}).get("kernel_provisioner") or {}
    return chosen.get("provisioner_name") == "shopfloor"
