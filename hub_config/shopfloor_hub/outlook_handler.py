"""POST /hub/api/shopfloor/outlook: what the form's choice costs and when it would start, for the person who asks."""

from __future__ import annotations

import json
from typing import Any

from jupyterhub import apihandlers
from jupyterhub.apihandlers.base import APIHandler
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_spawners.asking import person_of
from tornado import web

from .estimates import TooMany
from .offer_handler import SETTING
from .outlook import Outlook

ESTIMATES = "shopfloor_estimates"
BODY_LIMIT = 16 * 1024  # bytes
WITHIN = 2.0  # seconds to find out anew what is free
AT_ONCE = 0.7  # the same for a start that is on its way: Lab waits a second for all of it
MOST_JOBS = 1000  # of one question; more than any cluster has workers


class OutlookHandler(APIHandler):
    """``{"user_options": {…}, "count": 4}`` → :meth:`Outlook.of`, where ``count`` (1 if absent) is how many such jobs.

    With ``"estimate": false`` only :meth:`Outlook.room_now`, at once: no estimate is asked for.
    A POST, for each may be a question to the scheduler. Lab's form for clusters asks with the server's token.
    """

    async def post(self) -> None:
        person = person_of(self)
        if len(self.request.body) > BODY_LIMIT:
            raise web.HTTPError(413, f"longer than {BODY_LIMIT} bytes")
        body = self.get_json_body()
        options: Any = body.get("user_options") if isinstance(body, dict) else None
        if not isinstance(options, dict):
            raise web.HTTPError(400, "user_options: an object of field names and values")
        count = body.get("count", 1)
        if type(count) is not int or not 1 <= count <= MOST_JOBS:
            raise web.HTTPError(400, f"count: a whole number from 1 to {MOST_JOBS}")
        estimate = body.get("estimate") is not False
        offers = self.settings[SETTING]
        try:
            offer = offers.make(person.name, [group.name for group in person.groups])
            request = offer.check(options)
            outlook = Outlook(
                offer,
                offers.known().accounts,
                self.settings[ESTIMATES],
                lambda moment: offers.since(moment, WITHIN if estimate else AT_ONCE),
            )
            if not estimate:
                answer = await outlook.room_now(request)
            else:
                answer = await outlook.of(request, count)
        except Refused as refusal:
            raise web.HTTPError(400, str(refusal)) from refusal
        except TooMany as error:
            raise web.HTTPError(429, str(error)) from error
        except SchedulerError as error:
            raise web.HTTPError(503, str(error)) from error
        self.finish(json.dumps(answer))


ROUTE = (r"/api/shopfloor/outlook", OutlookHandler)


def register() -> None:
    """Add the route to the hub's API, once however often the configuration is read."""
    if ROUTE not in apihandlers.default_handlers:
        apihandlers.default_handlers.append(ROUTE)
