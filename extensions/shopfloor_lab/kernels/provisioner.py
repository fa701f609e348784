"""What jupyter_client calls for a kernel that is a job: asks for the job, waits for its agent, steers it.

Start, signal and restart are the agent's (link.py), so that they need no scheduler once the job runs; whether the job
lives is the view's to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from shopfloor_jobs import directory
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.scheduler import Scheduler, SchedulerError, scheduler_from
from shopfloor_jobs.view import View
from shopfloor_jobs.within import set_within
from traitlets import Dict

from shopfloor_lab.environment import passed_on
from shopfloor_lab.jobs import HubJobs
from shopfloor_lab.offer import Offers

from .link import Link, NoAnswer, NotDone, Told
from .order import KIND, ORDER, Arrival, Launch, Order

ARRIVES = (0.02, 0.5)  # seconds between looks for the agent, the first and the longest
# Seconds between questions whether a job that is waited for still lives: at first, and after a minute.
ASKED, SELDOM = 1.0, 6.0
SILENT = 7.0  # seconds without an answer of the agent after which the scheduler is asked whether the job still lives
LOOKED = 5.0  # seconds for which one look at the jobs serves
WAITED = 0.1  # seconds between looks for the end of a kernel
CANCELLED, ENDED = "You cancelled it.", "It ended."
NO_CODE = 1  # an exit code for a kernel of which nobody knows one
# Which notebook it is for. Not every JPY_…: one of them is the hub's token.
NAMED = ("JPY_SESSION_NAME",)
OWN_PYTHON = ("python", "python3", f"python3.{sys.version_info[1]}")  # as jupyter_client has it
PLACE = re.compile(r"\{([A-Za-z0-9_]+)\}")


class KernelEnded(RuntimeError):
    """The kernel's job is over; the text is why."""


