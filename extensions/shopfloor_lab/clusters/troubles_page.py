"""The page that explains each kind of trouble (troubles.py) to a beginner: docs/dask-troubles.md, which Lab shows too.

``python -m shopfloor_lab.clusters.troubles_page`` writes it anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .troubles import (
    KINDS,
    LARGE_GRAPH,
    LARGE_GRAPHS,
    MANY_TASKS,
    MB,
    NEXT,
    RECENT,
    SHORT,
    SHORT_TASKS,
    SPILLED,
    UNMANAGED,
    UNMANAGED_LEAST,
)

FILE = "docs/dask-troubles.md"
INTRODUCTION = f"""\
# When a Dask cluster has trouble

What the panel *Jobs* says below a cluster's name, why it happens, and what helps. A line goes away by itself: what is
still so stays, what happened once is told for {RECENT / 60:.0f} minutes.

Two things help in nearly every case. **Look:** *Plots* in the cluster's row shows what the workers do (*Task
stream*) and what fills them (*Memory of each worker*). **Keep the pieces small:** a worker must hold a few
partitions at once, and what a task makes of one, so a partition of 100 MB goes well with a worker of 1 or 2 GB
for each of its processors.
"""


class Section(NamedTuple):
    title: str
    text: str


SECTIONS = {
    "given-up": Section(
        "A task was given up",
        """\
When a worker dies while it computes a task, the task is begun again on another one. When that has happened four
times, Dask takes the task for the cause and gives it up; in the notebook that is a `KilledWorker` error. Nearly
always the task needed more memory than a worker has. Rarely a library crashes; the worker's last lines in the
panel then say so.

- Make the pieces smaller: `table = table.repartition(partition_size="50MB")`, or `blocksize="50MB"` where it is read.
- Read only what is used: `dd.read_parquet(path, columns=["day", "price"])`.
- Start a cluster whose workers have more memory: *Start again…* in the row of one that ended, or a new one.
""",
    ),
    "out-of-memory": Section(
        "A worker ran out of memory",
        """\
A worker that uses more than 95% of its memory is ended and started again, before the system ends the whole job. What
it had computed is computed anew from the beginning, so the work goes on, only later. If it happens again and
again, it will not end well: see *A task was given up*.

- Make the partitions smaller (see above), or give each worker more memory.
- Ask for small results. `table.compute()` brings a whole table into **one** process, your notebook; write it with
  `table.to_parquet(folder)` instead, or reduce it first (`groupby`, `head`, `mean`).
- Fewer processors for each worker: each computes a task of its own, and all of them need memory at once.
""",
    ),
    "paused": Section(
        "A worker begins no new task",
        """\
At 80% of its memory a worker pauses: it finishes what it began and takes nothing new until there is room, which comes
as results are written to disk or no longer needed. That is a brake, not an error. Where **every** worker pauses
and stays so, nothing moves any more: what fills them is needed by nobody but kept by somebody.

- Let go of what you keep: a variable that was made by `persist()` holds its partitions for as long as it exists.
  `del table` frees them, and `client.restart()` frees everything.
- Add workers in the panel: results spread to them.
- If the panel also says that memory *is no result of a task*, read that section.
""",
    ),
    "unmanaged": Section(
        "Memory that is no result of a task",
        f"""\
Dask counts the results of tasks. All else that a worker's process holds, it cannot write to disk or move:
libraries, what a running task makes, global variables and caches, and memory that Python has freed but not given
back to the system. The panel says so from {UNMANAGED:.0%} of a worker's memory (and {UNMANAGED_LEAST // MB} MB)
on, when it has been so for half a minute.

- A task that is running is the most harmless cause: then it goes away with the task.
- Do not collect things in global variables or in caches (`functools.cache`) inside of functions that workers run.
- Freed memory that was not given back: on Linux this often helps, and does no harm.

  ```python
  import ctypes

  client.run(lambda: ctypes.CDLL("libc.so.6").malloc_trim(0))
  ```

- `client.restart()` starts every worker's process anew. Results that only they held are lost.
""",
    ),
    "large-graph": Section(
        "Data is packed into the tasks",
        f"""\
The notebook sends the workers a description of what to do. That should be small: names of files, and functions.
If a table or an array stands in it, because a function uses it as a variable from outside or gets it as an
argument, it is packed into the message, goes through the scheduler, and often goes along with every single task.
The panel says so from {LARGE_GRAPH // MB} MB in one message on, or {LARGE_GRAPHS // MB} MB in several within
{RECENT / 60:.0f} minutes.

```python
table = pd.read_csv("large.csv")  # in the notebook
client.map(lambda day: score(table, day), days)  # sends the table with every order

table = client.scatter(pd.read_csv("large.csv"), broadcast=True)  # once, to every worker
client.map(score_one, days, table=table)  # what was sent is handed in by name

table = dd.read_csv("large.csv")  # best: the workers read it themselves
```
""",
    ),
    "many-tasks": Section(
        "Too many tasks",
        f"""\
Handing out a task takes the scheduler about a millisecond, and it keeps a record of each. From {MANY_TASKS:,}
tasks at once on the panel says so: that is {MANY_TASKS / 1000 / 60:.1f} minutes of handing out alone, and the
notebook seems to hang before anything begins, while the graph is made and sent.

- Larger pieces: `table.repartition(partition_size="100MB")`, `blocksize="100MB"`, for arrays `chunks="auto"`.
- Many small files: read several of them in one task, or write them once as fewer, larger Parquet files.
- In steps: `table = table.persist()` after the part that makes most tasks, and go on with what that left.
""",
    ),
    "short-tasks": Section(
        "The tasks are too short",
        f"""\
A task should take a tenth of a second or more. Below {1000 * SHORT:.0f} ms, handing it out costs about as much
as computing it, and more workers make nothing faster. The panel says so where at least {SHORT_TASKS:,} tasks of
one name are that short.

```python
futures = client.map(score, items)  # a task for each item


def score_all(some):
    return [score(one) for one in some]


batches = [items[at : at + 1000] for at in range(0, len(items), 1000)]
futures = client.map(score_all, batches)  # a task for a thousand
```

For tables and arrays: larger partitions and chunks, as for *Too many tasks*. What is done in seconds by pandas alone
needs no cluster.
""",
    ),
    "spilling": Section(
        "Results are written to disk",
        f"""\
From 60% of its memory on a worker writes results to disk that are not needed at the moment, and reads them again
when they are. That is how data larger than memory is worked on, so it is nothing bad; it is slower than memory.
The panel says so from {SPILLED:.0%} of a worker's memory on.

- Leave `persist()` out where the result is larger than the workers' memory together: it makes them keep everything.
- `del` what is no longer needed.
- Add workers, or give them more memory, if it takes too long.
""",
    ),
}


def title(kind: str) -> str:
    return SECTIONS[kind].title


def page() -> str:
    """The whole page as Markdown, a section for each kind in the order of their weight."""
    parts = [
        f"## {SECTIONS[kind].title}\n\n**In short:** {NEXT[kind]}\n\n{SECTIONS[kind].text}"
        for kind in KINDS
    ]
    return "\n".join([INTRODUCTION, *parts])


if __name__ == "__main__":
    (Path(__file__).parents[3] / FILE).write_text(page())
