"""GET /hub/api/shopfloor/offer: what the asking person may ask for; the Lab server fetches it with its token."""

from __future__ import annotations

import json

from jupyterhub import apihandlers
from jupyterhub.apihandlers.base import APIHandler
from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_spawners.asking import person_of
from tornado import web

SETTING = "shopfloor_offers"


class OfferHandler(APIHandler):
    async def get(self) -> None:
        person = person_of(self, clusters=True)
        groups = [group.name for group in person.groups]
        try:
            offer = self.settings[SETTING].make(person.name, groups)
        except SchedulerError as error:
            raise web.HTTPError(503, str(error)) from error
        self.finish(json.dumps(offer.to_json()))


ROUTE = (r"/api/shopfloor/offer", OfferHandler)


def register() -> None:
    """Add the route to the hub's API, once however often the configuration is read."""
    if ROUTE not in apihandlers.default_handlers:
        apihandlers.default_handlers.append(ROUTE)
