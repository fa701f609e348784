"""What is free on the machine now, from its scheduler's description; pure, for the start form and Lab's dialogs.

Free hardware is not yet a start: others may be before one in line. When a job would start only the scheduler
knows (:meth:`~shopfloor_jobs.scheduler.Scheduler.estimate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .fields import Refused
from .offer import Offer
from .request import Request
from .scheduler import Description, NodeInfo


@dataclass(frozen=True)
class Free:
    """What of some nodes is free: CPUs and GPUs by type as ``(free, total)``; ``nodes`` as ``(usable, all)``."""

    nodes: tuple[int, int] = (0, 0)
    cpus: tuple[int, int] = (0, 0)
    gpus: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "nodes": list(self.nodes),
            "cpus": list(self.cpus),
            "gpus": {kind: list(pair) for kind, pair in self.gpus.items()},
        }


def free(description: Description, partition: str) -> Free:
    """What is free on a partition; of a node that takes no jobs now nothing is, but it counts in the total."""
    mine = [node for node in description.nodes if partition in node.partitions]
    usable = [node for node in mine if node.usable]
    kinds = dict.fromkeys(kind for node in mine for kind in node.gpus)
    return Free(
        nodes=(len(usable), len(mine)),
        cpus=(sum(node.free_cpus for node in usable), sum(node.cpus for node in mine)),
        gpus={
            kind: (
                sum(node.free_gpus.get(kind, 0) for node in usable),
                sum(node.gpus.get(kind, 0) for node in mine),
            )
            for kind in kinds
        },
    )


def fits_now(description: Description, request: Request) -> int:
    """On how many nodes of its partition one node's share of the request would fit into what is free."""
    return sum(
        fits_on(node, request)
        for node in description.nodes
        if node.usable and request.partition in node.partitions
    )


def fits_on(node: NodeInfo, request: Request) -> bool:
    kinds = [request.gpu_type] if request.gpu_type else list(node.free_gpus) or [""]
    return (
        node.free_cpus >= request.cpus
        and node.free_memory >= request.memory
        and max(node.free_gpus.get(kind, 0) for kind in kinds) >= request.gpus
    )


def room(description: Description, request: Request) -> int:
    """How many jobs with this request would fit at once into what is free, for words such as "3 free now"."""
    if request.nodes > 1:
        return fits_now(description, request) // request.nodes
    total = 0
    for node in description.nodes:
        if node.usable and request.partition in node.partitions:
            total += _times(node, request)
    return total


def _times(node: NodeInfo, request: Request) -> int:
    counts = [node.free_cpus // request.cpus, node.free_memory // request.memory]
    if request.gpus:
        kinds = [request.gpu_type] if request.gpu_type else list(node.free_gpus)
        counts.append(sum(node.free_gpus.get(kind, 0) // request.gpus for kind in kinds))
    return min(counts)


def alternatives(offer: Offer, description: Description, request: Request) -> list[Request]:
    """Requests near this one that fit into what is free now, the nearest first; none where this one itself fits.

    The same on another type of GPU or another partition, then presets with as many GPUs, then half of it.
    """
    if fits_now(description, request) >= request.nodes:
        return []
    wishes: list[Request] = []
    for partition in offer.partitions:
        kinds = [*partition.gpu_types] if request.gpus else [""]
        wishes += [replace(request, partition=partition.name, gpu_type=kind) for kind in kinds]
    if request.gpus > 1:
        wishes += [replace(one, gpus=request.gpus // 2) for one in [request, *wishes]]
    wishes.append(
        replace(request, cpus=max(1, request.cpus // 2), memory=max(2**26, request.memory // 2))
    )
    return _possible(offer, description, wishes, besides=request)


def _possible(
    offer: Offer, description: Description, wishes: Iterable[Request], besides: Request
) -> list[Request]:
    found: list[Request] = []
    for wish in wishes:
        try:
            checked = offer.check(wish.to_json())
        except Refused:
            continue
        if (
            checked != besides
            and checked not in found
            and fits_now(description, checked) >= checked.nodes
        ):
            found.append(checked)
    return found
