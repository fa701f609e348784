"""The routes under ``shopfloor/api`` that clusters and the offer answer at; see listing.py for what they do."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import time
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from shopfloor_jobs.directory import home_words
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.scheduler import SchedulerError, SubmitRefused
from tornado import web

from shopfloor_lab.offer import NoOffer, Offers

from . import troubles_page
from .listing import Clusters, Conflict
from .remote import NoAnswer
from .troubles import KINDS

Method = Callable[..., Awaitable[None]]


def answers_errors(method: Method) -> Method:
    """Turn what can go wrong into a status and ``{"message", "field"}``; other exceptions pass."""

    @functools.wraps(method)
    async def wrapped(self: Handler, *arguments: str) -> None:
        try:
            await method(self, *arguments)
        except Refused as error:
            self.fail(400, str(error), error.field)
        except LookupError as error:
            self.fail(404, str(error))
        except (Conflict, SubmitRefused) as error:
            self.fail(409, str(error))
        except (NoAnswer, NoOffer, SchedulerError) as error:
            self.fail(503, str(error))
        except OSError as error:
            self.fail(503, home_words(error, Path.home()))

    return wrapped


class Handler(APIHandler):
    """JSON in and out; ``offers`` and ``clusters`` are the server's only ones."""

    auth_resource = "shopfloor"

    def initialize(self, offers: Offers, clusters: Clusters) -> None:
        self.offers, self.clusters = offers, clusters

    def fail(self, status: int, message: str, field: str | None = None) -> None:
        self.set_status(status)
        self.finish({"message": message, "field": field})

    def body(self) -> dict[str, Any]:
        """The request's JSON object, empty where there is none. Raises Refused for anything else."""
        try:
            body = self.get_json_body()
        except (web.HTTPError, UnicodeDecodeError) as error:
            raise Refused("body", self.request.body[:60], "a JSON object") from error
        if body is None:
            return {}
        if not isinstance(body, dict):
            raise Refused("body", body, "a JSON object")
        return body

    def finish_order(self, cluster: dict[str, Any]) -> None:
        """Answer with what became of a cluster; the look that follows is newer, and whoever reads the news knows it."""
        self.finish({**cluster, "server_time": time()})
        self.clusters.news.look_now()


class OfferHandler(Handler):
    @web.authenticated
    @authorized
    @answers_errors
    async def get(self) -> None:
        self.finish((await self.offers.get()).to_json())


class ClustersHandler(Handler):
    @web.authenticated
    @authorized
    @answers_errors
    async def get(self) -> None:
        self.finish({"clusters": await self.clusters.list(), "server_time": time()})

    @web.authenticated
    @authorized
    @answers_errors
    async def post(self) -> None:
        cluster = await self.clusters.start(self.body())
        self.set_status(201)
        self.finish_order(cluster)


class ClusterHandler(Handler):
    @web.authenticated
    @authorized
    @answers_errors
    async def patch(self, cluster: str) -> None:
        body = self.body()
        if set(body) == {"adapt"}:
            described = await self.clusters.adapt(cluster, body["adapt"])
        elif set(body) == {"workers"}:
            described = await self.clusters.scale(cluster, body["workers"])
        elif body == {"keep": True}:
            described = await self.clusters.keep(cluster)
        else:
            raise Refused("body", sorted(body), "one field: workers, adapt, or keep, which is true")
        self.finish_order(described)

    @web.authenticated
    @authorized
    @answers_errors
    async def delete(self, cluster: str) -> None:
        await self.clusters.end(cluster, living=self.get_query_argument("living", "") == "true")
        self.set_status(204)
        self.finish()
        self.clusters.news.look_now()


class CellHandler(Handler):
    @web.authenticated
    @authorized
    @answers_errors
    async def get(self, cluster: str) -> None:
        kernel = self.get_query_argument("kernel", None)
        self.finish({"source": await self.clusters.cell(cluster, kernel)})


class TroublesHandler(Handler):
    """The page about what goes wrong, as Markdown; its sections stand in the order of ``kinds``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.finish({"page": troubles_page.page(), "kinds": KINDS})


def routes() -> list[tuple[str, type[Handler]]]:
    """Paths (regular expressions) below ``shopfloor/api/``, and who answers there."""
    one = r"clusters/([^/]+)"
    return [
        ("offer", OfferHandler),
        ("clusters", ClustersHandler),
        (one, ClusterHandler),
        (f"{one}/cell", CellHandler),
        ("troubles", TroublesHandler),
    ]
