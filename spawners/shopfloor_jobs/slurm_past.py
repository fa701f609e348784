"""What Slurm's accounting says of a job that ``squeue`` no longer shows, as pure functions; slurm.py runs ``sacct``."""

from __future__ import annotations

from .job import Seen, State
from .reasons import cause_words
from .slurm_text import STATES, epoch, first_node

COLUMNS = ("JobID", "State", "NodeList", "Partition", "Submit", "Start", "End")
SINCE = "now-7days"  # by Slurm's own clock; older ends are nobody's question


def sacct_arguments(owner: str, tag: str) -> list[str]:
    """``sacct`` (its manual) for the person's jobs with this tag, one line each, steps left out."""
    return [
        "sacct",
        "--allocations",
        "--duplicates",  # each run of a job that was requeued
        "--noheader",
        "--parsable2",
        f"--user={owner}",
        f"--name={tag}",
        f"--starttime={SINCE}",
        f"--format={','.join(COLUMNS)}",
    ]


def parse_sacct(output: str, owner: str, tag: str) -> Seen | None:
    """The newest job in the output of :func:`sacct_arguments`, None where there is none. Raises ValueError."""
    found = None
    for line in output.splitlines():
        columns = line.split("|")
        if len(columns) != len(COLUMNS):
            raise ValueError(f"sacct printed {line[:200]!r}")
        job_id, words, nodes, partition, submitted, started, ended = columns
        code = words.split(" ")[0]  # "CANCELLED by 1004"
        state = STATES.get(code, State.ENDED)
        over = state is State.ENDED
        found = Seen(
            id=job_id,
            tag=tag,
            owner=owner,
            state=state,
            cause=cause_words(code) if over else "",
            detail=code,
            node="" if nodes == "None assigned" else first_node(nodes),
            partition=partition,
            submitted=epoch(submitted),
            started=epoch(started),
            ends=epoch(ended) if over else None,
        )
    return found
