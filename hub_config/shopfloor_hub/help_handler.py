"""GET /hub/shopfloor/help/TAG.zip: what whoever helps a person needs to see of a job that ended, without secrets."""

from __future__ import annotations

import asyncio
import json
import platform
from typing import Any

import jupyterhub
from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User
from shopfloor_jobs import __version__, bundle
from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_spawners import endings
from shopfloor_spawners.ending import Ending
from tornado import web

READ_WITHIN = 20.0  # seconds
ROUTE = r"/shopfloor/help/(shopfloor-[a-z]{1,16}-[0-9a-f]{16})\.zip"


class HelpHandler(BaseHandler):
    """A download that changes nothing, of a job of the person who asks: the files are read as that person."""

    @web.authenticated
    async def get(self, tag: str) -> None:
        person = self.current_user
        ending = _ending(person, tag) if isinstance(person, User) else None
        if ending is None:
            raise web.HTTPError(404, "no job of yours that ended has this tag")
        scheduler = person.spawner.view.scheduler
        texts = {"how-it-ended.json": json.dumps(ending.to_json(), indent=1)}
        try:
            texts |= await asyncio.wait_for(scheduler.files(person.name, tag), READ_WITHIN)
        except (SchedulerError, asyncio.TimeoutError) as error:
            # What the hub itself knows helps all the same.
            texts["left-out.txt"] = (
                f"The job's directory could not be read: {error or 'no answer'}\n"
            )
        texts["hub.json"] = json.dumps(await _versions(scheduler), indent=1)
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", f'attachment; filename="{tag}.zip"')
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(await asyncio.to_thread(bundle.pack, tag, texts))


def _ending(person: User, tag: str) -> Ending | None:
    for orm_spawner in person.orm_spawners.values():
        for ending in endings.all_of(orm_spawner):
            if ending.tag == tag:
                return ending
    return None


async def _versions(scheduler: Any) -> dict[str, str]:
    found = {
        "shopfloor": __version__,
        "jupyterhub": jupyterhub.__version__,
        "python": platform.python_version(),
    }
    try:
        described = await asyncio.wait_for(scheduler.describe(), READ_WITHIN)
    except (SchedulerError, asyncio.TimeoutError):
        return found
    return {**found, described.name: described.version}
