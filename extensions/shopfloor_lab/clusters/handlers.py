"""The routes under ``shopfloor/api`` that clusters and the offer answer at; see listing.py for what they do."""

from __future__ import annotations

from time import time
from typing import Any

from jupyter_server.auth.decorator import authorized
from shopfloor_jobs.fields import Refused
from tornado import web

from shopfloor_lab.answering import JsonHandler, for_the_person
from shopfloor_lab.offer import Offers

from . import troubles_page
from .listing import Clusters
from .troubles import KINDS


class Handler(JsonHandler):
    """``offers`` and ``clusters`` are the server's only ones."""

    def initialize(self, offers: Offers, clusters: Clusters) -> None:
        self.offers, self.clusters = offers, clusters

    def finish_order(self, cluster: dict[str, Any]) -> None:
        """Answer with what became of a cluster; the look that follows is newer, and whoever reads the news knows it."""
        self.finish({**cluster, "server_time": time()})
        self.clusters.news.look_now()


class OfferHandler(Handler):
    @for_the_person
    async def get(self) -> None:
        self.finish((await self.offers.get()).to_json())


class ClustersHandler(Handler):
    @for_the_person
    async def get(self) -> None:
        self.finish({"clusters": await self.clusters.list(), "server_time": time()})

    @for_the_person
    async def post(self) -> None:
        cluster = await self.clusters.start(self.body())
        self.set_status(201)
        self.finish_order(cluster)


class ClusterHandler(Handler):
    @for_the_person
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

    @for_the_person
    async def delete(self, cluster: str) -> None:
        await self.clusters.end(cluster, living=self.get_query_argument("living", "") == "true")
        self.set_status(204)
        self.finish()
        self.clusters.news.look_now()


class CellHandler(Handler):
    @for_the_person
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
