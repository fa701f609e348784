"""What the start form of a cluster shows before anything is asked for: what workers may get, outlook, job scripts.

Everything is made by what the start itself uses (listing.py) or said by the hub; form_handlers.py puts it on the wire.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Job
from shopfloor_jobs.offer import Offer, Preset
from shopfloor_jobs.request import FIELDS
from shopfloor_jobs.scheduler import Scheduler, scheduler_from

from shopfloor_lab.hub import Hub
from shopfloor_lab.outlooks import Outlooks

from .connection import check_workers
from .first import job_of, together
from .listing import Clusters
from .planning import LEAST_MEMORY, most_workers, worker_request
from .presets import Presets

HIDDEN = ("nodes", "environment")  # a worker has one node, and the software is that of a kernel
ADDRESS = "tls://ADDRESS-OF-THE-CLUSTER"


class Form:
    """Asks for one person; ``clusters`` are theirs, ``hub`` is the one that started the server."""

    def __init__(self, clusters: Clusters, hub: Hub):
        self.clusters, self.hub = clusters, hub
        self.kernels = clusters.planner.kernels
        self.presets = Presets(clusters.home, clusters.offer)
        self._outlooks = Outlooks(hub)

    async def open(self) -> dict[str, Any]:
        """What the form is drawn from: ``offer`` as workers may use it, ``kernels``, and own ``presets``."""
        return {
            "offer": for_workers(await self.clusters.offer()),
            "kernels": await self.kernels.to_json(),
            "presets": await self.presets.list(),
        }

    async def outlook(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """When a cluster's first worker would start and what all of them cost.

        ``cap`` is the sentence on what lets no more workers run at once than a cluster may have, or None. Raises
        Refused or NoOffer.
        """
        unknown = set(body) - {"workers", "request"}
        if unknown:
            raise Refused(str(sorted(unknown)[0])[:64], "", "there is no such field")
        offer = await self.clusters.offer()
        asked = body.get("request")
        request = worker_request(offer, {} if asked is None else asked)
        most = most_workers(offer, request)
        count = max(1, check_workers(body.get("workers", 1), most))
        answer = await self._outlooks.of(request, count)
        return {**answer, "cap": f"{most.why}." if most.why else None}

    async def script(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The jobs that a start with this body would submit: the controller's, and that of one worker.

        Raises what a start raises.
        """
        made = await self.clusters.planner.plan(body)
        config = made.offer.scheduler
        first = await together(made, self.hub)
        # On one machine the runner is run by the interpreter that submits: Lab's, or the controller's.
        submits = {}
        if config["type"] == "local" and not first:
            submits = {"python": made.checked.inspected.executable}
        address = None if first else ADDRESS
        worker = await asyncio.to_thread(job_of, made, self.clusters.home, 1, address)
        return {
            "scheduler": config["type"],
            "jobs": [
                {"what": "worker", **_shown(scheduler_from({**submits, **config}), worker)},
                {"what": "cluster", **_shown(scheduler_from(config), made.job)},
            ],
        }


def for_workers(offer: Offer) -> dict[str, Any]:
    """The offer as JSON, narrowed to what a worker can be; ``workers`` is limited as a field is."""
    data = replace(offer, presets=tuple(_for_worker(offer, one) for one in offer.presets)).to_json()
    limits = data["limits"]
    most = limits["gpus"]["max"]
    limits["gpus"] = {**limits["gpus"], "max": 1 if most is None else min(1, most)}
    limits["memory"] = {**limits["memory"], "min": LEAST_MEMORY}
    limits["workers"] = {"min": 0, "max": offer.clusters.workers}
    data["fields"] = [field for field in data["fields"] if field["name"] not in HIDDEN]
    return data


def _for_worker(offer: Offer, preset: Preset) -> Preset:
    if preset.disabled:
        return preset
    try:
        worker_request(offer, {"preset": preset.name})
    except Refused as refusal:
        label = FIELDS[refusal.field].label if refusal.field in FIELDS else refusal.field
        return replace(preset, disabled=f"{label}: {refusal.limit}.")
    return preset


def _shown(scheduler: Scheduler, job: Job) -> dict[str, Any]:
    """How a job is submitted, and what it then runs. Its variables go another way, and are not shown."""
    return {"submit": _lines(scheduler.shown(job)), "command": _lines(job.command)}


def _lines(command: Any) -> str:
    """A command as it could be typed, an option a line."""
    lines: list[str] = []
    after_option = False
    for word in map(shlex.quote, command):
        option = word.startswith("-")
        if lines and not option and after_option:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
        after_option = option and "=" not in word
    return " \\\n  ".join(lines)
