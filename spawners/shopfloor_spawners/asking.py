"""Who asks a route of the hub that tells of one person, or acts for them: by a token that speaks for all of them."""

from __future__ import annotations

import re

from jupyterhub.apihandlers import APIHandler
from jupyterhub.scopes import Scope
from jupyterhub.user import User
from tornado import web

CLUSTER_TAG = re.compile(r"shopfloor-cluster-[0-9a-f]{16}")
CLUSTER_NOTE = "Dask cluster {}"


def person_of(handler: APIHandler, clusters: bool = False) -> User:
    """The person; with ``clusters`` also one whose cluster asks, by a token of access_handler.py.

    A token that some service was given only to know who its visitor is must not do: nor one that a visited server
    of somebody else's holds, which may access that server alone. Raises HTTPError (403).
    """
    person = handler.current_user
    if not isinstance(person, User):
        raise web.HTTPError(403, "this is told to the person who shows a token of theirs")
    access = handler.parsed_scopes.get("access:servers", {})
    own = access is Scope.ALL or (
        person.name in access.get("user", ())
        or any(one.partition("/")[0] == person.name for one in access.get("server", ()))
    )
    if not own and not (clusters and cluster_of(handler)):
        raise web.HTTPError(403, "this token may not act for the person: use the server's own")
    return person


def cluster_of(handler: APIHandler) -> str:
    """The tag of the cluster that asks; empty where none does."""
    token = handler.get_token()
    if token is None or token.scopes:
        return ""
    found = CLUSTER_TAG.search(token.note or "")
    return found[0] if found and token.note == CLUSTER_NOTE.format(found[0]) else ""
