"""What starting a cluster takes, checked and put together: listing.py submits it, form.py shows it."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopfloor_jobs.caps import tightest
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.request import FIELDS, Request

from .adapting import Adapting
from .beside import within
from .carried import carry, with_code
from .connection import KIND, Most, Plan, check_name, check_workers
from .environment import job_environment
from .kernels import Checked, Kernels

CONTROLLER = {"cpus": 1, "memory": 1024**3, "gpus": 0, "gpu_type": "", "nodes": 1}
LEAST_MEMORY = 512 * 1024**2  # of a worker: distributed and pandas alone take half of it
STARTED_WITH = ("name", "workers", "adapt", "request", "lasts", "kernel", "notebook")


@dataclass(frozen=True)
class Prepared:
    """``request`` is that of each worker, ``job`` the controller's; the plan's name is empty where nobody gave one."""

    offer: Offer
    request: Request
    plan: Plan
    job: Job
    checked: Checked


class Planner:
    """Plans for one person: ``offer`` fetches what they may ask for, ``environment`` is the server's, and ``peer`` a
    host that must be able to route to each controller."""

    def __init__(
        self,
        home: Path,
        offer: Callable[[], Awaitable[Offer]],
        environment: Mapping[str, str],
        peer: str,
        kernels: Kernels,
    ):
        self.home, self.offer, self.peer, self.kernels = home, offer, peer, kernels
        self.of_lab, self.environment = environment, job_environment(environment)

    async def plan(self, body: Mapping[str, Any]) -> Prepared:
        """Raises Refused, or what ``offer`` raises."""
        if unknown := set(body) - set(STARTED_WITH):
            raise Refused(str(sorted(unknown)[0])[:64], "", "there is no such field")
        name = check_name(body["name"]) if body.get("name") else ""
        offer = await self.offer()
        asked = body.get("request")
        request = worker_request(offer, {} if asked is None else asked)
        controller = controller_request(offer, request, body.get("lasts"))
        workers, adapt = _how_many(body, offer, request, controller)
        checked = await self.kernels.check(body.get("kernel"), body.get("notebook"))
        if checked.refusal:
            raise Refused("kernel", checked.kernel.name, checked.refusal)
        software = await asyncio.to_thread(self._software, checked)
        plan = Plan(
            name=name,
            workers=workers,
            adapt=adapt,
            lasts=None if body.get("lasts") is None else controller.time,
            request=request.to_json(),
            scheduler=dict(offer.scheduler),
            peer=self.peer,
            created=clock.time(),
            software=software,
            idle=offer.clusters.idle.to_json(),
            most=offer.clusters.workers,
            beside_lab=offer.clusters.beside_lab,
            lab=self.of_lab.get("SHOPFLOOR_TAG", "") if offer.clusters.beside_lab else "",
        )
        job = Job(
            tag=new_tag(KIND),
            owner=offer.person,
            kind=KIND,
            request=controller,
            command=(*checked.kernel.python, "-m", "shopfloor_lab.clusters.controller"),
            env={**self.environment, **software["env"]},
            title=name,
        )
        if plan.beside_lab:
            job = within(job, self.of_lab)
        return Prepared(offer, request, plan, job, checked)

    def _software(self, checked: Checked) -> dict[str, Any]:
        """What the plan says of the software. Raises Refused where our code cannot be put beside it."""
        kernel = checked.kernel
        env = dict(kernel.env)
        if not checked.own:
            try:
                folder = carry(self.home)
            except OSError as error:
                where = error.filename or self.home
                raise Refused(
                    "kernel", kernel.name, f"{where} cannot be written: {error.strerror}"
                ) from error
            env = with_code(env, self.environment.get("PYTHONPATH", ""), folder)
        return {"kernel": kernel.name, "label": kernel.label, "env": env}


def most_workers(offer: Offer, request: Request, controller: Request | None = None) -> Most:
    """How many workers with this request one cluster may have: the site's number, or what the scheduler lets run."""
    controller = controller or Request(cpus=CONTROLLER["cpus"], memory=CONTROLLER["memory"])
    found = tightest(offer.caps, request, beside=controller)
    if found and found[0] < offer.clusters.workers:
        return Most(found[0], str(found[1]))
    return Most(offer.clusters.workers)


def _how_many(
    body: Mapping[str, Any], offer: Offer, request: Request, controller: Request
) -> tuple[int, dict[str, int] | None]:
    """The number of workers at the start, and the range within which it follows the work. Raises Refused."""
    most = most_workers(offer, request, controller)
    if body.get("adapt") is None:
        return check_workers(body.get("workers", 1), most), None
    if "workers" in body:
        raise Refused("adapt", body["adapt"], "in place of workers, not beside it")
    adapting = Adapting.check(body["adapt"], most)
    return adapting.minimum, adapting.to_json()


def worker_request(offer: Offer, options: Any) -> Request:
    """What each worker is to get. Raises Refused."""
    request = offer.check(options)
    if request.nodes != 1:
        raise Refused("nodes", request.nodes, "1: each worker is a job on one node")
    if request.gpus > 1:
        raise Refused(
            "gpus", request.gpus, "1: each GPU has a worker of its own; ask for more workers"
        )
    if request.memory < LEAST_MEMORY:
        raise Refused(
            "memory", request.memory, f"at least {FIELDS['memory'].show(LEAST_MEMORY)} for a worker"
        )
    return request


def controller_request(offer: Offer, worker: Request, lasts: Any = None) -> Request:
    """One CPU on any partition that gives it, for GPUs are for the workers. Raises Refused.

    ``lasts`` is how long the cluster does, as the field time is written; None: as long as each worker. Workers whose
    time is up before are replaced.
    """
    same = {
        name: getattr(worker, name)
        for name in ("time", "account", "qos", "reservation", "environment")
        if getattr(worker, name)
    }
    if worker.reservation:
        same["partition"] = worker.partition  # the reserved nodes are there
    if lasts is None:
        return offer.check({**CONTROLLER, **same})
    try:
        controller = offer.check({**CONTROLLER, **same, "time": lasts})
    except Refused as refused:
        if refused.field != "time":
            raise
        raise Refused("lasts", refused.value, refused.limit) from refused
    if controller.time < worker.time:
        shown = FIELDS["time"].show(worker.time)
        raise Refused("lasts", lasts, f"at least {shown}, which is what each worker asks for")
    return controller
