"""Times on pages, which show them in the reader's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone


@dataclass(frozen=True)
class Moment:
    """A time: ``iso`` for the browser, which knows the reader's time zone, ``clock`` where it has no script."""

    iso: str
    clock: str


def moment(epoch: float) -> Moment:
    """Epoch seconds as a moment."""
    then = datetime.fromtimestamp(epoch, tz=timezone.utc)
    return Moment(then.isoformat(timespec="seconds"), then.astimezone().strftime("%H:%M"))


def utc(naive: datetime) -> Moment:
    """A time as JupyterHub's database holds it."""
    return moment(naive.replace(tzinfo=timezone.utc).timestamp())
