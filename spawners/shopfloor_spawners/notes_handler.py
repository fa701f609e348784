"""PUT /hub/api/shopfloor/notes: what a person's Lab says of their kernels, for Home (notes.py)."""

from __future__ import annotations

from jupyterhub.apihandlers import APIHandler
from shopfloor_jobs.job import kind_of
from tornado import web

from .alongside import KERNEL
from .asking import person_of
from .notes import MOST, Note

BODY_LIMIT = 64 * 1024  # bytes


class NotesHandler(APIHandler):
    """``{"notes": {TAG: {"title", "idle_ends"}}}``, all kernels of one server; 204."""

    async def put(self) -> None:
        person = person_of(self)
        if len(self.request.body) > BODY_LIMIT:
            raise web.HTTPError(413, f"longer than {BODY_LIMIT} bytes")
        body = self.get_json_body()
        notes = body.get("notes") if isinstance(body, dict) else None
        if not isinstance(notes, dict) or len(notes) > MOST:
            raise web.HTTPError(400, f"notes: an object of at most {MOST} tags")
        for tag in notes:
            if kind_of(tag) != KERNEL:
                raise web.HTTPError(400, "notes: tags are shopfloor-kernel- and 16 hex digits")
        try:
            found = {tag: Note.from_json(note) for tag, note in notes.items()}
        except ValueError as error:
            raise web.HTTPError(400, str(error)) from error
        person.spawner.watch.alongside.notes.take(person.name, found)
        self.set_status(204)

    def _record_activity(self, obj: object, timestamp: object = None) -> bool:
        # Lab says it by itself: it is not the person's hand.
        return False


ROUTES = [(r"/api/shopfloor/notes", NotesHandler)]
