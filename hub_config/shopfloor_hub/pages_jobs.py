"""What a person has running beside servers, as the pages show it, in the words of Lab's panel; alongside.py knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jupyterhub.user import User
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.reasons import reason
from shopfloor_spawners.alongside import CLUSTER, KERNEL, WORKER, Beside
from shopfloor_spawners.jobs_handler import etag_of
from shopfloor_spawners.notes import Note

from .moments import Moment, moment

TITLES = {KERNEL: "Kernel", CLUSTER: "Dask cluster", WORKER: "Dask workers", "run": "Run"}
WORDS = {
    State.SUBMITTED: "Asked",
    State.PENDING: "Waiting",
    State.STARTING: "Starting",
    State.RUNNING: "Running",
}
STOPPING = "Stopping…"


@dataclass(frozen=True)
class Row:
    """One job that is no server's. ``line`` is its state in words, ``more`` what belongs to the title.

    ``place`` and ``expected`` are None where they mean nothing; ``id`` is the scheduler's. ``path`` is its part of
    the REST address. ``idle`` is when a kernel that computes nothing ends for it, as its Lab says.
    """

    tag: str
    id: str
    title: str
    more: str
    state: str
    line: str
    path: str
    node: str
    place: int | None = None
    expected: Moment | None = None
    ends: Moment | None = None
    idle: Moment | None = None


@dataclass(frozen=True)
class Trouble:
    """Why the list may lack something: the scheduler has not been ``seen`` at all, or not ``since`` then."""

    seen: bool
    since: Moment | None


async def look(user: Any) -> None:
    """Have the scheduler looked at, unless it was just now."""
    if isinstance(user, User):
        await user.spawner.watch.alongside.look()


def jobs(user: Any) -> list[Row]:
    """The person's kernels and clusters, the oldest first; of anybody else (a service, nobody) none."""
    if not isinstance(user, User):
        return []
    alongside = user.spawner.watch.alongside
    notes = alongside.notes.of(user.name)
    return [
        row(
            one,
            user.escaped_name,
            alongside.is_stopping(user.name, one),
            notes.get(one.tag, Note()),
        )
        for one in alongside.of(user.name)
    ]


def kernels(user: Any) -> int:
    """How many kernels the person has that are jobs of their own and run on when a server is stopped."""
    if not isinstance(user, User):
        return 0
    return len(user.spawner.watch.alongside.kernels(user.name))


def etag(user: User) -> str:
    """That of the person's jobs at the hub's API: by it, a page knows whether it shows what the API would tell."""
    return etag_of(user.spawner.watch.alongside, user.name)


def trouble(user: User) -> Trouble | None:
    """None where the list is what runs."""
    health = user.spawner.view.health
    if health.looked is not None and not health.trouble:
        return None
    return Trouble(health.looked is not None, moment(health.since) if health.since else None)


def row(one: Beside, owner: str, stopping: bool, note: Note | None = None) -> Row:
    """``owner`` is the person's name as it stands in addresses; ``note`` what their Lab says of it."""
    note = note or Note()
    seen = one.seen
    place, expected = queue(seen)
    return Row(
        tag=one.tag,
        id=seen.id,
        title=TITLES.get(one.kind, "Job"),
        more=note.title if one.kind == KERNEL else _workers(one),
        state="stopping" if stopping else seen.state.value,
        line=STOPPING if stopping else state_line(seen),
        path=f"shopfloor/users/{owner}/jobs/{one.tag}",
        node=seen.node,
        place=None if stopping else place,
        expected=None if stopping else expected,
        ends=moment(seen.ends) if seen.ends else None,
        idle=moment(note.idle_ends) if note.idle_ends and not stopping else None,
    )


def state_line(seen: Seen) -> str:
    """State, place and reason: ``Running on gpu01``, ``Waiting: what it needs is in use``."""
    word = WORDS[seen.state]
    if seen.state is State.PENDING and seen.reason:
        return f"{word}: {seen.reason}"
    return f"{word} on {seen.node}" if seen.node else word


def queue(seen: Seen) -> tuple[int | None, Moment | None]:
    """Place in line and expected start of one that waits; a place only where it waits for its turn."""
    if seen.state is not State.PENDING:
        return None, None
    place = seen.place if seen.detail and reason(seen.detail).queues else None
    return place, moment(seen.expected) if seen.expected else None


def _workers(one: Beside) -> str:
    if one.kind == WORKER:
        return f"{_counted(one.workers)}, without their cluster"
    return _counted(one.workers) if one.kind == CLUSTER else ""


def _counted(workers: Sequence[Seen]) -> str:
    """``3 workers``, ``3 workers, 1 waiting``."""
    waiting = sum(one.state in (State.SUBMITTED, State.PENDING) for one in workers)
    words = f"{len(workers)} worker{'' if len(workers) == 1 else 's'}"
    return f"{words}, {waiting} waiting" if waiting else words
