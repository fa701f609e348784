"""Stopping by a page's buttons, without scripts too: a server, after a question about its kernels, or another job."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from jupyterhub.utils import url_path_join
from shopfloor_jobs.job import TAG
from shopfloor_jobs.scheduler import Unreachable
from shopfloor_spawners.alongside import Alongside
from shopfloor_spawners.handlers import stop_server
from shopfloor_spawners.jobs_handler import STOP_SECONDS
from tornado import web

KEEP, STOP = "keep", "stop"


class _StopPage(BaseHandler):
    """Whoever may stop a person's servers may stop what runs beside them."""

    def _person(self, name: str) -> User:
        person = self.find_user(name)
        if person is None:
            raise web.HTTPError(404)
        return person

    def _home(self) -> None:
        self.redirect(url_path_join(self.hub.base_url, "home"))


class StopServerHandler(_StopPage):
    """``GET`` asks, ``POST`` stops; with kernels that run on, only once ``kernels`` says ``keep`` or ``stop``.

    They are the person's, whichever server they were started from.
    """

    @web.authenticated
    async def get(self, user_name: str, name: str = "") -> None:
        await self._ask(user_name=user_name, name=name)

    @web.authenticated
    async def post(self, user_name: str, name: str = "") -> None:
        await self._stop(user_name=user_name, name=name)

    @needs_scope("delete:servers")
    async def _ask(self, user_name: str, name: str) -> None:
        person = self._person(user_name)
        spawner = self._spawner(person, name)
        if spawner is None:
            self._home()
            return
        alongside = person.spawner.watch.alongside
        await alongside.look()
        kernels = len(alongside.kernels(person.name))
        # Not "user": what the page's frame says is meant for whoever looks at it.
        page = await self.render_template(
            "stop.html", person=person, spawner=spawner, kernels=kernels, url=self.request.path
        )
        self.finish(page)

    @needs_scope("delete:servers")
    async def _stop(self, user_name: str, name: str) -> None:
        person = self._person(user_name)
        answer = self.get_body_argument("kernels", "")
        spawner = self._spawner(person, name)
        alongside: Alongside = person.spawner.watch.alongside
        await alongside.look()
        kernels = alongside.kernels(person.name)
        ready = spawner is not None and spawner.ready
        if kernels and ready and answer not in (KEEP, STOP):
            self.redirect(self.request.path)
            return
        if answer == STOP:
            for one in kernels:
                await alongside.stop(person.name, one)
        if spawner is not None:
            await stop_server(self, person, name)
        self._home()

    def _spawner(self, person: User, name: str) -> Any:
        """The living server; None where there is nothing to stop."""
        spawner = person.spawners[name] if name in person.orm_spawners else None
        return spawner if spawner and (spawner.active or spawner.is_to_resume) else None


class StopJobHandler(_StopPage):
    """``POST`` ends a kernel or a Dask cluster; one that is gone is what was wanted."""

    @web.authenticated
    async def post(self, user_name: str, tag: str) -> None:
        await self._stop(user_name=user_name, tag=tag)

    @needs_scope("delete:servers")
    async def _stop(self, user_name: str, tag: str) -> None:
        person = self._person(user_name)
        alongside = person.spawner.watch.alongside
        try:
            found = await alongside.find(person.name, tag)
        except Unreachable as error:
            raise web.HTTPError(503, f"The scheduler does not answer: {error}") from error
        if found is not None:
            await alongside.stop(person.name, found, STOP_SECONDS)
        elif not alongside.view.last_known(person.name, tag):
            raise web.HTTPError(404)
        self._home()


ROUTES = [
    (rf"/shopfloor/stop/([^/]+)/jobs/({TAG.pattern})", StopJobHandler),
    (r"/shopfloor/stop/([^/]+)", StopServerHandler),
    (r"/shopfloor/stop/([^/]+)/([^/]+)", StopServerHandler),
]
