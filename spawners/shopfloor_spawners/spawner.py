"""The spawner: a person's Jupyter server as a job, on batchspawner's base, for Slurm and one machine alike."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from batchspawner.batchspawner import BatchSpawnerBase, JobStatus
from jupyterhub import orm
from jupyterhub.utils import url_path_join
from shopfloor_jobs.job import Job, Seen, State, new_tag
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import SchedulerError, SubmitRefused, Unreachable
from shopfloor_jobs.view import View
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import object_session
from traitlets import Any as AnyTrait
from traitlets import Bool, Callable, Dict, Float, Integer, List, Unicode, default

from . import endings, metrics
from .cancelling import LONGEST_WAIT, cancel, discard
from .database import cannot_write
from .encrypted import Encryption, answers
from .intent import Intent
from .logged import about, log
from .options import StartRefused, check_form, check_options
from .progress import is_news, progress_of
from .resume import resume_soon
from .watch import KIND, Watch

CLEAN_UP_SECONDS = 30.0
STORE_AGAIN = 1.0  # seconds
THIRTY_DAYS = 30 * 24 * 3600


class ShopfloorSpawner(BatchSpawnerBase):
    """Starts a server as a job of the configured scheduler and waits for it to report its port.

    The job's tag and nonce, the *intent*, are committed to the hub's database before anything is submitted,
    so that a hub that is killed at any moment finds the job again instead of losing or doubling it.
    """

    scheduler_config = Dict(
        help="Which scheduler runs the servers, as shopfloor_jobs.scheduler.scheduler_from reads it."
    ).tag(config=True)
    make_offer = Callable(
        help="make_offer(name, groups) returns the Offer for a person; it must not block."
    ).tag(config=True)
    make_command = Callable(
        help="make_command(request) returns the argument list that starts a server with this request."
    ).tag(config=True)
    node_environment = Dict(
        help="Environment variables for every server, such as a proxy for nodes without internet."
    ).tag(config=True)
    origin = Unicode(
        "",
        help="Hexadecimal digits, at most 8, that begin the tags of this hub's jobs and of no other hub's on the"
        " cluster; living jobs with them that no server means are cancelled. Empty: none are.",
    ).tag(config=True)
    certificates = Unicode(
        "",
        help="Directory of the certificates between login machine and nodes; empty: nothing is encrypted there.",
    ).tag(config=True)
    arrival_timeout = Float(
        300.0,
        help="Seconds that a job may run before its server has reported its port; the queue does not count.",
    ).tag(config=True)
    resumable = Bool(
        True,
        help="Whether a hub that was restarted goes on waiting for servers that were starting.",
    ).tag(config=True)

    # Waiting in a queue is no failure, one person's failures are not the hub's, and nothing of the hub's own
    # environment is anybody's business.
    start_timeout = Integer(THIRTY_DAYS, help="Bound on queue and start together.").tag(config=True)
    consecutive_failure_limit = Integer(0, help="The hub does not end itself.").tag(config=True)
    env_keep = List([], help="Nothing of the hub's environment is passed on.").tag(config=True)

    request = AnyTrait(None, allow_none=True, help="The checked Request of the job.")

    intent: Intent | None = None
    ended_by = ""  # the person or service that stopped the server through the hub
    failure: StartRefused | None = None  # what a start failed with
    last_words: endings.LastWords | None = None  # of a job that ended before it was ready
    cancelling = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._arrived = asyncio.Event()
        self._submission: asyncio.Task[list[str]] | None = None
        self._clock: metrics.StartClock | None = None
        self._seen: Seen | None = (
            None  # kept when the job is forgotten, so that its end can be told
        )

    @default("options_from_form")
    def _checked_form(self) -> Any:
        def options_from_checked_form(form: Mapping[str, list[str]]) -> dict[str, Any]:
            return check_form(self.offer, form)

        return options_from_checked_form

    @default("apply_user_options")
    def _options_are_applied_by_start(self) -> Any:
        # Without a hook JupyterHub warns at every start that the options were not handled.
        return lambda spawner, options: None

    @property
    def view(self) -> View:
        """The hub's: however many wait, one look answers them."""
        return Watch.of(self.scheduler_config, self.origin).view

    @property
    def encryption(self) -> Encryption | None:
        return Encryption.of(self.certificates) if self.certificates else None

    async def create_certs(self) -> dict[str, str]:
        """None here: each job gets a pair of its own when it is submitted, with its environment."""
        return {}

    def offer(self) -> Offer:
        """What this server's owner may ask for."""
        return self.make_offer(self.user.name, [group.name for group in self.user.orm_user.groups])

    # Starting

    async def start(self) -> str:
        """Ensure the job, wait for its server to report, and return the server's URL.

        Raises :class:`StartRefused` with the scheduler's own words when it will not run the job.
        """
        self.ended_by, self.failure, self.cancelling = "", None, False
        try:
            return await self._start()
        except StartRefused as failure:
            self.failure = failure
            raise

    async def _start(self) -> str:
        if self.intent and self.intent.resumed:
            self.intent.resumed = False
            self.will_resume = False
            self.api_token = self.intent.api_token
            self.request = self.intent.request
        else:
            self.request = check_options(self.offer, self.user_options)
            self.intent = Intent(
                tag=new_tag(KIND, self.origin),
                nonce=secrets.token_urlsafe(24),
                api_token=self.api_token,
                request=self.request,
            )
            try:
                self._commit()
            except SQLAlchemyError as error:
                self.intent = None
                raise StartRefused(cannot_write(error), "database", status=503) from error
        if not self.intent.job_id:
            self._clock = metrics.StartClock()
            self.intent.job_id = await self._submit()
            self._clock.submitted()
            log.info("Job submitted", extra=self._about())
            self.job_id = self.intent.job_id
            await self._stored()
        await self._wait_for_arrival()
        url = await self._url_of_arrived()
        if self._clock:
            self._clock.reported(self.seen)
        log.info("Server reported", extra=self._about(node=self.seen.node if self.seen else ""))
        return url

    def _about(self, **more: str) -> dict[str, Any]:
        assert self.intent is not None
        return about(self.intent.tag, self.user.name, self.intent.job_id, **more)

    def add_poll_callback(self, callback: Any, *args: Any, **kwargs: Any) -> None:
        # JupyterHub does so once the route is there: people can reach the server now.
        super().add_poll_callback(callback, *args, **kwargs)
        if self._clock:
            self._clock.ready()

    async def _submit(self) -> str:
        # In a task of its own: cancelling the start must not cut sbatch off, whose answer stop() needs.
        try:
            job = await self._job()
            self._submission = asyncio.create_task(self.view.scheduler.submit(job))
            return (await asyncio.shield(self._submission))[0]
        except SubmitRefused as error:
            raise StartRefused(f"The job was not accepted: {error}", "refused") from error
        except SchedulerError as error:
            message = f"Nothing could be started, for the scheduler does not answer: {error}"
            raise StartRefused(message, "unreachable", status=503) from error

    async def _job(self) -> Job:
        assert self.intent is not None
        files: dict[str, str] = {}
        if self.encryption:
            files = await self.encryption.for_job(self.intent.tag, self.intent.request.time)
        return Job(
            tag=self.intent.tag,
            owner=self.user.name,
            kind=KIND,
            request=self.intent.request,
            command=tuple(self.make_command(self.intent.request)),
            secrets=self.get_env(),
            files=files,
            title=self.name,
        )

    def get_env(self) -> dict[str, str]:
        env = {**self.node_environment, **super().get_env()}
        env["SHOPFLOOR_ARRIVAL_URL"] = url_path_join(
            env["JUPYTERHUB_API_URL"], "shopfloor", "arrival"
        )
        if self.intent:
            env["SHOPFLOOR_NONCE"] = self.intent.nonce
        return {key: str(value) for key, value in env.items() if value is not None}

    async def _wait_for_arrival(self) -> None:
        running_since = None
        self.view.hurry()
        while not await self._arrival_or_look():
            seen = await self._look()
            if await self._is_gone():
                raise await self._ended(seen)
            if seen is None or seen.state is not State.RUNNING:
                running_since = None
                continue
            if running_since is None:
                running_since = time.monotonic()
                self.view.hurry()  # what fails fails soon
            if time.monotonic() - running_since > self.arrival_timeout:
                message = (
                    f"The job runs on {seen.node}, but its server did not report within "
                    f"{self.arrival_timeout:g} s."
                )
                raise StartRefused(message, "no_report", status=500)

    async def _arrival_or_look(self) -> bool:
        """Wait for the server's report or the view's next look, whichever comes first; whether it reported."""
        if self.intent and self.intent.port:
            return True
        events = [
            asyncio.ensure_future(self._arrived.wait()),
            asyncio.ensure_future(self.view.change(LONGEST_WAIT)),
        ]
        try:
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
        return self._arrived.is_set()

    async def _url_of_arrived(self) -> str:
        assert self.intent is not None
        seen = await self._look()
        while not self.intent.address:
            if seen and seen.state is State.RUNNING and seen.address:
                self.intent.address = seen.address
            elif await self._is_gone():
                raise await self._ended(seen)
            else:
                seen = await self._look(max_age=0)
        await self._stored()
        self.ip, self.port = self.intent.address, self.intent.port
        address = f"{self.intent.address}:{self.intent.port}"
        if self.encryption is None:
            return f"http://{address}"
        self.encryption.expect(self.server, self.intent.tag)
        return f"https://{address}"

    def arrive(self, port: int) -> bool:
        """Take the port that the job's server reported; the caller has checked token and nonce.

        Returns False, and changes nothing, if another port was reported before.
        """
        assert self.intent is not None
        if self.intent.port:
            return self.intent.port == port
        self.intent.port = port
        try:
            self._commit()
        except SQLAlchemyError:
            self.intent.port = 0  # not stored, so not taken: the server reports again
            raise
        self._arrived.set()
        return True

    # Looking

    async def _look(self, max_age: float | None = None) -> Seen | None:
        assert self.intent is not None
        with suppress(Unreachable):
            return await self.view.job(self.user.name, self.intent.tag, max_age)
        return self.view.last_known(self.user.name, self.intent.tag)

    @property
    def seen(self) -> Seen | None:
        """The job as it was seen last, for the pages: node, end, reason and cause; None where there is none."""
        if self.intent:
            self._seen = self.view.last_known(self.user.name, self.intent.tag) or self._seen
        return self._seen

    async def _is_gone(self) -> bool:
        assert self.intent is not None
        return await self.view.is_gone(self.user.name, self.intent.tag, None)

    def job_has_changed(self) -> bool:
        """Whether the view shows that a server that was ready is so no more."""
        assert self.intent is not None
        seen = self.view.last_known(self.user.name, self.intent.tag)
        waits = seen is not None and seen.state is State.PENDING
        return waits or self.view.was_gone(self.user.name, self.intent.tag)

    async def poll(self) -> int | None:
        """None while the job lives or nothing is known of it, else 1."""
        if self.intent is None:
            return 1
        if self.intent.port and await self._waits_again():
            # Its node failed, say: what reported is gone, and the job waits for another place.
            self.intent.port, self.intent.address, self.intent.resumed = 0, "", True
        if self.intent.resumed and not self.intent.port and self.resumable:
            # The server waits or starts, and JupyterHub only knows running and stopped: so it is stopped with
            # its state kept, and started again, which finds the same job.
            self.will_resume = True
            resume_soon(self)
            return 1
        return 1 if await self._is_gone() else None

    @property
    def is_to_resume(self) -> bool:
        """Whether this server was starting when the hub was restarted, and is not yet started again."""
        pending = bool(self.intent and self.intent.resumed and not self.intent.port)
        return pending and self.pending in (None, "check", "stop")

    async def _waits_again(self) -> bool:
        if not (self.intent and self.intent.address):
            return False  # what was not yet seen to run waited when it was seen last: it has just reported
        seen = await self._look()
        return seen is not None and seen.state is State.PENDING

    async def query_job_status(self) -> JobStatus:
        """Batchspawner's question, answered from the view."""
        if self.intent is None:
            return JobStatus.NOTFOUND
        seen = await self._look()
        if seen is None:
            return JobStatus.NOTFOUND if await self._is_gone() else JobStatus.UNKNOWN
        self.job_status = seen.state.value
        if seen.state is State.RUNNING:
            return JobStatus.RUNNING
        return JobStatus.PENDING if seen.alive else JobStatus.NOTFOUND

    async def get_url(self) -> str:
        """Where the server is, as it reported; after a restart of the hub, once it answers.

        A busy server must not be taken for a dead one: a single failed attempt of JupyterHub's would cancel
        the job. So this holds until the server accepts a connection or its job has ended for certain.
        """
        if self.intent is None or not self.intent.port:
            return await super().get_url()
        url = await self._url_of_arrived() + self.server.base_url
        context = self.encryption and self.encryption.to_server(self.intent.tag)
        while not await answers(url_path_join(url, "api"), context):
            if await self._is_gone() or await self._waits_again():
                self.http_timeout = 1  # nothing answers there, so JupyterHub need not wait for it
                break
            await self.view.change(1)
        return url

    async def end_check(self) -> None:
        """End the check after a restart of the hub, for the person wants the server stopped, not waited for.

        With its job gone the check finds that nothing answers, and JupyterHub stops the server in its own way.
        """
        self.http_timeout = 1
        await self.stop()
        while self.pending == "check":  # noqa: ASYNC110 - JupyterHub tells nobody when it ends
            await asyncio.sleep(0.1)

    async def give_up(self) -> None:
        """Do not go on with a server that waits to be started again: cancel its job and forget it."""
        await self.stop(now=True)
        token = self.intent.api_token if self.intent else ""
        self.will_resume, self.intent = False, None
        session = object_session(self.orm_spawner)
        if token and (found := orm.APIToken.find(session, token)) is not None:
            session.delete(found)
        self._commit()

    async def progress(self) -> AsyncGenerator[dict[str, Any], None]:
        """Events for the waiting page, one for each change."""
        last = None
        while True:
            event = progress_of(self)
            if is_news(event, last):
                yield event
            if event["stage"] == "ready":
                return
            last = event
            await self._arrival_or_look()

    # Ending

    async def stop(self, now: bool = False) -> None:
        """Cancel the job, and unless ``now``, wait until it is gone.

        Goes on trying in the background when the scheduler does not answer: no job is left behind.
        """
        if self.intent is None:
            return
        if self._submission_is_open():
            assert self._submission is not None
            with suppress(SchedulerError, asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._submission), CLEAN_UP_SECONDS)
        self.cancelling = True
        going_on = self._keep(
            cancel(self.view, self.user.name, self.intent, self._submission_is_open)
        )
        if not now:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(going_on), CLEAN_UP_SECONDS)

    _background: ClassVar[set[asyncio.Task[None]]] = set()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _submission_is_open(self) -> bool:
        return self._submission is not None and not self._submission.done()

    async def _ended(self, seen: Seen | None) -> StartRefused:
        """The failure of a start whose job has ended; from the second line on, the last lines that it wrote."""
        ending = await endings.why(self, seen)
        return StartRefused(f"{ending.text()}\n{ending.log}", "ended", status=500)

    # State

    async def _stored(self) -> None:
        """Store the state, trying again while the database cannot be written: the job lives, and is not to be lost."""
        while True:
            try:
                return self._commit()
            except SQLAlchemyError as error:
                self.log.warning("The state of %s is not stored yet: %s", self._log_name, error)
            await asyncio.sleep(STORE_AGAIN)

    def _commit(self) -> None:
        session = object_session(self.orm_spawner)
        try:
            self.orm_spawner.state = self.get_state()
            session.commit()
        except SQLAlchemyError:
            session.rollback()  # or nobody else can use the session any more
            raise

    def get_state(self) -> dict[str, Any]:
        state = {**super().get_state(), **endings.kept(self.orm_spawner)}
        if self.intent:
            state["shopfloor"] = self.intent.to_json()
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        if "shopfloor" in state:
            self.intent = Intent.from_json(state["shopfloor"])
            self.intent.resumed = True
            self.request = self.intent.request
            self.api_token = self.intent.api_token  # so that a later stop revokes it

    def clear_state(self) -> None:
        """Forget the job, unless it is still starting and the hub means to go on waiting for it."""
        super().clear_state()
        self._seen = self.seen
        if not (self.intent and self.intent.resumed and not self.intent.port):
            if self.intent:
                endings.tell(self)
            if self.intent and not self.cancelling:
                self.view.forget(self.user.name, self.intent.tag)
                self._keep(discard(self.view, self.user.name, self.intent.tag))
            self.intent = None
            self._arrived.clear()

    # What batchspawner asks of a subclass; answered by query_job_status above.

    def state_ispending(self) -> bool:
        return self.job_status in (State.PENDING.value, State.SUBMITTED.value, State.STARTING.value)

    def state_isrunning(self) -> bool:
        return self.job_status == State.RUNNING.value

    def state_gethost(self) -> str:
        return self.intent.address if self.intent else ""
