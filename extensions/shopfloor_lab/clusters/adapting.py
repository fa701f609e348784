"""How many workers an adaptive cluster shall have, from what dask's scheduler would like; workers.py does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopfloor_jobs.fields import Refused

from .connection import ANY, Most, check_workers

HOLD = 60.0  # seconds for which the highest wish counts


@dataclass
class Adapting:
    """Between ``minimum`` and ``maximum`` workers.

    More are asked for at once, fewer only when fewer were wished for all of :data:`HOLD`: whoever waits in the
    queue would lose their place by being cancelled and asked for again, and computations come in waves.
    """

    minimum: int
    maximum: int
    _wishes: deque[tuple[float, int]] = field(default_factory=deque, repr=False)

    @classmethod
    def check(cls, asked: Any, most: Most = ANY) -> Adapting:
        """``{"minimum": 1, "maximum": 8}``, where there may be so many workers. Raises Refused."""
        if not isinstance(asked, Mapping) or set(asked) != {"minimum", "maximum"}:
            raise Refused("adapt", asked, "the two numbers minimum and maximum")
        low, high = (_number(name, asked[name], most) for name in ("minimum", "maximum"))
        if high < max(low, 1):
            raise Refused("maximum", high, f"at least {max(low, 1)}")
        return cls(low, high)

    def wanted(self, wish: int, now: float) -> int:
        """How many workers there shall be at ``now`` (seconds of any clock), when dask would like ``wish``."""
        self._wishes.append((now, wish))
        while now - self._wishes[0][0] > HOLD:
            self._wishes.popleft()
        return min(self.maximum, max(self.minimum, *(one for _, one in self._wishes)))

    def to_json(self) -> dict[str, int]:
        return {"minimum": self.minimum, "maximum": self.maximum}


def _number(name: str, value: Any, most: Most) -> int:
    try:
        return check_workers(value, most)
    except Refused as refused:
        raise Refused(name, value, refused.limit) from refused
