"""/hub/api/shopfloor/access: what a person's Dask cluster asks the hub with, for as long as it may last.

A server's own token ends with the server, and its certificate is also that of its pages; a cluster outlives both.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub.apihandlers import APIHandler
from shopfloor_jobs.scheduler import SubmitRefused
from tornado import web

from .asking import CLUSTER_NOTE, CLUSTER_TAG, cluster_of, person_of
from .encrypted import QUEUE, SLACK

LONGEST = 366 * 24 * 3600  # seconds


class AccessHandler(APIHandler):
    """``{"tag": "shopfloor-cluster-…", "time": seconds}`` → ``{"token", "files"}``.

    The token has no scope: it opens what the hub tells every token of the person's (who they are, their jobs), and
    nothing else of JupyterHub's own API. ``files`` are a client's certificate and key by JupyterHub's names for them;
    none where the hub is not encrypted. DELETE, shown the token, ends it; DELETE …/access/<tag>, shown a token of the
    person's own, ends what the cluster has that cannot do so any more.
    """

    async def post(self) -> None:
        person = person_of(self)
        if self.get_token() is None:
            raise web.HTTPError(403, "access is given to the person who shows a token of theirs")
        tag, seconds = _checked(self.get_json_body())
        encryption = person.spawner.encryption
        try:
            files = await encryption.for_client(tag, seconds) if encryption else {}
        except SubmitRefused as error:
            raise web.HTTPError(503, str(error)) from error
        made = person.orm_user.new_api_token(
            note=CLUSTER_NOTE.format(tag), scopes=[], expires_in=QUEUE + seconds + SLACK
        )
        self.set_status(201)
        self.finish(json.dumps({"token": made, "files": files}))

    async def delete(self, tag: str = "") -> None:
        if tag:
            note = CLUSTER_NOTE.format(tag)
            known = person_of(self).orm_user.api_tokens
            ended = [one for one in known if one.note == note and not one.scopes]
        elif cluster_of(self):
            ended = [self.get_token()]
        else:
            raise web.HTTPError(403, "this is not the token of a cluster")
        for token in ended:
            self.db.delete(token)
        self.db.commit()
        self.set_status(204)


def _checked(body: Any) -> tuple[str, int]:
    if not isinstance(body, dict):
        raise web.HTTPError(400, "body: an object with tag and time")
    tag, seconds = body.get("tag"), body.get("time")
    # Never a server's, whose name others trust.
    if not isinstance(tag, str) or not CLUSTER_TAG.fullmatch(tag):
        raise web.HTTPError(400, "tag: shopfloor-cluster- and 16 hexadecimal digits")
    if type(seconds) is not int or not 0 < seconds <= LONGEST:
        raise web.HTTPError(400, f"time: a whole number of seconds from 1 to {LONGEST}")
    return tag, seconds


ROUTES = [
    (r"/api/shopfloor/access", AccessHandler),
    (rf"/api/shopfloor/access/({CLUSTER_TAG.pattern})", AccessHandler),
]
