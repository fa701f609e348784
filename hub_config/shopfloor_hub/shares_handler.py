"""/hub/api/shopfloor/shares and …/shared: owners' Lab servers tell of their clusters, others' ask; shares.py decides.

The only way from one person to another: what an owner tells lies here, and nobody reaches the owner's node, home or
certificates by it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from jupyterhub import apihandlers
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.user import User
from shopfloor_jobs.fields import Refused
from shopfloor_spawners.asking import CLUSTER_TAG, person_of
from tornado import web

from .shares import Owner, Revoked, Shares, TooMany, TooOften

SETTING = "shopfloor_shares"
BODY_LIMIT = 512 * 1024  # bytes; a view of 1000 workers takes 400 KB

Method = Callable[..., None]


def _answers_errors(method: Method) -> Method:
    @functools.wraps(method)
    def wrapped(self: _Handler, *arguments: str) -> None:
        try:
            method(self, *arguments)
        except Refused as error:
            self.fail(400, str(error), error.field)
        except LookupError as error:
            self.fail(404, str(error.args[0]))
        except TooMany as error:
            self.fail(409, str(error))
        except Revoked:
            self.fail(410, "This share was taken back.")
        except TooOften as error:
            self.fail(429, str(error))

    return wrapped


class _Handler(APIHandler):
    @property
    def shares(self) -> Shares:
        return self.settings[SETTING]

    def person(self) -> User:
        """Who asks, with a token that may speak for all of them."""
        return person_of(self)

    def owner(self) -> Owner:
        person = self.person()
        return Owner(person.name, _teams(person), lambda name: self.find_user(name) is not None)

    def body(self) -> dict[str, Any]:
        if len(self.request.body) > BODY_LIMIT:
            raise web.HTTPError(413, f"longer than {BODY_LIMIT} bytes")
        body = self.get_json_body()
        if not isinstance(body, dict):
            raise Refused("body", body, "a JSON object")
        return body

    def fail(self, status: int, message: str, field: str | None = None) -> None:
        self.set_status(status)
        self.finish(json.dumps({"status": status, "message": message, "field": field}))


class SharesHandler(_Handler):
    """GET: what I share, and the teams that I may share with.

    POST ``{"cluster", "name", "people", "teams", "seconds"}`` begins a share, in place of the cluster's earlier one.
    """

    @_answers_errors
    def get(self) -> None:
        person = self.person()
        self.finish(
            json.dumps({"shares": self.shares.of(person.name), "teams": sorted(_teams(person))})
        )

    @_answers_errors
    def post(self) -> None:
        grant = self.shares.share(self.owner(), self.body())
        self.log.info(
            "%s shows %s to people %s and teams %s",
            grant.owner,
            grant.cluster,
            list(grant.people),
            list(grant.teams),
        )
        self.set_status(201)
        self.finish(json.dumps(grant.to_json()))


class ShareHandler(_Handler):
    """PUT repeats a share (as POST answered it) with its ``view``; DELETE takes it back."""

    @_answers_errors
    def put(self, cluster: str) -> None:
        self.finish(json.dumps(self.shares.tell(self.owner(), {**self.body(), "cluster": cluster})))

    @_answers_errors
    def delete(self, cluster: str) -> None:
        person = self.person()
        self.shares.revoke(person.name, cluster)
        self.log.info("%s shows %s to nobody any more", person.name, cluster)
        self.finish("{}")


class SharedHandler(_Handler):
    """GET: what others show to me."""

    @_answers_errors
    def get(self) -> None:
        person = self.person()
        shown = self.shares.shown_to(person.name, _teams(person))
        self.finish(json.dumps({"shared": shown}))


class ViewHandler(_Handler):
    """GET: what there is to see of one that is shown to me."""

    @_answers_errors
    def get(self, owner: str, cluster: str) -> None:
        person = self.person()
        self.finish(json.dumps(self.shares.look(person.name, _teams(person), owner, cluster)))


def _teams(person: User) -> list[str]:
    return [group.name for group in person.groups]


ROUTES = [
    (r"/api/shopfloor/shares", SharesHandler),
    (rf"/api/shopfloor/shares/({CLUSTER_TAG.pattern})", ShareHandler),
    (r"/api/shopfloor/shared", SharedHandler),
    (rf"/api/shopfloor/shared/([^/]+)/({CLUSTER_TAG.pattern})", ViewHandler),
]


def register() -> None:
    """Add the routes to the hub's API, once however often the configuration is read."""
    apihandlers.default_handlers.extend(
        one for one in ROUTES if one not in apihandlers.default_handlers
    )
