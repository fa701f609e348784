"""What is kept of a kernel beside its job, so that the next Lab server finds it again; the keys are in the order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shopfloor_jobs import directory
from shopfloor_jobs.records import of_known

from .lab import Holder

KEPT = "kernel.json"


@dataclass(frozen=True)
class Session:
    """Jupyter's session: which document a kernel belongs to. ``id`` is Jupyter's own; ``path`` is the API's."""

    id: str
    path: str
    name: str
    type: str


@dataclass(frozen=True)
class Kept:
    """A kernel by the id that Jupyter knows it by, started from the kernelspec ``name``.

    ``chosen`` is what the person asked for, ``asked`` when (epoch seconds); ``holder`` is who has it.
    """

    kernel_id: str
    name: str
    chosen: Mapping[str, Any]
    asked: float
    holder: Holder
    session: Session | None = None

    def write(self, path: Path) -> None:
        """Raises OSError."""
        directory.write_json(path / KEPT, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Kept | None:
        """None where there is none, or one of another version. Raises OSError."""
        data = directory.read_json(path / KEPT)
        try:
            if data is None:
                return None
            session = data["session"]
            kept = of_known(
                cls,
                {
                    **data,
                    "asked": float(data["asked"]),
                    "chosen": dict(data["chosen"]),
                    "holder": of_known(Holder, data["holder"]),
                    "session": of_known(Session, session) if session else None,
                },
            )
        except (KeyError, TypeError, ValueError):
            return None
        return kept if all(isinstance(one, str) for one in (kept.kernel_id, kept.name)) else None


def forget(path: Path) -> None:
    """Nobody is to find this kernel again. Raises OSError."""
    (path / KEPT).unlink(missing_ok=True)
