"""The routes under ``shopfloor/api`` for the server's own job: what it is doing, and that somebody wants it."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from .session import Session

NO_JOB = {"job": None}


class _Handler(APIHandler):
    auth_resource = "shopfloor"

    def initialize(self, session: Session) -> None:
        self.session = session


class SessionHandler(_Handler):
    """GET answers what the events of ``urn:shopfloor:session`` bring afterwards."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        watch = await self.session.watch()
        self.finish(watch.describe() if watch else NO_JOB)


class KeepHandler(_Handler):
    """POST says that a person is there; where nothing is to be kept, it changes nothing."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        if watch := await self.session.watch():
            watch.keep()
        self.set_status(204)
        self.finish()


def routes() -> list[tuple[str, type[_Handler]]]:
    """Paths below ``shopfloor/api/``, and who answers there."""
    return [("session", SessionHandler), ("session/keep", KeepHandler)]
