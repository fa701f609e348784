"""What jupyter_client calls for a kernel that is a job: asks for the job, waits for its agent, steers it.

Start, signal and restart are the agent's (link.py), so that they need no scheduler once the job runs; whether the job
lives is the view's to say.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from typing import Any

import zmq
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from shopfloor_jobs.job import Job, new_tag
from traitlets import Dict

from shopfloor_lab.environment import passed_on
from shopfloor_lab.errors import NoAnswer

from .job import ASKED, CANCELLED, KernelEnded, KernelJob
from .kept import Kept
from .lab import Lab
from .link import Link, NotDone, Told
from .order import KIND, ORDER, Arrival, Launch, Order

SILENT = 7.0  # seconds without an answer of the agent after which the scheduler is asked whether the job still lives
WAITED = 0.1  # seconds between looks for the end of a kernel
AGAIN = 3.0  # seconds until what this server could not do is tried again
UNREACHED = (
    "its job runs, and JupyterLab does not reach it at {} yet; are the ports between the nodes open (see the"
    " administrator's guide)?"
)
NO_CODE = 1  # an exit code for a kernel of which nobody knows one
# Which notebook it is for. Not every JPY_…: one of them is the hub's token.
NAMED = ("JPY_SESSION_NAME",)
OWN_PYTHON = ("python", "python3", f"python3.{sys.version_info[1]}")  # as jupyter_client has it
PLACE = re.compile(r"\{([A-Za-z0-9_]+)\}")


class JobProvisioner(KernelProvisionerBase):
    """A kernel that runs as a job of its own, with what ``request`` asks of the person's offer."""

    request: Any = Dict(
        help="""What the kernel's job asks for: ``{"preset": "gpu", "time": "2h"}``, as in the start form.
        What is left out comes from the site's first preset.""",
        config=True,
    )

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        kernels = self.parent.parent if self.parent else None
        self._lab: Lab = getattr(kernels, "lab", None) or Lab()
        self.job: KernelJob | None = None
        self._link: Link | None = None
        self._starts = 0
        self.trouble = ""  # why a kernel whose job began is not there yet, in words
        self._is_let_go = self._is_given_up = False

    @property
    def has_process(self) -> bool:
        return self._link is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """See the base class; the environment is what a job of ours gets, and what the kernelspec sets."""
        given = dict(kwargs.pop("env", None) or {})
        named = {name: given[name] for name in NAMED if name in given}
        extra = kwargs.pop("extra_arguments", [])
        kwargs.pop("transport_encryption", None)  # it is always encrypted
        environment = {**passed_on({**self._lab.environment, **given}), **named}
        return await super().pre_launch(cmd=self._command(extra), env=environment, **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel in its job, which is asked for where there is none; waits as long as that waits.

        Raises Refused (the request), NoOffer, SchedulerError or KernelEnded.
        """
        launch = Launch(cmd, dict(kwargs.get("env") or {}), str(kwargs.get("cwd") or ""))
        if self._link is None:
            try:
                if self.job is None:
                    self.job = await self._new_job(launch)
                    await self.job.submit()
                if self._is_given_up:
                    self.job.give_up()
                arrival = await self.job.arrived()
                self.connection_info = self._connection(arrival)
                self._link = Link(self.job.order, arrival)
                told = await self._started(launch)
            except BaseException:
                # Whoever gave up waiting included: nobody would end the job, and it may hold a GPU.
                await self.cleanup()
                raise
        else:
            told = await self._started(launch)
        self._starts = told.starts
        return self.connection_info

    async def _started(self, launch: Launch) -> Told:
        """Waits for a node that is slow to answer as long as the job lives. Raises KernelEnded."""
        while True:
            try:
                told = await self._link.start(launch)
                break
            except NotDone as error:
                raise KernelEnded(f"its agent cannot start it: {error}") from error
            except NoAnswer as error:
                self.log.warning("Kernel %s: %s", self.kernel_id, error)
                if self._is_given_up:
                    raise KernelEnded(CANCELLED) from error
                if self._starts == 0:
                    self.trouble = UNREACHED.format(self.connection_info["ip"])
                if await self.job.is_over(ASKED):
                    raise KernelEnded(self.job.cause) from error
        self.trouble = ""
        if not told.lives:
            death = (told.death or {}).get("cause", f"ended with exit code {told.code}")
            raise KernelEnded(told.trouble or str(death))
        return told

    async def try_again(self, trouble: str) -> None:
        """This server cannot reach the kernel, which runs: returns when it is time to try again.

        Raises KernelEnded where nobody waits for it any more, or its job is over.
        """
        if trouble != self.trouble:
            self.log.warning("Kernel %s: %s", self.kernel_id, trouble)
        self.trouble = trouble
        try:
            if await self.job.is_given_up_within(AGAIN):
                raise KernelEnded(CANCELLED)
        except BaseException:
            await self.cleanup()  # see launch_kernel
            raise
        if await self.job.is_over():
            await self.bury()
            raise KernelEnded(self.job.cause)

    async def poll(self) -> int | None:
        """None while the kernel runs, as far as is known; else its exit code."""
        if self._link is None:
            return NO_CODE
        if told := self._dead():
            return NO_CODE if told.code is None else told.code
        return NO_CODE if self._link.silence() > SILENT and await self.job.is_over() else None

    async def is_over(self) -> bool:
        """Whether the kernel's job has ended, so that no other kernel is to be had there; ``job.cause`` says why."""
        return self.job is not None and await self.job.is_over()

    @property
    def link(self) -> Link | None:
        """The connection to the agent, while there is one."""
        return self._link

    @property
    def not_begun(self) -> str:
        """Why the kernel ended before it answered, in words; another one would, too. Empty where that is not so."""
        told = self._dead()
        return told.trouble if told else ""

    @property
    def ending(self) -> bool:
        """Whether the agent said that the job ends."""
        return self._link is not None and self._link.look().ending

    def _dead(self) -> Told | None:
        """What the agent said of the kernel that it was told to start last, if that is dead; asks nobody."""
        told = self._link.look() if self._link else None
        return told if told and told.starts >= self._starts and not told.lives else None

    async def wait(self) -> int | None:
        """Wait for the kernel's end. The job stays, for the next one, until :meth:`cleanup`."""
        while (code := await self.poll()) is None:  # noqa: ASYNC110 - poll asks the agent
            await asyncio.sleep(WAITED)
        return code

    async def send_signal(self, signum: int) -> None:
        """To the kernel and what it started, if it lives. Raises NoAnswer, unless the kernel is to end anyway."""
        if not self._link or not signum or self._dead():
            return
        try:
            await self._link.signal(signum)
        except NoAnswer as error:
            if not getattr(self.parent, "shutting_down", False):
                raise
            self.log.warning("Kernel %s: %s", self.kernel_id, error)

    async def kill(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """End the job, unless the kernel is started again in it; what it printed goes with it."""
        if not restart:
            await self._release()

    async def bury(self) -> None:
        """End the job of a kernel that nobody told to end: what it printed stays, for its notebook."""
        await self._release(keep=True)

    async def _release(self, keep: bool = False) -> None:
        link, self._link = self._link, None
        if self._is_let_go:
            if link:
                link.close()
            return
        if link is None:
            if self.job:
                await self.job.cancel()
        else:
            await self._end(link, keep)
            link.close()
        if self.job:
            await self.job.discard()

    async def _end(self, link: Link, keep: bool) -> None:
        try:
            if self._starts:
                await link.end(keep)
                return
        except NoAnswer as error:
            self.log.warning("Kernel %s: %s", self.kernel_id, error)
        await self.job.cancel()  # an agent that never answered would not answer now

    async def why(self) -> str:
        """Why the kernel is over, in words; empty while its job lives and nothing else is known."""
        if self.job:
            await self.job.is_over(WAITED)
        return self.job.cause if self.job else ""

    def let_go(self) -> None:
        """Whoever has the kernel ends, and it runs on in its job, for the next one to find."""
        self._is_let_go = True

    def take(self, job: KernelJob) -> None:
        """Have the kernel in this job, which an earlier Lab server asked for."""
        self.job = job

    def give_up(self) -> None:
        """Whoever waits for the kernel's job waits no longer: it is cancelled, and the start fails."""
        self._is_given_up = True
        if self.job:
            self.job.give_up()

    async def get_provisioner_info(self) -> dict[str, Any]:
        info = await super().get_provisioner_info()
        return {**info, "tag": self.job.job.tag if self.job else ""}

    def _command(self, extra: list[str]) -> list[str]:
        """The kernelspec's, with all but the connection file filled in, which is the agent's."""
        command = [*self.kernel_spec.argv, *extra]
        if command and command[0] in OWN_PYTHON:
            command[0] = sys.executable
        known = {"prefix": sys.prefix, "resource_dir": self.kernel_spec.resource_dir}
        return [
            PLACE.sub(lambda place: str(known.get(place[1], place[0])), word) for word in command
        ]

    async def _new_job(self, launch: Launch) -> KernelJob:
        """Raises Refused or NoOffer."""
        lab = self._lab
        offer = await lab.offers.get()
        public, secret = (key.decode() for key in zmq.curve_keypair())
        session = self.parent.session if self.parent else None
        order = Order(
            launch=launch,
            key=session.key.decode() if session else os.urandom(32).hex(),
            signature_scheme=session.signature_scheme if session else "hmac-sha256",
            publickey=public,
            secretkey=secret,
            kernel_name=self.parent.kernel_name if self.parent else "",
            scheduler=dict(offer.scheduler),
            peer=lab.offers.hub.host,
            idle=offer.idle_of(self.request).to_json(),
        )
        job = Job(
            tag=new_tag(KIND),
            owner=offer.person,
            kind=KIND,
            request=offer.check(self.request),
            command=(sys.executable, "-m", "shopfloor_lab.kernels.agent"),
            env=passed_on(lab.environment),
            files={ORDER: order.text()},
            title=self.kernel_spec.display_name,
        )
        asked, kept = getattr(self.parent, "asked", None), None
        if asked is not None:  # by a server, the next of which is to find it again
            name = self.parent.kernel_name
            kept = Kept(self.kernel_id, name, dict(self.request), asked, lab.me)
        return KernelJob(lab, job, order, lab.jobs.of(offer), kept)

    def _connection(self, arrival: Arrival) -> KernelConnectionInfo:
        order = self.job.order
        return {
            "transport": "tcp",
            "ip": arrival.host,
            **arrival.ports,
            "key": order.key.encode(),
            "signature_scheme": order.signature_scheme,
            "curve_publickey": order.publickey,
            "curve_secretkey": order.secretkey,
            "kernel_name": order.kernel_name,
        }
