"""Keeps how a server's jobs ended, in the state that JupyterHub stores; ending.py has the words, pages show them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jupyterhub.orm import Spawner as OrmSpawner
from shopfloor_jobs.job import Seen
from shopfloor_jobs.masking import mask
from shopfloor_jobs.scheduler import Scheduler, SchedulerError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import object_session

from . import metrics
from .ending import Ending, Facts, ending_of
from .logged import about
from .logged import log as hub_log

if TYPE_CHECKING:
    from .intent import Intent
    from .spawner import ShopfloorSpawner

KEY = "endings"
KEPT = 5  # of each server
LOG_LINES, LOG_LETTERS, OLD_LOG_LETTERS = 20, 4000, 800
LastWords = tuple[Mapping[str, Any] | None, str]  # the runner's exit record and the log's tail
READ_WITHIN = 5.0  # seconds that a start which failed may take longer, to say why
READ_LATER = 120.0  # seconds in which the same may be read once the person knows of the end
UNREAD: LastWords = (None, "(its log could not be read in time)")
_tasks: set[asyncio.Task[None]] = set()


def all_of(orm_spawner: OrmSpawner) -> list[Ending]:
    """The ends that are kept of one server, the latest last; without those that another version wrote otherwise."""
    found = []
    for data in (orm_spawner.state or {}).get(KEY, []):
        with suppress(TypeError):
            found.append(Ending.from_json(data))
    return found


def todays(orm_spawner: OrmSpawner, now: float | None = None) -> list[Ending]:
    """Those of today by the hub's clock, and those of the last hours, so that midnight hides none at once."""
    now = time.time() if now is None else now
    today = datetime.fromtimestamp(now).astimezone()
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    since = min(midnight, today - timedelta(hours=6)).timestamp()
    return [ending for ending in all_of(orm_spawner) if ending.at >= since]


def kept(orm_spawner: OrmSpawner) -> dict[str, Any]:
    """The part of a new state that carries the endings over from the stored one."""
    endings = (orm_spawner.state or {}).get(KEY)
    return {KEY: endings} if endings else {}


def keep(orm_spawner: OrmSpawner, ending: Ending) -> None:
    """Store an ending in the place of an earlier one of the same job; the caller commits.

    The hub reads all states at times: of the ends before the last, little of the log is kept.
    """
    others = [one for one in all_of(orm_spawner) if one.tag != ending.tag]
    *earlier, last = sorted((*others, ending), key=lambda one: one.at)
    earlier = [replace(one, log=one.log[-OLD_LOG_LETTERS:]) for one in earlier]
    endings = [one.to_json() for one in (*earlier, last)][-KEPT:]
    orm_spawner.state = {**(orm_spawner.state or {}), KEY: endings}


def facts_of(
    spawner: ShopfloorSpawner,
    seen: Seen | None,
    record: Mapping[str, Any] | None = None,
    log: str = "",
) -> Facts:
    """What is known now of a spawner whose job has ended, or will."""
    assert spawner.intent is not None
    failure = spawner.failure
    return Facts(
        tag=spawner.intent.tag,
        owner=spawner.owner,
        request=spawner.intent.request,
        options=dict(spawner.user_options or {}),
        was_ready=bool(spawner.intent.port),
        now=time.time(),
        seen=seen,
        exit=record,
        ended_by=spawner.ended_by,
        hub_cancelled=spawner.cancelling and not failure,
        failure=failure.reason if failure else "",
        said=str(failure.jupyterhub_message).partition("\n")[0] if failure else "",
        log=log,
    )


async def why(spawner: ShopfloorSpawner, seen: Seen | None) -> Ending:
    """The end of a job that never became ready, with what its runner and its log say, as soon as may be."""
    assert spawner.intent is not None
    scheduler, owner = spawner.view.scheduler, spawner.owner
    spawner.last_words = await _read(scheduler, owner, spawner.intent, READ_WITHIN)
    return ending_of(facts_of(spawner, seen, *(spawner.last_words or UNREAD)))


def tell(spawner: ShopfloorSpawner) -> None:
    """Keep the end of the spawner's job: what is known at once, and soon what its runner and its log say too.

    Nothing is waited for, for JupyterHub is just cleaning up.
    """
    assert spawner.intent is not None
    read, spawner.last_words = spawner.last_words, None
    facts = facts_of(spawner, spawner.seen, *(read or ()))
    submitted = spawner.intent.job_id or spawner.seen
    more_follows = bool(submitted) and read is None
    ending = replace(ending_of(facts), more_follows=more_follows)
    keep(spawner.orm_spawner, ending)
    if not more_follows:
        _count(ending, spawner.intent, facts.owner)
    else:
        task = asyncio.get_running_loop().create_task(_complete(spawner, spawner.intent, facts))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


def _count(ending: Ending, intent: Intent, owner: str) -> None:
    metrics.ended(ending)
    fields = about(intent.tag, owner, intent.job_id, cause=ending.kind)
    hub_log.info("Server ended", extra=fields)


async def _complete(spawner: ShopfloorSpawner, intent: Intent, facts: Facts) -> None:
    read = await _read(spawner.view.scheduler, facts.owner, intent, READ_LATER)
    record, log = read or UNREAD
    seen = spawner.view.last_known(facts.owner, facts.tag) or facts.seen
    if not _is_told(facts, seen, record):
        seen = await _accounted(spawner.view.scheduler, facts.owner, facts.tag) or seen
    ending = ending_of(replace(facts, seen=seen, exit=record, log=log))
    _count(ending, intent, facts.owner)
    session = object_session(spawner.orm_spawner)
    if session is None:
        return  # the server was removed meanwhile
    try:
        keep(spawner.orm_spawner, ending)
        session.commit()
    except SQLAlchemyError as error:
        session.rollback()
        spawner.log.warning("How %s ended could not be stored: %s", facts.tag, error)


def _is_told(facts: Facts, seen: Seen | None, record: Mapping[str, Any] | None) -> bool:
    """Whether its end is known: from its runner, from who ended it, or from what the scheduler shows."""
    ended = seen is not None and not seen.alive
    return bool(record or facts.ended_by or facts.hub_cancelled or ended)


async def _accounted(scheduler: Scheduler, owner: str, tag: str) -> Seen | None:
    """The job with its end, from the scheduler's accounts, for where nobody else tells it: its runner wrote nothing,
    and the scheduler no longer shows it (the hub was away for longer than Slurm's MinJobAge, say)."""
    try:
        past = await asyncio.wait_for(scheduler.past(owner, tag), READ_LATER)
    except (SchedulerError, asyncio.TimeoutError):
        return None
    return past if past and not past.alive else None


async def _read(
    scheduler: Scheduler, owner: str, intent: Intent, within: float
) -> LastWords | None:
    """The runner's exit record and the log's tail, read as the owner; None if they cannot be read in time."""

    async def read() -> LastWords:
        records, log = await asyncio.gather(
            scheduler.records(owner, intent.tag), scheduler.tail(owner, intent.tag, LOG_LINES)
        )
        return records["exit"], mask(log, (intent.api_token, intent.nonce))[-LOG_LETTERS:]

    try:
        return await asyncio.wait_for(read(), within)
    except asyncio.TimeoutError:
        return None
    except SchedulerError as error:
        return None, f"(its log could not be read: {error})"
