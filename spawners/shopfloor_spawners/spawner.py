"""The spawner: a person's Jupyter server as a job, on batchspawner's base, for Slurm and one machine alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from batchspawner.batchspawner import JobStatus
from jupyterhub import orm
from jupyterhub.utils import url_path_join
from shopfloor_jobs.job import Seen, State, new_tag
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_jobs.view import View
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import object_session
from traitlets import Any as AnyTrait
from traitlets import default

from . import endings, metrics
from .cancelling import LONGEST_WAIT, cancel, discard
from .database import cannot_write
from .encrypted import Encryption, answers
from .intent import KIND, Intent, new_nonce
from .logged import about, log
from .options import StartRefused, check_form, check_options
from .progress import is_news, progress_of
from .resume import resume_soon
from .settings import Settings
from .sight import Sight
from .starting import follow, submit, url_of, wait_for_report
from .watch import Watch

CLEAN_UP_SECONDS = 30.0
STORE_AGAIN = 1.0  # seconds


class ShopfloorSpawner(Settings):
    """Starts a server as a job of the configured scheduler and waits for it to report its port.

    The job's tag and nonce, the *intent*, are committed to the hub's database before anything is submitted,
    so that a hub that is killed at any moment finds the job again instead of losing or doubling it.
    """

    request = AnyTrait(None, allow_none=True, help="The checked Request of the job.")

    owner = ""  # the person's name, kept: JupyterHub asks its database for it, which may be away
    intent: Intent | None = None
    ended_by = ""  # the person or service that stopped the server through the hub
    failure: StartRefused | None = None  # what a start failed with
    last_words: endings.LastWords | None = None  # of a job that ended before it was ready
    cancelling = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.user is not None:
            self.owner = self.user.name
        self._arrived = asyncio.Event()
        self.submission: asyncio.Task[list[str]] | None = None
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
        return self.watch.view

    @property
    def watch(self) -> Watch:
        """The hub's, of the scheduler that runs this server."""
        return Watch.of(self.scheduler_config, self.origin)

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
        self.owner = self.user.name
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
                nonce=new_nonce(),
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
            self.intent.job_id = await submit(self)
            self._clock.submitted()
            log.info("Job submitted", extra=self._about())
            self.job_id = self.intent.job_id
            await self.stored()
        await wait_for_report(self)
        url = await url_of(self)
        follow(self)
        if self._clock:
            self._clock.reported(self.seen)
        log.info("Server reported", extra=self._about(node=self.seen.node if self.seen else ""))
        return url

    def _about(self, **more: str) -> dict[str, Any]:
        assert self.intent is not None
        return about(self.intent.tag, self.owner, self.intent.job_id, **more)

    def add_poll_callback(self, callback: Any, *args: Any, **kwargs: Any) -> None:
        # JupyterHub does so once the route is there: people can reach the server now.
        super().add_poll_callback(callback, *args, **kwargs)
        if self._clock:
            self._clock.ready()

    def get_env(self) -> dict[str, str]:
        env = {**self.node_environment, **super().get_env()}
        env["SHOPFLOOR_ARRIVAL_URL"] = url_path_join(
            env["JUPYTERHUB_API_URL"], "shopfloor", "arrival"
        )
        if self.intent:
            env["SHOPFLOOR_NONCE"] = self.intent.nonce
        return {key: str(value) for key, value in env.items() if value is not None}

    async def report_or_look(self) -> bool:
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

    def arrive(self, port: int) -> bool:
        """Take the port that the job's server reported; the caller has checked token and nonce.

        Returns False, and changes nothing, if another port was reported before.
        """
        assert self.intent is not None
        if self.intent.port:
            return self.intent.port == port
        self.intent.port, self.intent.reported = port, time.time()
        try:
            self._commit()
        except SQLAlchemyError:
            self.intent.port = 0  # not stored, so not taken: the server reports again
            raise
        self._arrived.set()
        return True

    def forget_report(self) -> None:
        """What reported is no more, and the same job's next server will report."""
        assert self.intent is not None
        self.intent.port, self.intent.address = 0, ""
        self._arrived.clear()

    # Looking

    @property
    def sight(self) -> Sight:
        """The view, of this server's job alone."""
        assert self.intent is not None
        return Sight(self.view, self.owner, self.intent)

    @property
    def seen(self) -> Seen | None:
        """The job as it was seen last, for the pages: node, end, reason and cause; None where there is none."""
        if self.intent:
            self._seen = self.sight.last or self._seen
        return self._seen

    async def poll(self) -> int | None:
        """None while the job lives or nothing is known of it, else 1."""
        if self.intent is None:
            return 1
        if self.intent.port and await self.sight.waits_again():
            # Its node failed, say: what reported is gone, and the job waits for another place.
            self.forget_report()
            self.intent.resumed = True
        if self.intent.resumed and not self.intent.port and self.resumable:
            # The server waits or starts, and JupyterHub only knows running and stopped: so it is stopped with
            # its state kept, and started again, which finds the same job.
            self.will_resume = True
            resume_soon(self)
            return 1
        return 1 if await self.sight.is_gone() else None

    @property
    def is_to_resume(self) -> bool:
        """Whether this server was starting when the hub was restarted, and is not yet started again."""
        pending = bool(self.intent and self.intent.resumed and not self.intent.port)
        return pending and self.pending in (None, "check", "stop")

    async def query_job_status(self) -> JobStatus:
        """Batchspawner's question, answered from the view."""
        if self.intent is None:
            return JobStatus.NOTFOUND
        seen = await self.sight.look()
        if seen is None:
            return JobStatus.NOTFOUND if await self.sight.is_gone() else JobStatus.UNKNOWN
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
        url = await url_of(self) + self.server.base_url
        context = self.encryption and self.encryption.to_server(self.intent.tag)
        while not await answers(url_path_join(url, "api"), context):
            if await self.sight.is_gone() or await self.sight.waits_again():
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
            await self.report_or_look()

    # Ending

    async def stop(self, now: bool = False) -> None:
        """Cancel the job, and unless ``now``, wait until it is gone.

        Goes on trying in the background when the scheduler does not answer: no job is left behind.
        """
        if self.intent is None:
            return
        if self.is_being_submitted():
            assert self.submission is not None
            with suppress(SchedulerError, asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.submission), CLEAN_UP_SECONDS)
        self.cancelling = True
        intent = self.intent
        going_on = self._keep(
            cancel(
                self.view, self.owner, intent.tag, lambda: intent.job_id, self.is_being_submitted
            )
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

    def is_being_submitted(self) -> bool:
        return self.submission is not None and not self.submission.done()

    # State

    async def stored(self, change: Callable[[], None] | None = None) -> None:
        """Store the state, trying again while the database cannot be written: the job lives, and is not to be lost.

        ``change`` is what else is to be stored; it is called before each attempt, for one that fails undoes it.
        """
        while True:
            try:
                if change:
                    change()
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
                self.view.forget(self.owner, self.intent.tag)
                self._keep(discard(self.view, self.owner, self.intent.tag))
            self.intent = None
            self._arrived.clear()

    # What batchspawner asks of a subclass; answered by query_job_status above.

    def state_ispending(self) -> bool:
        return self.job_status in (State.PENDING.value, State.SUBMITTED.value, State.STARTING.value)

    def state_isrunning(self) -> bool:
        return self.job_status == State.RUNNING.value

    def state_gethost(self) -> str:
        return self.intent.address if self.intent else ""
