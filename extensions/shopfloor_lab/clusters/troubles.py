"""What goes wrong on a Dask cluster, recognised and put in words with a next step: pure, from plain values.

watching.py gathers the values in the controller; troubles_page.py writes the long explanations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shopfloor_jobs.fields import show_bytes

MB = 1024**2
RECENT = 600.0  # seconds for which what happened once is told
LARGE_GRAPH = 10 * MB  # of one order; where dask's own client begins to warn
LARGE_GRAPHS = 100 * MB  # of all orders within RECENT
MANY_TASKS = (
    100_000  # at once; at about a millisecond each, more than a minute and a half of handing out
)
SHORT = 0.010  # seconds; a shorter task costs about as much to hand out as to compute
SHORT_TASKS = 5_000  # of one kind, so that handing them out costs seconds
SHORT_KNOWN = 500  # of them done, so that their mean says something
UNMANAGED = 0.5  # of a worker's limit
UNMANAGED_LEAST = 300 * MB  # what a worker's libraries alone take stays below
SPILLED = 0.1  # of a worker's limit; less is written out in passing
NAMED = 3  # workers named in a sentence; of more, two and how many others

# By kind, the worst first.
NEXT = {
    "given-up": "Make the partitions smaller, or start a cluster whose workers have more memory.",
    "out-of-memory": "Make the partitions smaller, or give each worker more memory.",
    "paused": "Wait while results go to disk; if it stays so, free results, add workers, or run client.restart().",
    "unmanaged": "Let tasks return what they make instead of keeping it; client.restart() frees the rest.",
    "large-graph": "Let the workers read the data themselves, or send it once with client.scatter.",
    "many-tasks": "Make fewer, larger tasks: partitions of about 100 MB.",
    "short-tasks": "Give each task more to do: larger partitions, or many items in one call.",
    "spilling": "Nothing is lost, it is only slower; free results that are no longer needed, or add workers.",
}
KINDS = tuple(NEXT)


@dataclass(frozen=True)
class Trouble:
    """``kind`` is one of :data:`KINDS`, ``text`` what is wrong in one sentence."""

    kind: str
    text: str

    @property
    def next(self) -> str:
        """What the person may do about it."""
        return NEXT[self.kind]

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return KINDS.index(self.kind)

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "text": self.text, "next": self.next}


@dataclass(frozen=True)
class Load:
    """A connected worker's memory in bytes.

    ``unmanaged`` is what its process has held for longer than half a minute and dask knows nothing of, ``spilled``
    what lies on disk; a ``paused`` one begins no task.
    """

    name: str
    limit: int
    unmanaged: int = 0
    spilled: int = 0
    paused: bool = False


@dataclass(frozen=True)
class Sent:
    """An order that a client sent: when (epoch seconds), its size in bytes, and the name of a task in it."""

    at: float
    size: int
    task: str


@dataclass(frozen=True)
class GivenUp:
    """A task that was given up, as the worker died each time that it ran; ``count`` with the same name."""

    at: float
    task: str
    count: int


@dataclass(frozen=True)
class Group:
    """Tasks of one name: all of them, those that are done, and the seconds that these computed together."""

    task: str
    total: int
    done: int
    seconds: float


@dataclass(frozen=True)
class Facts:
    """``out_of_memory`` are workers that were ended for their memory: when last, in epoch seconds, by name."""

    loads: Sequence[Load] = ()
    out_of_memory: Mapping[str, float] = field(default_factory=dict)
    given_up: Sequence[GivenUp] = ()
    sent: Sequence[Sent] = ()
    tasks: int = 0
    groups: Sequence[Group] = ()


def troubles(facts: Facts, now: float) -> list[Trouble]:
    """What is wrong at ``now`` (epoch seconds), the worst first; one of each kind at most."""
    found = [
        *_given_up([one for one in facts.given_up if now - one.at < RECENT]),
        *_out_of_memory([name for name, at in facts.out_of_memory.items() if now - at < RECENT]),
        *_memory(facts.loads),
        *_sent([one for one in facts.sent if now - one.at < RECENT]),
        *_tasks(facts.tasks, facts.groups),
    ]
    return sorted(found, key=lambda one: one.rank)


def _given_up(given_up: Sequence[GivenUp]) -> Iterator[Trouble]:
    if given_up:
        count, task = sum(one.count for one in given_up), given_up[-1].task
        tasks = f"The task {task!r} was" if count == 1 else f"{count} tasks such as {task!r} were"
        them = "it" if count == 1 else "them"
        yield Trouble(
            "given-up",
            f"{tasks} given up: every worker that began {them} died, most often of memory.",
        )


def _out_of_memory(names: Sequence[str]) -> Iterator[Trouble]:
    if names:
        many = _verb(names, "a worker may and was", "workers may and were")
        yield Trouble(
            "out-of-memory",
            f"{_names(names)} used more memory than {many} started again;"
            " what was in memory there is computed anew.",
        )


def _memory(loads: Sequence[Load]) -> Iterator[Trouble]:
    paused = [load.name for load in loads if load.paused]
    if paused and len(paused) == len(loads):
        yield Trouble("paused", "Nothing is computed: the memory of every worker is full.")
    elif paused:
        yield Trouble(
            "paused",
            f"{_names(paused)} {_verb(paused, 'begins', 'begin')} no new task: memory is nearly full there.",
        )
    holders = [
        load
        for load in loads
        if load.limit and load.unmanaged >= max(UNMANAGED * load.limit, UNMANAGED_LEAST)
    ]
    if holders:
        most = max(holders, key=lambda load: load.unmanaged)
        names = [load.name for load in holders]
        yield Trouble(
            "unmanaged",
            f"{_names(names)} {_verb(names, 'holds', 'hold')} memory that is no result of a task:"
            f" {show_bytes(most.unmanaged)} of {show_bytes(most.limit)} on {most.name}.",
        )
    spilling = [load for load in loads if load.limit and load.spilled >= SPILLED * load.limit]
    if spilling:
        names = [load.name for load in spilling]
        size = show_bytes(sum(load.spilled for load in spilling))
        yield Trouble(
            "spilling",
            f"{_names(names)} {_verb(names, 'keeps', 'keep')} {size} of results on disk,"
            " for lack of memory.",
        )


def _sent(sent: Sequence[Sent]) -> Iterator[Trouble]:
    large = [one for one in sent if one.size >= LARGE_GRAPH]
    total = sum(one.size for one in sent)
    if large:
        most = max(large, key=lambda one: one.size)
        yield Trouble(
            "large-graph",
            f"Your code sent {show_bytes(most.size)} along with its tasks ({most.task!r}): data is packed into"
            " the tasks.",
        )
    elif total >= LARGE_GRAPHS:
        yield Trouble(
            "large-graph",
            f"Your code sent {show_bytes(total)} along with {len(sent)} orders of tasks ({sent[-1].task!r}):"
            " the same data again and again.",
        )


def _tasks(count: int, groups: Sequence[Group]) -> Iterator[Trouble]:
    if count >= MANY_TASKS:
        yield Trouble(
            "many-tasks",
            f"The cluster has {count:,} tasks to keep track of; handing each out takes about a millisecond.",
        )
    short = [
        group
        for group in groups
        if group.total >= SHORT_TASKS
        and SHORT_KNOWN <= group.done < group.total
        and group.seconds < SHORT * group.done
    ]
    if short:
        most = max(short, key=lambda group: group.total)
        yield Trouble(
            "short-tasks",
            f"{most.total:,} tasks {most.task!r} take {_short(most.seconds / most.done)} each: handing one out"
            " costs as much as computing it.",
        )


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.001 else "less than a millisecond"


def _names(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = list(names) if len(names) <= NAMED else [*names[:2], f"{len(names) - 2} others"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _verb(names: Sequence[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many
