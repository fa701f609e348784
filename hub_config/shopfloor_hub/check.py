"""`shopfloor check`: the site file held against this machine and the scheduler; check_machine and check_slurm look."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from shopfloor_jobs.request import FIELDS
from shopfloor_jobs.scheduler import Description, SchedulerError, scheduler_from

from . import check_machine, check_slurm, offer
from .findings import FAIL, OK, WARN, Finding
from .site import Site


def check(site: Site) -> int:
    """Print one line for each thing that was looked at; 1 when one must be mended, else 0."""
    failures = 0
    for finding in findings(site):
        print(f"{finding.level:<5} {finding.text}", flush=True)
        failures += finding.level == FAIL
    if failures:
        print(f"{failures} to mend.", flush=True)
    return 1 if failures else 0


def findings(site: Site) -> Iterator[Finding]:
    """Everything that there is to say, in the order in which an administrator would mend it."""
    yield from check_machine.findings(site)
    try:
        description = asyncio.run(scheduler_from(site.hub_scheduler).describe())
    except SchedulerError as error:
        yield Finding(FAIL, f"scheduler: it does not answer: {error}")
        return
    yield Finding(OK, f"scheduler: {description.name} {description.version} answers")
    yield from partitions(site, description)
    yield from presets(site, description)
    if site.scheduler.type == "slurm":
        yield from check_slurm.findings(site, description)


def partitions(site: Site, description: Description) -> Iterator[Finding]:
    """Each partition of the site file: whether it is there, up, and not promised more than it gives."""
    if not any(one.up for one in description.partitions):
        yield Finding(FAIL, "partitions: none is up; see: sinfo")
    known = ", ".join(one.name for one in description.partitions)
    for index, one in enumerate(site.partitions):
        key, info = f"partitions[{index}]", description.partition(one.name)
        if info is None:
            yield Finding(
                FAIL, f"{key}.name: {one.name!r} does not exist; the scheduler has: {known}"
            )
            continue
        if not info.up:
            yield Finding(WARN, f"{key}: {one.name} is down; see: sinfo -R")
        least = offer.given_limits(one)
        for name, most in offer.scheduler_limits(info).items():
            if least.get(name, most) > most:
                shown = FIELDS[name].show(most)
                yield Finding(
                    WARN, f"{key}.{name}: above the scheduler's own limit; {shown} counts"
                )
        if info.up:
            yield Finding(OK, f"{key}: {one.name} is up")


def presets(site: Site, description: Description) -> Iterator[Finding]:
    """Each preset: whether it can be had."""
    made = offer.build(site, description, "somebody").presets
    for preset in made:
        if not preset.disabled:
            yield Finding(OK, f"preset {preset.name}: can be had")
        elif site.presets:
            yield Finding(
                WARN,
                f"preset {preset.name}: {preset.disabled} It is shown disabled; change or remove it",
            )
        else:
            yield Finding(OK, f"preset {preset.name}: {preset.disabled} It is shown disabled")
    if all(preset.disabled for preset in made):
        yield Finding(FAIL, "presets: none can be had, so nobody can start anything")
