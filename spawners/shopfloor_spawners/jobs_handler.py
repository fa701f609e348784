"""GET /hub/api/shopfloor/jobs: a person's own jobs as the hub's view shows them; nodes ask here, not Slurm."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from jupyterhub.apihandlers import APIHandler

from .asking import person_of


class JobsHandler(APIHandler):
    """``{"jobs": [Seen…], "health": {"looked", "trouble", "since"}}``.

    The ETag is that of the jobs and of the trouble, so that a request with ``If-None-Match`` is answered 304 until
    one of these changed, however often the view looked.
    """

    _etag: str | None = None

    async def get(self) -> None:
        person = person_of(self, clusters=True)
        view = person.spawner.view
        view.await_news()
        jobs = [job.to_json() for job in view.jobs(owner=person.name)]
        news = json.dumps([jobs, view.trouble]).encode()
        self._etag = f'"{hashlib.sha256(news).hexdigest()}"'
        self.finish(json.dumps({"jobs": jobs, "health": view.health.to_json()}))

    def compute_etag(self) -> str | None:
        return self._etag

    def _record_activity(self, obj: Any, timestamp: Any = None) -> bool:
        # Jobs ask by themselves, day and night: it is not the person's hand.
        return False


ROUTE = (r"/api/shopfloor/jobs", JobsHandler)
