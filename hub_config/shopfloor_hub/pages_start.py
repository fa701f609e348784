"""The route that starts JupyterLab: JupyterHub's own, except that a GET only ever shows the form (see form.py)."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import format_exception, maybe_future, url_escape_path, url_path_join
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.request import FIELDS
from tornado import web
from tornado.httputil import url_concat

from . import form


class StartHandler(SpawnHandler):
    """``GET`` shows the form, filled in from the query; ``POST`` starts.

    JupyterHub starts a server for a GET that carries options, or where there is no form, and a GET needs no
    XSRF token: any web page could start jobs for whoever visits it.
    """

    failure: web.HTTPError | None = None

    def _get_user_options(self, query_options: dict[str, list[str]]) -> dict[str, list[str]]:
        return {}

    async def _wrap_spawn_single_user(self, *args: Any, **kwargs: Any) -> None:
        if self.request.method != "POST":
            self.redirect(url_path_join(self.hub.base_url, "home"))
            return
        try:
            await super()._wrap_spawn_single_user(*args, **kwargs)
        except web.HTTPError as failure:
            self.failure = failure
            raise

    @needs_scope("servers")
    async def _post(self, user_name: str, server_name: str, display_name: str) -> None:
        # The token was checked before; left in the body it would be taken for an option.
        self.request.body_arguments.pop("_xsrf", None)
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user else None
        if spawner is not None and spawner.active:
            # A double click, or a second tab: both want what is there already.
            ready_url = self.get_next_url(user, default=user.server_url(server_name))
            self.redirect(ready_url if spawner.ready else self._get_pending_url(user, server_name))
            return
        await super()._post(user_name=user_name, server_name=server_name, display_name=display_name)

    async def _render_form(
        self,
        for_user: Any,
        spawner_options_form: str,
        message: str | None = "",
        html_message: str | None = "",
    ) -> str:
        refusal = refused(self.failure)
        if message and self.get_status() == 200:
            self.set_status(500)
        prefill = self._prefill()
        if prefill or refusal:
            offer = await maybe_future(for_user.spawner.offer())
            spawner_options_form = form.render(offer, prefill, refusal)
        return await self.render_template(
            "spawn.html",
            for_user=for_user,
            auth_state=await for_user.get_auth_state(),
            spawner_options_form=spawner_options_form,
            failed=bool(message or html_message),
            refusal=refusal,
            refused_field=FIELDS.get(refusal.field) if refusal else None,
            error_message=self._explain(message),
            url=self._start_url(for_user),
            spawner=for_user.spawner,
        )

    def _prefill(self) -> dict[str, str]:
        given = self.request.query_arguments
        if self.request.method == "POST":
            given = self.request.body_arguments
        values = {}
        for key, texts in given.items():
            # JupyterHub 6 writes options in a link with this prefix, older links do without.
            name = key.removeprefix("opt-")
            if name == "preset" or name in FIELDS:
                values[name] = texts[0].decode("utf8", "replace")
        return values

    def _explain(self, message: str | None) -> str | None:
        """The text that was written for the person, None where there is none."""
        if not message or self.get_status() >= 500:
            return format_exception(self.failure, only_jupyterhub=True)[0]
        if isinstance(self.failure, web.HTTPError):
            own = format_exception(self.failure, only_jupyterhub=True)[0]
            return own or self.failure.get_message()
        return message

    def _start_url(self, for_user: Any) -> str:
        parts = [for_user.escaped_name]
        if server_name := self.path_args[1] if len(self.path_args) > 1 else "":
            parts.append(url_escape_path(server_name))
        url = url_path_join(self.hub.base_url, "spawn", *parts)
        following = self.get_argument("next", "")
        return url_concat(url, {"next": following}) if following else url


def refused(failure: BaseException | None) -> Refused | None:
    """The refusal that a failure was raised from, if it was."""
    while failure is not None and not isinstance(failure, Refused):
        failure = failure.__cause__
    return failure
