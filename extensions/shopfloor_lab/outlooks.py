"""When what is asked for would start and what it costs, as the hub says (its outlook.py); for the forms in Lab."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from shopfloor_jobs.request import Request

from .hub import Hub, NoHub

WITHIN = 8.0  # seconds; the hub itself waits some for its scheduler
KEPT = 50  # outlooks, for when there is no newer one
NOTHING: dict[str, Any] = {
    "hardware": "",
    "cost": "",
    "rate": "",
    "too_dear": False,
    "start": {"kind": "unknown", "at": None, "asked": None, "why": ""},
    "free": False,
    "room": None,
    "rooms": {},
    "instead": [],
}


class Outlooks:
    """Asks ``hub``. Where it does not say, the answer is what it said last, of the kind *unknown*."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._known: OrderedDict[tuple[Request, int], Mapping[str, Any]] = OrderedDict()

    async def of(self, request: Request, count: int = 1) -> dict[str, Any]:
        """Of ``count`` jobs with this request; the start is that of the first.

        It has ``ago`` for ``asked``, in seconds, which needs no clock of the browser's.
        """
        question = {"user_options": request.to_json(), "count": count}
        key = (request, count)
        try:
            answer: Mapping[str, Any] = await self._hub.post("outlook", question, WITHIN)
        except NoHub as error:
            known = self._known.get(key, NOTHING)
            start = {**known["start"], "kind": "unknown", "why": str(error)}
            return _told({**known, "start": start})
        self._known[key] = answer
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return _told(answer)


def _told(answer: Mapping[str, Any]) -> dict[str, Any]:
    start = dict(answer["start"])
    asked = start.pop("asked", None)
    start["ago"] = None if asked is None else time.time() - asked
    return {**answer, "start": start}
