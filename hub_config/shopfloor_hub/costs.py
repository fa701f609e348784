"""What a request takes of a project's hours, what is left, and how much is free, in words for the pages."""

from __future__ import annotations

from collections.abc import Sequence

from shopfloor_jobs.accounts import Account
from shopfloor_jobs.availability import free, room
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Description

NONE_FREE = "none free now"


def gpu_seconds(request: Request, count: int = 1) -> int:
    """What ``count`` jobs with a request take of a project's GPU time when they run to their end."""
    return request.gpus * request.nodes * request.time * count


def hours(seconds: float) -> str:
    """GPU-seconds as hours that people read: ``2``, ``0.5``, ``1,204``."""
    value = seconds / 3600
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def rate_words(request: Request, count: int = 1) -> str:
    """What ``count`` jobs take while they run: ``4 GPU-hours per hour``; empty where no GPU is asked for."""
    rate = request.gpus * request.nodes * count
    return f"{rate:,} GPU-hour{'' if rate == 1 else 's'} per hour" if rate else ""


def cost_words(request: Request, account: Account | None, count: int = 1) -> str:
    """``2 of the 148 GPU-hours that vision has left``; empty where nobody counts."""
    cost = gpu_seconds(request, count)
    if account is None:
        return f"{hours(cost)} GPU-hours" if cost else ""
    if account.gpu_left is None:
        return f"{hours(cost)} GPU-hours of {account.name}" if cost else ""
    left = hours(account.gpu_left)
    if not cost:
        return f"none of the {left} GPU-hours that {account.name} has left"
    return f"{hours(cost)} of the {left} GPU-hours that {account.name} has left"


def left_words(mine: Sequence[Account]) -> list[str]:
    """One line for each project that has a limit, the usual one first: ``vision: 148 of 200 GPU-hours left``."""
    return [
        f"{one.name}: {hours(one.gpu_left)} of {hours(one.gpu_limit)} GPU-hours left"
        for one in mine
        if one.gpu_left is not None and one.gpu_limit is not None
    ]


def room_words(description: Description, request: Request) -> str:
    """``3 free now`` for a card; empty where nobody knows."""
    if not description.nodes:
        return ""
    times = room(description, request)
    if times == 0:
        return NONE_FREE
    return "free now" if request.gpus == 0 else f"{times} free now"


def free_words(offer: Offer, description: Description) -> list[str]:
    """What is free of the hardware on offer: ``CPU nodes 12 of 16 CPUs``, ``A100 3 of 4``; each GPU type once."""
    found: dict[str, str] = {}
    for partition in offer.partitions:
        here = free(description, partition.name)
        for kind, (now, total) in here.gpus.items():
            if kind in partition.gpu_types:
                found.setdefault(kind, f"{kind.upper()} {now} of {total}")
        if not here.gpus and here.nodes[1]:
            now, total = here.cpus
            label = partition.label or partition.name
            found.setdefault(f"partition {partition.name}", f"{label} {now} of {total} CPUs")
    return list(found.values())
