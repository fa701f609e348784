"""What the waiting page is told while a server starts, one event for each change; spawner.py sends them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.reasons import reason
from shopfloor_jobs.request import Request
from shopfloor_jobs.view import Health

from .starting import asked_before

if TYPE_CHECKING:
    from .spawner import ShopfloorSpawner

STAGES = {"asked": 10, "waiting": 30, "starting": 60, "ready": 90}


def progress_of(spawner: ShopfloorSpawner) -> dict[str, Any]:
    """What there is to say now of a spawner's start; events and pages say the same."""
    owner, tag = spawner.owner, spawner.intent.tag if spawner.intent else ""
    seen, started = spawner.view.last_known(owner, tag), spawner.orm_spawner.started
    asked = started.replace(tzinfo=timezone.utc).timestamp() if started else None
    return progress_event(
        seen,
        spawner.request or Request(),
        asked=seen.submitted if seen and seen.submitted else asked,
        before=spawner.view.expected_before(owner, tag),
        health=spawner.view.health,
        arrived=bool(spawner.intent and spawner.intent.port),
        others=asked_before(tag),
    )


def progress_event(
    seen: Seen | None,
    request: Request,
    asked: float | None,
    before: float | None,
    health: Health,
    arrived: bool = False,
    others: int = 0,
) -> dict[str, Any]:
    """One event of JupyterHub's progress stream.

    ``others`` are being submitted before this job. ``asked`` is when the person asked, ``before`` when the job was
    expected to start before that changed (epoch seconds both). Beside JupyterHub's ``progress`` in percent and
    ``message``, an event has ``stage``, ``reason`` and ``step`` (why it waits, what the person can do), ``others`` as
    long as they come first, ``place`` (None where it is not known), ``queues`` (whether a place means anything),
    ``expected``, ``was``, ``asked``, ``looked`` (epoch seconds or None), ``node``, ``trouble`` with ``since``, and
    ``detail``: the scheduler's own code.
    """
    stage = _stage(seen, arrived)
    why = reason(seen.detail) if seen and stage == "waiting" and seen.detail else None
    queues = why is not None and why.queues
    return {
        "progress": STAGES[stage],
        "message": sentence(seen, request, stage),
        "stage": stage,
        "reason": why.words if why else _reason(seen, stage, others),
        "step": why.step if why else "",
        "others": others if stage == "asked" else 0,
        "place": seen.place if seen and queues else None,
        "queues": queues,
        "expected": seen.expected if seen and stage == "waiting" else None,
        "was": before if seen and stage == "waiting" else None,
        "asked": asked,
        "looked": health.looked,
        "node": seen.node if seen else "",
        "trouble": health.trouble,
        "since": health.since,
        "detail": f"job {seen.id}: {seen.detail}" if seen and seen.detail else "",
    }


def _reason(seen: Seen | None, stage: str, others: int) -> str:
    """Why it waits, where the scheduler has no code for it."""
    if stage == "asked" and others:
        return "one other asked before" if others == 1 else f"{others} others asked before"
    return seen.reason if seen and stage == "waiting" else ""


def is_news(event: Mapping[str, Any], last: Mapping[str, Any] | None) -> bool:
    """Whether an event tells more than the one before: that another look showed the same is nothing new."""
    return last is None or any(event[key] != last[key] for key in event if key != "looked")


def sentence(seen: Seen | None, request: Request, stage: str) -> str:
    """The page's large sentence."""
    on_node = f" on {seen.node}" if seen and seen.node else ""
    if stage == "ready":
        return f"JupyterLab answers{on_node}"
    if stage == "starting":
        return f"Starting JupyterLab{on_node}"
    if seen is None or stage == "asked":
        return "Asking for a place"
    why = reason(seen.detail)
    if seen.detail and why.queues:
        return f"Waiting for {wanted(request)}"
    return f"Waiting: {seen.reason}" if seen.reason else "Waiting"


def wanted(request: Request) -> str:
    """What has to become free: ``a free A100``, ``8 free CPUs``, ``2 free nodes``."""
    if request.nodes > 1:
        return f"{request.nodes} free nodes"
    if request.gpus:
        kind = request.gpu_type.upper() or "GPU"
        return f"a free {kind}" if request.gpus == 1 else f"{request.gpus} free {kind}s"
    return "a free CPU" if request.cpus == 1 else f"{request.cpus} free CPUs"


def _stage(seen: Seen | None, arrived: bool) -> str:
    if arrived:
        return "ready"
    if seen is None or seen.state is State.SUBMITTED:
        return "asked"
    return "waiting" if seen.state is State.PENDING else "starting"
