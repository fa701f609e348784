"""One kernel that is or was a job, as board.py lists it: what Jupyter, its job and its agent are to it."""

from __future__ import annotations

import asyncio
from typing import Any

from .job import KernelJob
from .kept import Session
from .kernel import JobKernel
from .link import Link
from .provisioner import JobProvisioner
from .rows import Facts


class Entry:
    """One kernel. ``kernel`` is None once Jupyter has it no more; ``job`` until its offer was had."""

    def __init__(self, kernel_id: str, name: str, label: str, chosen: Any, asked: float):
        self.id, self.name, self.label, self.chosen, self.asked = (
            kernel_id, name, label, chosen, asked,
        )  # fmt: skip
        self.kernel: JobKernel | None = None
        self.session: Session | None = None
        self.cause = self.log = ""
        self.unsaved = False  # what it printed is in no saved notebook yet; known once it is buried
        self.is_buried = asyncio.Event()
        self.start: dict[str, Any] = {}
        self.last_told: dict[str, Any] = {}
        self.asking: asyncio.Future[None] | None = None
        self._job: KernelJob | None = None

    @property
    def job(self) -> KernelJob | None:
        if self.kernel and self.kernel.job:
            self._job = self.kernel.job
        return self._job

    @job.setter
    def job(self, job: KernelJob) -> None:
        self._job = job

    @property
    def provisioner(self) -> JobProvisioner | None:
        found = self.kernel.provisioner if self.kernel else None
        return found if isinstance(found, JobProvisioner) else None

    @property
    def link(self) -> Link | None:
        """The connection to its agent, once there is one."""
        return self.provisioner.link if self.provisioner else None

    def facts(self) -> Facts:
        """What is known now; asks nobody."""
        job, link, provisioner = self.job, self.link, self.provisioner
        runs = link is not None and link.kernel.starts > 0
        if link:
            link.look()
            self.last_told = dict(link.job)
        return Facts(
            id=self.id,
            name=self.name,
            label=self.label,
            chosen=self.chosen,
            asked=self.asked,
            tag=job.job.tag if job else "",
            path=self.session.path if self.session else None,
            request=job.job.request if job else None,
            seen=job.seen if job else None,
            told=self.last_told if runs or self.cause else None,
            is_reached=not (provisioner and provisioner.trouble),
            execution=self.kernel.execution_state if self.kernel and runs else "",
            death=link.kernel.death if link else None,
            silence=link.silence() if link and not self.cause else 0,
            cause=self.cause,
            trouble=(provisioner.trouble if provisioner else "") or (job.trouble if job else ""),
            log=self.log,
            unsaved=self.unsaved,
            start=self.start,
        )
