"""What goes wrong for beginners, from values as a cluster has them: each is told, and nothing that is ordinary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.clusters import troubles_page
from shopfloor_lab.clusters.troubles import (
    KINDS,
    LARGE_GRAPH,
    LARGE_GRAPHS,
    MANY_TASKS,
    RECENT,
    SHORT_KNOWN,
    SHORT_TASKS,
    Facts,
    GivenUp,
    Group,
    Load,
    Sent,
    troubles,
)

NOW, MB, GB = 10_000.0, 1024**2, 1024**3
WELL = Load("worker-1", limit=GB, unmanaged=250 * MB, spilled=50 * MB)
SHORT_ONES = Group("inc", total=20_000, done=SHORT_KNOWN, seconds=SHORT_KNOWN * 0.0004)


def told(facts: Facts) -> dict[str, str]:
    """Sentences by kind."""
    return {one.kind: one.text for one in troubles(facts, NOW)}


def loads(*changes: dict[str, Any]) -> Facts:
    """A cluster of as many workers, each with its changes to one that is well."""
    return Facts(
        loads=[
            replace(WELL, name=f"worker-{number}", **one) for number, one in enumerate(changes, 1)
        ]
    )


def test_a_cluster_that_does_well_has_no_trouble():
    well = replace(
        loads({}, {}),
        sent=[Sent(NOW, 40_000, "sum")],
        tasks=MANY_TASKS - 1,
        groups=[Group("train", total=900, done=400, seconds=400.0)],
    )
    assert told(well) == told(Facts()) == {}


@pytest.mark.parametrize(
    ("facts", "kind", "words"),
    [
        (
            Facts(out_of_memory={"worker-1": NOW - 9}),
            "out-of-memory",
            "worker-1 used more memory than a worker may and was started again; what was in memory there is "
            "computed anew.",
        ),
        (
            Facts(given_up=[GivenUp(NOW - 5, "train", 1)]),
            "given-up",
            "The task 'train' was given up: every worker that began it died, most often of memory.",
        ),
        (
            Facts(given_up=[GivenUp(NOW - 9, "load", 3), GivenUp(NOW - 5, "train", 1)]),
            "given-up",
            "4 tasks such as 'train' were given up: every worker that began them died, most often of memory.",
        ),
        (
            loads({"paused": True}, {}),
            "paused",
            "worker-1 begins no new task: memory is nearly full there.",
        ),
        (
            loads({"paused": True}, {"paused": True}),
            "paused",
            "Nothing is computed: the memory of every worker is full.",
        ),
        (
            loads({"unmanaged": 600 * MB}, {"unmanaged": 700 * MB}),
            "unmanaged",
            "worker-1 and worker-2 hold memory that is no result of a task: 700 MB of 1 GB on worker-2.",
        ),
        (
            loads({"spilled": 2 * GB}, {"spilled": 3 * GB}, {"spilled": GB}, {"spilled": GB}),
            "spilling",
            "worker-1, worker-2 and 2 others keep 7 GB of results on disk, for lack of memory.",
        ),
        (
            Facts(sent=[Sent(NOW - 60, 120 * MB, "train"), Sent(NOW - 50, 20 * MB, "sum")]),
            "large-graph",
            "Your code sent 120 MB along with its tasks ('train'): data is packed into the tasks.",
        ),
        (
            Facts(sent=[Sent(NOW - at, 8 * MB, "score") for at in range(20)]),
            "large-graph",
            "Your code sent 160 MB along with 20 orders of tasks ('score'): the same data again and again.",
        ),
        (
            Facts(tasks=250_000),
            "many-tasks",
            "The cluster has 250,000 tasks to keep track of; handing each out takes about a millisecond.",
        ),
        (
            Facts(groups=[Group("train", 10, 5, 50.0), SHORT_ONES]),
            "short-tasks",
            "20,000 tasks 'inc' take less than a millisecond each: handing one out costs as much as computing it.",
        ),
        (
            Facts(groups=[replace(SHORT_ONES, seconds=SHORT_KNOWN * 0.0042)]),
            "short-tasks",
            "20,000 tasks 'inc' take 4 ms each: handing one out costs as much as computing it.",
        ),
    ],
)
def test_a_trouble_is_told_in_one_sentence_with_a_next_step(facts: Facts, kind: str, words: str):
    [one] = troubles(facts, NOW)
    assert (one.kind, one.text) == (kind, words)
    assert one.next


@pytest.mark.parametrize(
    "facts",
    [
        loads({"unmanaged": 511 * MB}),
        # Half of a small worker's memory is what its libraries take.
        loads({"limit": 512 * MB, "unmanaged": 299 * MB}),
        # What is written out in passing, and a worker without a limit.
        loads({"spilled": 99 * MB}),
        loads({"limit": 0, "unmanaged": GB, "spilled": GB}),
        Facts(sent=[Sent(NOW, LARGE_GRAPH - 1, "sum")]),
        Facts(sent=[Sent(NOW, LARGE_GRAPHS // 20, "sum")] * 19),
        Facts(groups=[replace(SHORT_ONES, total=SHORT_TASKS - 1)]),
        Facts(groups=[replace(SHORT_ONES, done=SHORT_KNOWN - 1)]),
        Facts(groups=[replace(SHORT_ONES, seconds=SHORT_KNOWN * 0.011)]),
        # All of them are done, so there is nothing to mend.
        Facts(groups=[replace(SHORT_ONES, done=SHORT_ONES.total)]),
    ],
)
def test_what_is_ordinary_is_not_told(facts: Facts):
    assert told(facts) == {}


def test_what_happened_once_is_told_for_ten_minutes():
    happened = Facts(
        out_of_memory={"worker-1": NOW - RECENT + 1},
        given_up=[GivenUp(NOW - RECENT + 1, "train", 1)],
        sent=[Sent(NOW - RECENT + 1, GB, "train")],
    )
    assert [one.kind for one in troubles(happened, NOW)] == [
        "given-up",
        "out-of-memory",
        "large-graph",
    ]
    assert troubles(happened, NOW + 2) == []


def test_the_worst_stands_first_and_each_kind_once():
    facts = replace(
        loads({"paused": True, "unmanaged": 700 * MB}, {"paused": True, "spilled": GB}),
        out_of_memory={"worker-1": NOW, "worker-2": NOW},
        tasks=MANY_TASKS,
        sent=[Sent(NOW, GB, "train")] * 3,
    )
    kinds = [one.kind for one in troubles(facts, NOW)]
    assert kinds == sorted(kinds, key=KINDS.index)
    assert kinds == [
        "out-of-memory",
        "paused",
        "unmanaged",
        "large-graph",
        "many-tasks",
        "spilling",
    ]


def test_the_page_in_docs_is_what_is_written_from_the_code():
    page = Path(__file__).parents[2] / "docs" / "dask-troubles.md"
    assert page.read_text() == troubles_page.page()


def test_the_page_explains_every_kind_with_its_next_step():
    page = troubles_page.page()
    for kind in KINDS:
        assert f"## {troubles_page.title(kind)}\n" in page
    assert page.count("\n## ") == len(KINDS)
