"""What the hub tells Prometheus of servers, their ends, the scheduler's commands and the view, on its own /hub/metrics.

spawner.py marks the steps of a start, endings.py counts the ends, watch.py names the view and the scheduler.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from shopfloor_jobs.job import Seen, kind_of
from shopfloor_jobs.scheduler import Scheduler
from shopfloor_jobs.slurm import Slurm
from shopfloor_jobs.view import View

from .ending import Ending

# From what a person does not notice to what they give up on; a queue has its own, up to a day.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400)
_COMMAND_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

START = Histogram(
    "shopfloor_start_seconds",
    "Each part of a server's start: submit (click to accepted), queue (Slurm's: submitted to running), launch"
    " (running to reported), answer (reported to reachable). What started before the hub did is left out.",
    ["part"],
    buckets=_SECONDS,
)
ENDS = Counter(
    "shopfloor_ends_total", "Servers that ended or failed to start, by cause.", ["cause"]
)
COMMAND = Histogram(
    "shopfloor_scheduler_command_seconds",
    "Commands of Slurm's that the hub and its helper ran; outcome is ok, refused or no_answer.",
    ["command", "outcome"],
    buckets=_COMMAND_SECONDS,
)

# Job names are anybody's to give, and each label value is a series for ever.
KINDS = ("server", "cluster", "worker", "kernel", "run")
COMMANDS = ("squeue", "sbatch", "scancel", "scontrol", "sacctmgr", "sinfo", "sacct", "srun")
PARTS = ("submit", "queue", "launch", "answer")
for _part in PARTS:
    START.labels(_part)


class StartClock:
    """Measures one start, from its making; each step is told once.

    Slurm's clock is only compared with itself, so that a difference between it and the hub's changes nothing:
    ``launch`` is what is left of submitted → reported when the queue is taken off.
    """

    def __init__(self) -> None:
        self._asked = time.monotonic()
        self._submitted: float | None = None
        self._reported: float | None = None

    def submitted(self) -> None:
        self._submitted = time.monotonic()
        START.labels("submit").observe(self._submitted - self._asked)

    def reported(self, seen: Seen | None) -> None:
        """``seen`` is the running job as the scheduler shows it; its times are epoch seconds."""
        self._reported = time.monotonic()
        if self._submitted is None or seen is None or not seen.submitted or not seen.started:
            return
        queue = max(0.0, seen.started - seen.submitted)
        START.labels("queue").observe(queue)
        START.labels("launch").observe(max(0.0, self._reported - self._submitted - queue))

    def ready(self) -> None:
        if self._reported is not None:
            START.labels("answer").observe(time.monotonic() - self._reported)
        self._submitted = self._reported = None


def ended(ending: Ending) -> None:
    """Count one end; its kinds are few, and each stands in ending.py or refusals.py."""
    ENDS.labels(ending.kind).inc()


def observed(scheduler: Scheduler) -> Scheduler:
    """The scheduler, which from now on tells of its commands; one machine runs none."""
    if isinstance(scheduler, Slurm):
        scheduler.observe = command_ran
    return scheduler


def command_ran(command: str, seconds: float, outcome: str) -> None:
    """What :attr:`shopfloor_jobs.slurm.Slurm.observe` is told; part of it comes from a process of the person's."""
    known = command in COMMANDS and outcome in ("ok", "refused", "no_answer")
    COMMAND.labels(*((command, outcome) if known else ("other", "no_answer"))).observe(seconds)


class ViewCollector:
    """Reads the view when Prometheus asks; without one yet, it tells nothing but the names."""

    def __init__(self, registry: CollectorRegistry = REGISTRY):
        self.view: View | None = None
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        age = GaugeMetricFamily(
            "shopfloor_view_age_seconds",
            "Seconds since the last look at the scheduler that it answered; +Inf before the first.",
        )
        trouble = GaugeMetricFamily(
            "shopfloor_view_trouble", "1 while the scheduler does not answer, else 0."
        )
        jobs = GaugeMetricFamily(
            "shopfloor_jobs",
            "Living jobs of Shopfloor's in the last look, by kind and state (submitted, pending, starting, running).",
            labels=["kind", "state"],
        )
        if self.view is not None:
            age.add_metric([], self.view.age)
            trouble.add_metric([], float(bool(self.view.trouble)))
            for labels, count in sorted(_tally(self.view.jobs()).items()):
                jobs.add_metric(labels, count)
        yield from (age, trouble, jobs)


def _tally(jobs: Iterable[Seen]) -> Tally[tuple[str, str]]:
    # Those of servers are always told: no series and none waiting are not the same in an alert.
    counts = Tally({("server", "pending"): 0, ("server", "running"): 0})
    for job in jobs:
        if job.alive:
            kind = kind_of(job.tag)
            counts[kind if kind in KINDS else "other", job.state.value] += 1
    return counts


VIEW = ViewCollector()


def table() -> str:
    """The rows of docs/administrator.md, one for each metric of ours."""
    named = {"START": START, "ENDS": ENDS, "COMMAND": COMMAND}
    families = [family for metric in named.values() for family in metric.describe()]
    labels = {metric.describe()[0].name: metric._labelnames for metric in named.values()}
    rows = ["| metric | labels | what |", "|---|---|---|"]
    for family in (*families, *VIEW.collect()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        shown = ", ".join(labels.get(family.name, getattr(family, "_labelnames", ())))
        rows.append(f"| `{name}` | {shown} | {family.documentation} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
