"""The route that starts JupyterLab: JupyterHub's own, but a GET only ever shows the form, which form.py renders."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import format_exception, url_escape_path, url_path_join
from shopfloor_jobs.fields import Refused, shorten
from shopfloor_jobs.request import FIELDS
from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_spawners.database import cannot_write
from sqlalchemy.exc import SQLAlchemyError
from tornado import web
from tornado.httputil import url_concat

from . import form

STOP_SECONDS = 30.0  # that a page waits for a stop before it shows that one is under way


class StartHandler(SpawnHandler):
    """``GET`` shows the form, filled in from the query; ``POST`` starts.

    JupyterHub starts a server for a GET that carries options, or where there is no form, and a GET needs no
    XSRF token: any web page could start jobs for whoever visits it.
    """

    def _get_user_options(self, query_options: dict[str, list[str]]) -> dict[str, list[str]]:
        return {}

    async def _wrap_spawn_single_user(self, *args: Any, **kwargs: Any) -> None:
        if self.request.method != "POST":
            # There is no form while the scheduler does not answer; the home page says so.
            self.redirect(url_path_join(self.hub.base_url, "home"))
            return
        await super()._wrap_spawn_single_user(*args, **kwargs)

    @needs_scope("servers")
    async def _get(self, user_name: str, server_name: str, display_name: str) -> None:
        await self._until_stopped(user_name, server_name)
        await super()._get(user_name=user_name, server_name=server_name, display_name=display_name)

    @needs_scope("servers")
    async def _post(self, user_name: str, server_name: str, display_name: str) -> None:
        await self._until_stopped(user_name, server_name)
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user else None
        if spawner is not None and spawner.active:
            # A double click, or a second tab: both want what is there already.
            ready_url = self.get_next_url(user, default=user.server_url(server_name))
            pending_url = self._get_pending_url(user, server_name)
            self.redirect(ready_url if spawner.ready else pending_url)
            return
        await super()._post(user_name=user_name, server_name=server_name, display_name=display_name)

    async def _until_stopped(self, user_name: str, server_name: str) -> None:
        """Wait for a stop that is under way: whoever asks again means what comes after it, and only that."""
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user else None
        if spawner is not None and spawner.pending == "stop" and spawner._stop_future:
            await asyncio.wait([spawner._stop_future], timeout=STOP_SECONDS)

    async def _render_form(
        self,
        for_user: Any,
        spawner_options_form: str,
        message: str | None = "",
        html_message: str | None = "",
    ) -> str:
        # JupyterHub renders the form again while it handles what went wrong, and hands over only its text.
        failure = sys.exc_info()[1]
        if isinstance(failure, SQLAlchemyError):
            self.db.rollback()
        refusal = refused(failure)
        if failure is not None:
            self.set_status(status_of(failure))
        prefill = self._prefill()
        if prefill or refusal:
            spawner_options_form = await form.options_form(for_user.spawner, prefill, refusal)
        return await self.render_template(
            "spawn.html",
            for_user=for_user,
            auth_state=await for_user.get_auth_state(),
            spawner_options_form=spawner_options_form,
            failed=failure is not None,
            refusal=refusal,
            refused_field=FIELDS.get(refusal.field) if refusal else None,
            refused_value=_value(refusal) if refusal else None,
            error_message=explain(failure) if failure else None,
            url=self._start_url(for_user),
            spawner=for_user.spawner,
        )

    def _prefill(self) -> dict[str, str]:
        posted = self.request.method == "POST"
        given = self.request.body_arguments if posted else self.request.query_arguments
        values = {}
        for key, texts in given.items():
            # JupyterHub 6 writes options in a link with this prefix, older links do without.
            name = key.removeprefix("opt-")
            if name == "preset" or name in FIELDS:
                values[name] = texts[0].decode("utf8", "replace")
        return values

    def _start_url(self, for_user: Any) -> str:
        _, server_name = (*self.path_args, None, None)[:2]
        url = url_path_join(
            self.hub.base_url, "spawn", for_user.escaped_name, url_escape_path(server_name or "")
        )
        following = self.get_argument("next", "")
        return url_concat(url, {"next": following}) if following else url


def refused(failure: BaseException | None) -> Refused | None:
    """The refusal that a failure is or was raised from, if there is one."""
    while failure is not None and not isinstance(failure, Refused):
        failure = failure.__cause__
    return failure


def status_of(failure: BaseException) -> int:
    """The HTTP status that says whose turn it is: the person's, the scheduler's or ours."""
    if isinstance(failure, web.HTTPError):
        return failure.status_code
    if isinstance(failure, Refused):
        return 400
    return 503 if isinstance(failure, SchedulerError | SQLAlchemyError) else 500


def explain(failure: BaseException) -> str | None:
    """The text that was written for the person, None where there is none."""
    if isinstance(failure, SchedulerError):
        return str(failure)
    if isinstance(failure, SQLAlchemyError):
        return cannot_write(failure)
    written, _ = format_exception(failure, only_jupyterhub=True)
    if not written and isinstance(failure, web.HTTPError) and failure.status_code < 500:
        return failure.get_message()
    return written


def _value(refusal: Refused) -> str:
    row = FIELDS.get(refusal.field)
    # The offer refuses what was read already: bytes and seconds, which nobody typed.
    if row is not None and isinstance(refusal.value, int) and refusal.value >= 0:
        return row.show(refusal.value)
    return shorten(refusal.value)
