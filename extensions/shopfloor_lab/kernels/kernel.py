"""One kernel of the Lab server: what Jupyter knows of each, and for one that is a job how it was asked for."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, NoSuchKernel
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from traitlets import default

from .channels import signs_of_life
from .job import KernelJob
from .provisioner import JobProvisioner
from .restarter import JobRestarter

NAME = "shopfloor"  # of the provisioner, among jupyter_client's entry points
NOT_WRITTEN = "its job runs, and JupyterLab cannot write down how to reach it: {}; it is tried again and again"


class JobKernel(ServerKernelManager):
    """``chosen`` is what a person asked for, where the kernelspec itself asks for no job.

    ``asked`` is when, in epoch seconds; ``taken`` the job of an earlier Lab server's that the kernel runs in, or
    waits for.
    """

    chosen: Mapping[str, Any] | None = None
    asked: float = 0.0
    taken: KernelJob | None = None
    _is_to_be_had = False

    @default("restarter_class")
    def _own_restarter(self) -> type[JobRestarter]:
        return JobRestarter

    @property
    def kernel_spec(self) -> KernelSpec | None:
        try:
            spec = super().kernel_spec
        except NoSuchKernel:
            if self.taken is None:
                raise
            # The kernel runs all the same, though it was removed here meanwhile.
            launch = self.taken.order.launch
            spec = KernelSpec(argv=list(launch.argv), display_name=self.taken.job.title)
        if spec is None or self.chosen is None:
            return spec
        asked = {"provisioner_name": NAME, "config": {"request": dict(self.chosen)}}
        own = copy.copy(spec)
        own.metadata = {**spec.metadata, "kernel_provisioner": asked}
        return own

    @property
    def is_a_job(self) -> bool:
        spec = self.kernel_spec
        chosen = (spec.metadata if spec else {}).get("kernel_provisioner") or {}
        return chosen.get("provisioner_name") == NAME

    @property
    def job(self) -> KernelJob | None:
        """None for one that is no job, and until it is asked for."""
        return self.provisioner.job if isinstance(self.provisioner, JobProvisioner) else self.taken

    def _create_connected_socket(self, channel: str, identity: bytes | None = None) -> Any:
        if not self.is_a_job:
            return super()._create_connected_socket(channel, identity)
        # As what the context makes by default, for it is connected as soon as it is made.
        before = dict(self.context.sockopts)
        self.context.sockopts.update(signs_of_life())
        try:
            return super()._create_connected_socket(channel, identity)
        finally:
            self.context.sockopts = before

    async def _async_pre_start_kernel(self, **given: Any) -> tuple[list[str], dict[str, Any]]:
        if self.provisioner is None and self.taken is not None:
            kernel_id = self.taken.kept.kernel_id
            made = JobProvisioner(kernel_id=kernel_id, kernel_spec=self.kernel_spec, parent=self)
            made.take(self.taken)
            self._is_to_be_had = True
            self.provisioner = made
        return await super()._async_pre_start_kernel(**given)

    pre_start_kernel = _async_pre_start_kernel

    async def _async_launch_kernel(self, kernel_cmd: list[str], **given: Any) -> None:
        provisioner = self.provisioner
        if self.taken is None or not isinstance(provisioner, JobProvisioner):
            await super()._async_launch_kernel(kernel_cmd, **given)
            return
        # What it has computed for hours is not to be lost for a file that cannot be written now.
        info = await provisioner.launch_kernel(kernel_cmd, **given)
        while trouble := self._unreached(info):
            await provisioner.try_again(trouble)
        provisioner.trouble = ""

    _launch_kernel = _async_launch_kernel

    def _unreached(self, info: KernelConnectionInfo) -> str:
        """Why this server cannot reach a kernel that it found, in words: on a full disk, say, or with no more open
        files. Empty once it can."""
        try:
            self._reconcile_connection_info(info)
            self._connect_control_socket()
        except (OSError, ValueError, zmq.ZMQError) as error:
            with suppress(OSError):
                Path(self.connection_file).unlink()  # half of one is worse than none
            return NOT_WRITTEN.format(getattr(error, "strerror", None) or error)
        return ""

    async def _async_post_start_kernel(self, **given: Any) -> None:
        await super()._async_post_start_kernel(**given)
        if self._is_to_be_had and isinstance(self.provisioner, JobProvisioner):
            self._is_to_be_had = False  # from a restart on it is as any other
            link = self.provisioner.link
            self._has_long_been(link.job.get("execution") if link else None)

    post_start_kernel = _async_post_start_kernel

    def _has_long_been(self, execution: Any) -> None:
        """What an adopted kernel does, which Jupyter would ask it."""
        if execution in ("busy", "idle"):
            self.execution_state = execution
        if execution == "busy":
            self.take_for_known()

    def take_for_known(self) -> None:
        """Have it not asked what it is: the answer would come behind the cell that runs, and pages wait for it."""
        if not hasattr(self, "_kernel_info_future"):
            known: asyncio.Future[dict[str, Any]] = asyncio.Future()
            known.set_result({})
            self._kernel_info_future = known
