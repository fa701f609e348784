"""The routes under ``shopfloor/api`` by which the panel shows clusters to others, and sees theirs (sharing.py)."""

from __future__ import annotations

import functools
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from shopfloor_lab.answering import Method, answers_errors
from shopfloor_lab.hub import HubRefused, NoHub

from .handlers import Handler
from .sharing import Sharing


def _answers_hub(method: Method) -> Method:
    """As :func:`answers_errors`; what the hub refuses is refused here with the same status, field and sentence."""

    @functools.wraps(method)
    async def wrapped(self: Handler, *arguments: str) -> None:
        try:
            await method(self, *arguments)
        except HubRefused as refused:
            # 403: the hub does not know our token any more, which is no matter of this request.
            status = refused.status if refused.status in (400, 404, 409, 413) else 503
            self.fail(status, str(refused), refused.field)
        except NoHub as error:
            self.fail(503, f"The hub does not answer: {error}")

    return answers_errors(wrapped)


class _ShareHandler(Handler):
    def initialize(self, sharing: Sharing, **parts: Any) -> None:
        super().initialize(**parts)
        self.sharing = sharing


class ShareHandler(_ShareHandler):
    """Of one cluster: GET says who sees it, PUT ``{"people", "teams", "seconds"}`` shows it, DELETE takes it back."""

    @web.authenticated
    @authorized
    @_answers_hub
    async def get(self, cluster: str) -> None:
        self.finish(await self.sharing.one(cluster))

    @web.authenticated
    @authorized
    @_answers_hub
    async def put(self, cluster: str) -> None:
        self.finish(await self.sharing.share(cluster, self.body()))

    @web.authenticated
    @authorized
    @_answers_hub
    async def delete(self, cluster: str) -> None:
        await self.sharing.take_back(cluster)
        self.set_status(204)
        self.finish()


class SharedHandler(_ShareHandler):
    """GET lists what others show to this person."""

    @web.authenticated
    @authorized
    @_answers_hub
    async def get(self) -> None:
        self.finish(await self.sharing.shown_to_me())


class ViewHandler(_ShareHandler):
    """GET is what there is to see of somebody else's cluster."""

    @web.authenticated
    @authorized
    @_answers_hub
    async def get(self, owner: str, cluster: str) -> None:
        self.finish(await self.sharing.look(owner, cluster))


def routes(parts: dict[str, Any]) -> list[tuple[str, type[Handler], dict[str, Any]]]:
    """Paths below ``shopfloor/api/``, who answers there, and with what: handlers.py's ``parts``, and sharing."""
    return [
        (r"clusters/([^/]+)/share", ShareHandler, parts),
        (r"shared", SharedHandler, parts),
        (r"shared/([^/]+)/([^/]+)", ViewHandler, parts),
    ]
