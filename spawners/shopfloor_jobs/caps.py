"""What a person or a project may have at once, as the scheduler enforces it: told before jobs are asked for in vain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .request import FIELDS, Request

KINDS = ("gpus", "cpus", "memory", "jobs")


@dataclass(frozen=True)
class Cap:
    """``whose`` (such as "Project climate") may have ``most`` of one of :data:`KINDS` at once; memory in bytes.

    It holds for requests that name ``account`` and ``qos``, where these are not empty, and for those that name no
    account where that is the ``usual_account``, and no QOS where that is the ``usual_qos``.
    """

    kind: str
    most: int
    whose: str
    account: str = ""
    qos: str = ""
    usual_account: bool = False
    usual_qos: bool = False

    def __str__(self) -> str:
        return f"{self.whose} may have {_amount(self.kind, self.most)} at once"

    def holds_for(self, request: Request) -> bool:
        return _holds(self.account, self.usual_account, request.account) and _holds(
            self.qos, self.usual_qos, request.qos
        )

    def jobs(self, request: Request, beside: Request | None = None) -> int | None:
        """How many jobs with this request it lets run at once, ``beside`` one with another; None: it says nothing."""
        needed = _needed(self.kind, request)
        if not needed:
            return None
        return max(0, self.most - (_needed(self.kind, beside) if beside else 0)) // needed

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def tightest(
    caps: Iterable[Cap], request: Request, beside: Request | None = None
) -> tuple[int, Cap] | None:
    """The fewest jobs with this request that any cap lets run at once, and that cap; None where none limits them."""
    found = [
        (count, cap)
        for cap in caps
        if cap.holds_for(request) and (count := cap.jobs(request, beside)) is not None
    ]
    return min(found, key=lambda one: one[0], default=None)


def _holds(own: str, usual: bool, asked: str) -> bool:
    return not own or asked == own or (usual and not asked)


def _needed(kind: str, request: Request) -> int:
    if kind == "jobs":
        return 1
    return int(getattr(request, kind)) * request.nodes


def _amount(kind: str, most: int) -> str:
    if kind == "memory":
        return f"{FIELDS['memory'].show(most)} of memory"
    one = {"gpus": "GPU", "cpus": "CPU", "jobs": "job"}[kind]
    return f"1 {one}" if most == 1 else f"{most} {one}s"
