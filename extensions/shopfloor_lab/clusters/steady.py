"""Which figures of a cluster are others than those told before, to somebody who reads them; news.py tells them.

Memory and CPU are never the same twice, and an idle cluster would be told anew at every look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MB = 1024**2


@dataclass(frozen=True)
class Near:
    """How near a figure must be to the one told before not to be told: by so much, or by this share of it.

    ``zero`` is whether nothing is told apart from something, however little.
    """

    amount: float
    share: float = 0.0
    zero: bool = True


BYTES = Near(16 * MB, 0.01)
# An idle worker's is between 0 and 8: dask measures half a second, in the kernel's ticks of 10 ms.
PERCENT = Near(10, 0.05, zero=False)
SHARE = Near(0.05)
RATE = Near(0.1, 0.05)
GPU_SECONDS = Near(36, 0.01)  # a hundredth of an hour
CPU_SECONDS = Near(360, 0.02)  # a tenth
# By where they stand in the contract with the panel.
FIGURES = {
    "memory": BYTES,
    "workers.rows.memory": BYTES,
    "workers.rows.cpu": PERCENT,
    "figures.cpu": PERCENT,
    "figures.results": BYTES,
    "figures.spilled": BYTES,
    "figures.unmanaged": BYTES,
    "figures.rate": RATE,
    "figures.gpus.*.busy": SHARE,
    "figures.gpus.*.memory": BYTES,
    "spent.cpu_seconds": CPU_SECONDS,
    "spent.gpu_seconds": GPU_SECONDS,
}


def steady(before: Sequence[Mapping[str, Any]], after: Sequence[Any]) -> list[dict[str, Any]]:
    """The clusters ``after``, with the figures of those ``before`` where they are near."""
    return _rows(before, after, "", "id")


def _rows(before: Any, after: Sequence[Any], path: str, key: str) -> list[Any]:
    known = {one[key]: one for one in before} if isinstance(before, Sequence) else {}
    return [_steady(known.get(one[key]), one, path) for one in after]


def _steady(before: Any, after: Any, path: str) -> Any:
    if isinstance(after, Mapping):
        old = before if isinstance(before, Mapping) else {}
        return {
            name: _steady(old.get(name), value, _below(path, name)) for name, value in after.items()
        }
    if path == "workers.rows":
        return _rows(before, after, path, "name")
    near = FIGURES.get(path)
    return before if near and _is_near(before, after, near) else after


def _below(path: str, name: str) -> str:
    if path == "figures.gpus":
        name = "*"  # a worker's
    return f"{path}.{name}" if path else name


def _is_near(before: Any, after: Any, near: Near) -> bool:
    if not _is_number(before) or not _is_number(after):
        return False
    if near.zero and (before == 0) != (after == 0):
        return False
    return abs(after - before) <= max(near.amount, near.share * abs(before))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