class JobProvisioner(KernelProvisionerBase):
    """A kernel that runs as a job of its own, with what ``request`` asks of the person's offer."""

    request: Any = Dict(
        help="""What the kernel's job asks for: ``{"preset": "gpu", "time": "2h"}``, as in the start form.
        What is left out comes from the site's first preset.""",
        config=True,
    )

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.cause = ""  # why the kernel is over, in words
        self._home, self._environment = Path.home(), dict(os.environ)
        self._offers = Offers(self._home, self._environment)
        self._order: Order | None = None
        self._job: Job | None = None
        self._link: Link | None = None
        self._scheduler: Scheduler | None = None
        self._view: View | None = None
        self._starts = 0
        self._given_up = asyncio.Event()

    @property
    def has_process(self) -> bool:
        return self._link is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """See the base class; the environment is what a job of ours gets, and what the kernelspec sets."""
        given = dict(kwargs.pop("env", None) or {})
        named = {name: given[name] for name in NAMED if name in given}
        extra = kwargs.pop("extra_arguments", [])
        kwargs.pop("transport_encryption", None)  # it is always encrypted
        environment = {**passed_on({**self._environment, **given}), **named}
        return await super().pre_launch(cmd=self._command(extra), env=environment, **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel in its job, which is asked for where there is none; waits as long as that waits.

        Raises Refused (the request), NoOffer, SchedulerError or KernelEnded.
        """
        launch = Launch(cmd, dict(kwargs.get("env") or {}), str(kwargs.get("cwd") or ""))
        if self._link is None:
            try:
                await self._submit(launch)
                self._link = Link(self._order, await self._arrived())
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
                if await self._is_over(ASKED):
                    raise KernelEnded(f"its job is over: {self.cause or ENDED}") from error
        if not told.lives:
            raise KernelEnded(told.trouble or f"the kernel ended with exit code {told.code}")
        return told

    async def poll(self) -> int | None:
        """None while the kernel runs, as far as is known; else its exit code, and ``cause`` says why."""
        if self._link is None:
            return NO_CODE
        if told := self._dead():
            return NO_CODE if told.code is None else told.code
        return NO_CODE if self._link.silence() > SILENT and await self._is_over() else None

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
        """End the job, unless the kernel is started again in it."""
        if restart:
            return
        link, self._link = self._link, None
        if link:
            try:
                await link.end()
            except NoAnswer:
                await self._cancel()
            link.close()
        elif self._job:
            await self._cancel()
        if self._job:
            # One that was told to end keeps them, for it might have been told to start again.
            with contextlib.suppress(OSError):
                await asyncio.to_thread(directory.discard, self._directory())

    async def why(self) -> str:
        """Why the kernel is over, in words; empty while its job lives and nothing else is known."""
        if not self.cause and self._job:
            await self._is_over(WAITED)
        return self.cause

    def give_up(self) -> None:
        """Whoever waits for the kernel's job waits no longer: it is cancelled, and the start fails."""
        self._given_up.set()

    async def get_provisioner_info(self) -> dict[str, Any]:
        info = await super().get_provisioner_info()
        return {**info, "tag": self._job.tag if self._job else ""}

    def _command(self, extra: list[str]) -> list[str]:
        """The kernelspec's, with all but the connection file filled in, which is the agent's."""
        command = [*self.kernel_spec.argv, *extra]
        if command and command[0] in OWN_PYTHON:
            command[0] = sys.executable
        known = {"prefix": sys.prefix, "resource_dir": self.kernel_spec.resource_dir}
        return [
            PLACE.sub(lambda place: str(known.get(place[1], place[0])), word) for word in command
        ]

    async def _submit(self, launch: Launch) -> None:
        offer = await self._offers.get()
        public, secret = (key.decode() for key in zmq.curve_keypair())
        session = self.parent.session if self.parent else None
        self._order = Order(
            launch=launch,
            key=session.key.decode() if session else os.urandom(32).hex(),
            signature_scheme=session.signature_scheme if session else "hmac-sha256",
            publickey=public,
            secretkey=secret,
            kernel_name=self.parent.kernel_name if self.parent else "",
            scheduler=dict(offer.scheduler),
            peer=self._offers.hub.host,
        )
        job = Job(
            tag=new_tag(KIND),
            owner=offer.person,
            kind=KIND,
            request=offer.check(self.request),
            command=(sys.executable, "-m", "shopfloor_lab.kernels.agent"),
            env=passed_on(self._environment),
            files={ORDER: self._order.text()},
            title=self.kernel_spec.display_name,
        )
        self._scheduler = scheduler_from(offer.scheduler)
        self._view = View(HubJobs(self._offers.hub, self._scheduler))
        self._job = job
        submitting = asyncio.ensure_future(self._scheduler.submit(job))
        try:
            await asyncio.shield(submitting)
        except asyncio.CancelledError:
            # It goes on in its thread, so that only afterwards there is something to cancel.
            await asyncio.wait({submitting})
            raise

    async def _arrived(self) -> Arrival:
        """Where the agent listens, once it does. Raises KernelEnded."""
        path = self._directory()
        pause, longest = ARRIVES
        began = asked_at = time.monotonic()
        while True:
            arrival = await asyncio.to_thread(_look_for, path)
            if arrival is not None:
                self.connection_info = self._connection(arrival)
                return arrival
            now = time.monotonic()
            if now - asked_at > min(SELDOM, max(ASKED, (now - began) / 10)):
                if await self._is_over(ASKED):
                    raise KernelEnded(self.cause or ENDED)
                asked_at = time.monotonic()
            if await set_within(self._given_up, pause):
                raise KernelEnded(CANCELLED)
            pause = min(longest, pause * 1.2)

    def _connection(self, arrival: Arrival) -> KernelConnectionInfo:
        order = self._order
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

    async def _is_over(self, max_age: float = LOOKED) -> bool:
        """Whether the job has ended for certain; then ``cause`` says why. Unknown is not dead."""
        tag, owner = self._job.tag, self._job.owner
        if not await self._view.is_gone(owner, tag, max_age):
            return False
        seen = self._view.last_known(owner, tag)
        record = await asyncio.to_thread(directory.exit_record, self._directory())
        self.cause = str((record or {}).get("cause") or (seen.cause if seen else ""))
        return True

    async def _cancel(self) -> None:
        try:
            seen = await self._scheduler.look()
            job = self._job
            ids = [
                one.id
                for one in seen
                if one.alive and one.tag == job.tag and one.owner == job.owner
            ]
            if ids:
                await self._scheduler.cancel(self._job.owner, ids)
        except SchedulerError as error:
            self.log.warning("The job of kernel %s may still run: %s", self.kernel_id, error)

    def _directory(self) -> Path:
        return directory.directory_of(self._home, self._job.tag)


def _look_for(path: Path) -> Arrival | None:
    # On NFS a file that was not there is not seen for half a minute, unless its directory is opened.
    with contextlib.suppress(FileNotFoundError), os.scandir(path):
        return Arrival.read(path)
    return None
