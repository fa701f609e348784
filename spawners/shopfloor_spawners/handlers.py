"""The hub's API for jobs: a server reports its port; options over REST are checked before anything is stored."""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyterhub import apihandlers
from jupyterhub.apihandlers import APIHandler
from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from tornado import web

from . import access_handler, jobs_handler, notes_handler
from .options import check_options
from .resume import RESUMED_TAG, tag_of

if TYPE_CHECKING:
    from .spawner import ShopfloorSpawner

PORTS = range(1024, 65536)
REPORT_KEYS = {"port", "nonce"}
REPORT_LIMIT = 1024  # bytes


class ArrivalHandler(APIHandler):
    """``POST /hub/api/shopfloor/arrival`` with ``{"port": 40123, "nonce": "…"}`` and the job's own token.

    The first report of a server counts; the same again is answered 200 (a crash may lie between), any other
    409. Nothing but the port can be told, and only for the server that the token was made for.
    """

    def post(self) -> None:
        spawner = self._spawner()
        port = self._port(spawner)
        if not spawner.arrive(port):
            raise web.HTTPError(409, "port: another one was reported for this server before")
        self.write({"port": port})

    def _spawner(self) -> ShopfloorSpawner:
        token = self.get_auth_token()
        user = self.current_user
        if not token or user is None or not hasattr(user, "spawners"):
            raise web.HTTPError(403, "the token of a server is needed")
        for spawner in user.spawners.values():
            intent = getattr(spawner, "intent", None)
            if intent and not intent.resumed and _same(token, intent.api_token):
                return spawner
        raise web.HTTPError(404, "no server is starting with this token")

    def _port(self, spawner: ShopfloorSpawner) -> int:
        if len(self.request.body) > REPORT_LIMIT:
            raise web.HTTPError(413, f"the report is longer than {REPORT_LIMIT} bytes")
        report = self.get_json_body()
        if not isinstance(report, dict) or set(report) != REPORT_KEYS:
            raise web.HTTPError(
                400, f"the report holds {' and '.join(sorted(REPORT_KEYS))}, nothing else"
            )
        port, nonce = report["port"], report["nonce"]
        assert spawner.intent is not None
        if not isinstance(nonce, str) or not _same(nonce, spawner.intent.nonce):
            raise web.HTTPError(403, "nonce: it is not this job's")
        if not isinstance(port, int) or isinstance(port, bool) or port not in PORTS:
            raise web.HTTPError(400, f"port: a whole number from {PORTS.start} to {PORTS.stop - 1}")
        return port


def _same(one: str, other: str) -> bool:
    return bool(other) and hmac.compare_digest(one.encode(errors="replace"), other.encode())


class CheckedServerHandler(UserServerAPIHandler):
    """JupyterHub's routes for a server, with the options checked before anything is stored or started."""

    def prepare(self) -> Any:
        if self.request.method in ("POST", "PUT", "PATCH") and len(self.request.body) > 64 * 1024:
            raise web.HTTPError(400, "options: longer than 65536 bytes")
        return super().prepare()

    @needs_scope("start:servers")
    async def post(self, user_name: str, server_name: str = "") -> None:
        if tag := self.request.headers.get(RESUMED_TAG):
            self._check_still_meant(user_name, server_name, tag)
        self._check(user_name, self.get_server_json_body()["user_options"])
        await super().post(user_name, server_name)

    @needs_scope("start:servers")
    async def put(self, user_name: str, server_name: str = "") -> None:
        self._check(user_name, self.get_server_json_body()["user_options"])
        await super().put(user_name, server_name)

    @needs_scope("start:servers")
    async def patch(self, user_name: str, server_name: str = "") -> None:
        body = self.get_json_body()
        self._check(user_name, body.get("user_options") if isinstance(body, dict) else None)
        await super().patch(user_name, server_name)

    @needs_scope("delete:servers")
    async def delete(self, user_name: str, server_name: str = "") -> None:
        user = self.find_user(user_name)
        known = user is not None and server_name in user.orm_spawners
        if known and not await _may_be_stopped(self, user.spawners[server_name]):
            self.set_status(202)  # it goes on, as JupyterHub's own slow stops do
            return
        await super().delete(user_name, server_name)

    def _check_still_meant(self, user_name: str, server_name: str, tag: str) -> None:
        user = self.find_user(user_name)
        found = user.orm_spawners.get(server_name) if user else None
        if found is None or tag_of(found) != tag:
            raise web.HTTPError(409, "the server was cancelled meanwhile")

    def _check(self, user_name: str, options: Any) -> None:
        user = self.find_user(user_name)
        if user is not None and options is not None:
            check_options(user.spawner.offer, options)


async def stop_server(handler: BaseHandler, user: User, server_name: str) -> None:
    """What JupyterHub does for a DELETE of a server, for a page; one that goes on when this returns is pending."""
    spawner = user.spawners[server_name]
    if spawner.pending in ("stop", "rename") or not await _may_be_stopped(handler, spawner):
        return
    if spawner.pending and spawner._spawn_future:
        spawner._spawn_future.cancel()
        await asyncio.wait([spawner._spawn_future], timeout=1)
    elif not spawner.ready or await spawner.poll_and_notify() is not None:
        return
    await handler.stop_single_user(user, server_name)


async def _may_be_stopped(handler: BaseHandler, spawner: ShopfloorSpawner) -> bool:
    """Do what must come before JupyterHub stops a server; False where one goes on that it cannot stop yet."""
    if spawner.active and not (spawner.seen and not spawner.seen.alive):
        spawner.ended_by = handler.current_user.name
    if spawner.is_to_resume:
        # JupyterHub sees nothing to stop, but it would be started again in a moment.
        await spawner.give_up()
    # JupyterHub cannot stop a server whose check it has not finished: it answers with a bare 500.
    elif spawner.pending == "check":
        ending = asyncio.ensure_future(spawner.end_check())
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(ending), handler.slow_stop_timeout)
        return ending.done()
    return True


def register() -> None:
    """Put our routes in place, once, and take batchspawner's away, which trusts whatever a job posts."""
    ours = [
        (r"/api/shopfloor/arrival", ArrivalHandler),
        *jobs_handler.ROUTES,
        *access_handler.ROUTES,
        *notes_handler.ROUTES,
    ]
    taken = {r"/api/batchspawner", *(path for path, _ in ours)}
    routes = [
        (path, CheckedServerHandler if handler is UserServerAPIHandler else handler, *rest)
        for path, handler, *rest in apihandlers.default_handlers
        if path not in taken
    ]
    apihandlers.default_handlers[:] = [*routes, *ours]
