"""A person's own jobs as the hub's view shows them, and the end of one; nodes ask here, not Slurm, and so does Home."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from jupyterhub.apihandlers import APIHandler
from jupyterhub.scopes import needs_scope
from shopfloor_jobs.job import TAG
from shopfloor_jobs.scheduler import Unreachable
from tornado import web

from .alongside import Alongside
from .asking import person_of

STOP_SECONDS = 2.0  # that an answer waits for the end of what is stopped


def etag_of(alongside: Alongside, owner: str) -> str:
    """That of the owner's jobs, what is noted of them, and the view's trouble: it changes with those, not each look.

    No job because nobody has looked yet is another answer than none that was seen.
    """
    view, notes = alongside.view, alongside.notes.of(owner)
    news = [
        [job.to_json() for job in view.jobs(owner)],
        {tag: note.to_json() for tag, note in sorted(notes.items())},
        view.trouble,
        view.health.looked is None,
    ]
    return f'"{hashlib.sha256(json.dumps(news).encode()).hexdigest()}"'


class JobsHandler(APIHandler):
    """``GET /hub/api/shopfloor/jobs`` → ``{"jobs": [Seen…], "health": {"looked", "trouble", "since"}}``.

    A request with ``If-None-Match`` is answered 304 until jobs, notes or trouble changed, however often the view
    looked; ``looked`` says whether jobs may have changed.
    """

    _etag: str | None = None

    async def get(self) -> None:
        person = person_of(self, clusters=True)
        view = person.spawner.view
        view.await_news()
        jobs = [job.to_json() for job in view.jobs(owner=person.name)]
        self._etag = etag_of(person.spawner.watch.alongside, person.name)
        self.finish(json.dumps({"jobs": jobs, "health": view.health.to_json()}))

    def compute_etag(self) -> str | None:
        return self._etag

    def _record_activity(self, obj: Any, timestamp: Any = None) -> bool:
        # Jobs ask by themselves, day and night: it is not the person's hand.
        return False


class JobHandler(APIHandler):
    """``DELETE /hub/api/shopfloor/users/NAME/jobs/TAG`` ends a kernel, a Dask cluster, or workers that lost theirs.

    Whoever may stop the person's servers may. 204: all of it is gone; 202: it is being ended, and goes on so.
    """

    @needs_scope("delete:servers")
    async def delete(self, user_name: str, tag: str) -> None:
        person = self.find_user(user_name)
        if person is None:
            raise web.HTTPError(404)
        alongside = person.spawner.watch.alongside
        try:
            found = await alongside.find(person.name, tag)
        except Unreachable as error:
            raise web.HTTPError(503, f"the scheduler does not answer: {error}") from error
        if found is None:
            raise web.HTTPError(404, f"{person.name} has nothing that runs with this tag")
        gone = await alongside.stop(person.name, found, STOP_SECONDS)
        self.set_status(204 if gone else 202)


ROUTES = [
    (r"/api/shopfloor/jobs", JobsHandler),
    (rf"/api/shopfloor/users/([^/]+)/jobs/({TAG.pattern})", JobHandler),
]
