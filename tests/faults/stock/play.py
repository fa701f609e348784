"""A play is one row of the fault table acted on a stock hub; the decorator gathers them for __main__.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .case import Stock

PLAYS: list[Play] = []


@dataclass(frozen=True)
class Play:
    """``act`` does the fault and judges; it is given up after ``seconds``. ``beside``: the proxy is not the hub's."""

    row: int
    what: str
    act: Callable[[Stock], None]
    seconds: float
    beside: bool


def play(
    row: int, what: str, seconds: float = 180, beside: bool = False
) -> Callable[[Callable[[Stock], None]], Callable[[Stock], None]]:
    """Make a function a play of this row."""

    def gathered(act: Callable[[Stock], None]) -> Callable[[Stock], None]:
        PLAYS.append(Play(row, what, act, seconds, beside))
        return act

    return gathered
