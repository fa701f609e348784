"""How the routes under ``shopfloor/api`` answer, those of clusters and those of kernels: JSON, and errors in words."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from shopfloor_jobs.directory import home_words
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.scheduler import SchedulerError, SubmitRefused
from tornado import web

from .errors import Conflict, NoAnswer
from .offer import NoOffer

Method = Callable[..., Awaitable[None]]


class JsonHandler(APIHandler):
    """JSON in and out, for whoever may use this server."""

    auth_resource = "shopfloor"

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


def answers_errors(method: Method) -> Method:
    """Turn what can go wrong into a status and ``{"message", "field"}``; other exceptions pass."""

    @functools.wraps(method)
    async def wrapped(self: JsonHandler, *arguments: str) -> None:
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


def for_the_person(method: Method) -> Method:
    """A route's method: for whoever has this server's token and may use it, with errors in words."""
    return web.authenticated(authorized(answers_errors(method)))
