"""Whose clock is wrong: the hub's and the nodes', held by `shopfloor check` against that of Slurm's controller.

No job is started for it. Each node is known by the last server that ran there: when its runner began, as the
node's clock had it, and when Slurm started the job, as the controller's had it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shopfloor_jobs.job import Seen
from shopfloor_jobs.scheduler import Scheduler, SchedulerError

from .check_config import Ask
from .findings import FAIL, OK, WARN, Finding

NODES = 64  # asked about at most, the latest first
TOGETHER = 2.0  # seconds that the hub and the controller may differ; both are asked at once
BEHIND = (
    3.0  # seconds that a runner may seem to begin before its job; Slurm's times are whole seconds
)
AHEAD = 120.0  # seconds that a job may take to its first line: a prolog can be slow
WHY = "certificates, munge and the times on the pages go by it; mend its NTP (chronyc tracking, timedatectl)"


def findings(ask: Ask, scheduler: Scheduler) -> Iterator[Finding]:
    """``ask`` runs a command of Slurm's; ``scheduler`` must be able to read records as the people."""
    yield from _controller(ask)
    yield from silent_nodes(ask)
    try:
        begun = asyncio.run(_begun(scheduler))
    except SchedulerError as error:
        yield Finding(WARN, f"clocks: those of the nodes were not compared: {error}")
        return
    yield from nodes(begun)


def _controller(ask: Ask) -> Iterator[Finding]:
    before = time.time()
    try:
        shown = re.search(r"output at .*\((\d+)\)", ask(["sdiag"]))
    except SchedulerError as error:
        yield Finding(WARN, f"clocks: that of Slurm's controller is not known: {error}")
        return
    if shown:
        yield from hub(float(shown[1]), before, time.time())


def hub(controller: float, before: float, after: float) -> Iterator[Finding]:
    """The hub's clock against the controller's, which was read between ``before`` and ``after`` (epoch seconds)."""
    off = before - controller - 1 if before > controller + 1 else min(0.0, after - controller)
    if abs(off) > TOGETHER:
        yield Finding(
            FAIL,
            f"clocks: this machine's is {_long(off)} Slurm's controller's: {WHY}",
        )
    else:
        yield Finding(OK, "clocks: this machine's agrees with Slurm's controller's")


def silent_nodes(ask: Ask) -> Iterator[Finding]:
    """Nodes that do not answer the controller: with a clock that is minutes off, munge lets nothing through."""
    command = ["sinfo", "--all", "--noheader", "--Node", "--states=no_respond", "--format=%N"]
    try:
        silent = sorted(set(ask(command).split()))
    except SchedulerError:
        return
    if silent:
        yield Finding(
            WARN,
            f"nodes: {', '.join(silent)} {'do' if len(silent) > 1 else 'does'} not answer Slurm; beside a broken"
            " link or slurmd, a clock that is minutes off does this: look with date on the node",
        )


async def _begun(scheduler: Scheduler) -> list[tuple[str, float, float]]:
    """Node, when Slurm started a job there, and when its runner began by the node's clock."""
    latest: dict[str, Seen] = {}
    for job in await scheduler.look():
        # Slurm names the first node of a job where the runner is, or a list that says less.
        if job.node and job.started and "[" not in job.node and "," not in job.node:
            known = latest.get(job.node)
            if known is None or (known.started or 0) < job.started:
                latest[job.node] = job
    chosen = sorted(latest.values(), key=lambda job: job.started or 0, reverse=True)[:NODES]
    records = await asyncio.gather(*(_start_record(scheduler, job) for job in chosen))
    return [
        (job.node, job.started or 0, record["started"])
        for job, record in zip(chosen, records, strict=True)
        if isinstance(record.get("started"), int | float)
    ]


async def _start_record(scheduler: Scheduler, job: Seen) -> Mapping[str, Any]:
    index = int(job.id.partition("_")[2] or 0)
    try:
        return (await scheduler.records(job.owner, job.tag, index))["start"] or {}
    except SchedulerError:
        return {}  # a job that is no server of ours, or whose owner's home cannot be read


def nodes(begun: Iterable[Sequence[Any]]) -> Iterator[Finding]:
    """Each node whose clock cannot be right."""
    good, pairs = [], sorted(begun)
    for node, started, began in pairs:
        off = began - started
        if -BEHIND <= off <= AHEAD:
            good.append(node)
            continue
        doubt = "" if off < 0 else ", unless its prolog takes so long"
        yield Finding(FAIL, f"clocks: {node}'s is {_long(off)} Slurm's controller's{doubt}: {WHY}")
    if good:
        yield Finding(OK, f"clocks: {_list(good)} agree with Slurm's controller's")
    elif not pairs:
        yield Finding(
            OK, "clocks: a node's is compared once a server ran there; none did in the last minutes"
        )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"those of {shown} and {len(names) - 8} more" if len(names) > 8 else f"those of {shown}"


def _long(off: float) -> str:
    size = f"{abs(off) / 60:.0f} min" if abs(off) >= 120 else f"{abs(off):.0f} s"
    return f"{size} {'ahead of' if off > 0 else 'behind'}"
