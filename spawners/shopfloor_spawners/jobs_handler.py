"""GET /hub/api/shopfloor/jobs: a person's own jobs as the hub's view shows them; nodes ask here, not Slurm."""

from __future__ import annotations

import json

from jupyterhub.apihandlers import APIHandler
from jupyterhub.user import User
from tornado import web


class JobsHandler(APIHandler):
    """``{"jobs": [Seen…], "health": {"looked", "trouble", "since"}}``.

    Tornado gives the answer an ETag: a request with ``If-None-Match`` is answered 304 until there was another look.
    """

    async def get(self) -> None:
        person = self.current_user
        if not isinstance(person, User):
            raise web.HTTPError(403, "jobs are told to the person who shows a token of theirs")
        view = person.spawner.view
        jobs = [job.to_json() for job in view.jobs(owner=person.name)]
        self.finish(json.dumps({"jobs": jobs, "health": view.health.to_json()}))


ROUTE = (r"/api/shopfloor/jobs", JobsHandler)
