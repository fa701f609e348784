"""Ended servers as pages show them: what happened, what to ask the next time, where help is; endings.py keeps them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jupyterhub.user import User
from shopfloor_jobs.offer import CUSTOM, Offer
from shopfloor_jobs.request import FIELDS
from shopfloor_spawners import endings
from shopfloor_spawners.ending import AT, Ending, Retry, retry_of

from .form import editable
from .moments import Moment, moment
from .pages_servers import Server, server

SHOWN = 5
LOOK_AGAIN = 30.0  # seconds after an end in which a page looks again for what is still being read


@dataclass(frozen=True)
class Ended:
    """One end on a page. The sentence goes ``before``, the time, ``after``.

    ``again`` are the inputs that ask for the next try; ``advice`` and ``label`` say what is different. ``help`` is the
    address of the site's support with the job's tag in it, empty where the site names none. The page should
    ``look_again`` soon while its log is still being read.
    """

    server: Server
    ending: Ending
    before: str
    at: Moment | None
    after: str
    again: dict[str, str]
    advice: str
    label: str
    note: str
    help: str
    look_again: bool


def ended_today(user: Any, offer: Offer | None, support_url: str) -> list[Ended]:
    """The latest first, of all servers of the person; of anybody else (a service, nobody) none."""
    if not isinstance(user, User):
        return []
    found = [
        (spawner, ending)
        for spawner in user.all_spawners()
        for ending in endings.todays(spawner.orm_spawner)
    ]
    found.sort(key=lambda pair: pair[1].at, reverse=True)
    return [_ended(user, spawner, one, offer, support_url) for spawner, one in found[:SHOWN]]


def latest(user: User, spawner: Any, offer: Offer | None, support_url: str) -> Ended | None:
    """The last end of one server, however long ago."""
    kept = endings.all_of(spawner.orm_spawner)
    return _ended(user, spawner, kept[-1], offer, support_url) if kept else None


def _ended(
    user: User, spawner: Any, ending: Ending, offer: Offer | None, support_url: str
) -> Ended:
    before, at, after = ending.sentence.partition(AT)
    retry = retry_of(ending, offer)
    changes = " and ".join(FIELDS[name].show(value) for name, value in retry.change.items())
    return Ended(
        server=server(user, spawner),
        ending=ending,
        before=before,
        at=moment(ending.at) if at else None,
        after=after,
        again=inputs(retry),
        advice=f"Try {changes}." if changes else "",
        label=f"Start again with {changes}" if changes else "Start again",
        note=retry.note or ending.step,
        help=help_url(support_url, ending),
        # A hub that was killed while it read leaves it unread for good.
        look_again=ending.more_follows and time.time() - ending.at < LOOK_AGAIN,
    )


def inputs(retry: Retry) -> dict[str, str]:
    """What the start form is filled in with, or sent."""
    if retry.preset:
        return {"preset": retry.preset}
    return {
        "preset": CUSTOM,
        **{name: editable(FIELDS[name], value) for name, value in retry.request.items()},
    }


def help_url(support_url: str, ending: Ending) -> str:
    """The support's address; a mail already says which job it is about and how it ended."""
    if not support_url.startswith("mailto:"):
        return support_url
    subject = quote(f"JupyterLab: {ending.text()}"[:150])
    body = quote(
        f"{ending.text()}\n\nJob: {ending.tag} {ending.detail}\n\n"
        "Please attach the file from Download, and say what you did before.\n"
    )
    return f"{support_url}{'&' if '?' in support_url else '?'}subject={subject}&body={body}"
