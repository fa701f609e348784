"""What becomes of a kernel that died: started again in its job while that lives; dead, with a cause, afterwards."""

from __future__ import annotations

import time

from jupyter_client.ioloop.restarter import AsyncIOLoopKernelRestarter
from traitlets import default

from shopfloor_lab.errors import NoAnswer

from .job import KernelEnded
from .provisioner import JobProvisioner

ENDS_WITHIN = 30.0  # seconds after which a job that said that it ends is taken for ended, whatever the scheduler says


class JobRestarter(AsyncIOLoopKernelRestarter):
    """As Jupyter's own for any other kernel. It never has a job asked for again: nobody asked for that."""

    _ending_since: float | None = None

    @default("random_ports_until_alive")
    def _keep_ports(self) -> bool:
        return False  # the agent's, which stay

    async def poll(self) -> None:
        """Look at the kernel; called every :attr:`time_to_dead` seconds."""
        provisioner = self.kernel_manager.provisioner
        if not isinstance(provisioner, JobProvisioner):
            await super().poll()
            return
        if await provisioner.poll() is not None:
            if why := provisioner.not_begun:
                self._end(why)
                return
            if await self._is_over(provisioner):
                self._end(provisioner.job.cause)
                return
            if provisioner.ending:
                return  # pages would say that another one is started
        try:
            await super().poll()
        except (KernelEnded, NoAnswer) as error:
            self.log.warning("Kernel %s: %s", self.kernel_manager.kernel_id, error)
            if not isinstance(error, NoAnswer):
                self._end(str(error))

    async def _is_over(self, provisioner: JobProvisioner) -> bool:
        if await provisioner.is_over():
            return True
        if not provisioner.ending:
            return False
        self._ending_since = self._ending_since or time.monotonic()
        return time.monotonic() - self._ending_since > ENDS_WITHIN

    def _end(self, why: str) -> None:
        job = self.kernel_manager.provisioner.job
        job.cause = job.cause or why
        self.stop()
        self._fire_callbacks("dead")
