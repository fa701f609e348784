"""What a person's Lab says of their kernels that the scheduler does not know: whose notebook, and whether it ends soon.

Kept in memory, and for a while only: a Lab that runs says it again and again (notes_handler.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

LASTS = 150.0  # seconds; Lab repeats it every minute
MOST, LONGEST = 200, 100  # kernels of one person, letters of a title


@dataclass(frozen=True)
class Note:
    """``title`` is the notebook's name; ``idle_ends`` is when it ends for want of work (epoch seconds), else None."""

    title: str = ""
    idle_ends: float | None = None

    @classmethod
    def from_json(cls, data: Any) -> Note:
        """Raises ValueError, naming field and limit."""
        if not isinstance(data, dict) or set(data) - {"title", "idle_ends"}:
            raise ValueError("a note: an object with title and idle_ends")
        title, ends = data.get("title", ""), data.get("idle_ends")
        if not isinstance(title, str) or len(title) > LONGEST or not _is_shown(title):
            raise ValueError(f"title: a text of at most {LONGEST} letters that UTF-8 has")
        if ends is not None and (type(ends) not in (int, float) or not 0 <= ends < 1e11):
            raise ValueError("idle_ends: epoch seconds, or null")
        return cls(title, ends)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _is_shown(text: str) -> bool:
    """Whether a page can hold it: JSON can name halves of letters, which cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Notes:
    """Everybody's, by tag; ``clock`` gives seconds that never jump."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._known: dict[str, dict[str, tuple[float, Note]]] = {}

    def take(self, owner: str, notes: Mapping[str, Note]) -> None:
        """What one of the owner's servers says now; what another one said stays for its while."""
        until = self._clock() + LASTS
        known = {tag: one for tag, one in self._living(owner).items() if tag not in notes}
        known.update((tag, (until, note)) for tag, note in notes.items())
        self._known[owner] = dict(list(known.items())[-MOST:])

    def of(self, owner: str) -> dict[str, Note]:
        return {tag: note for tag, (_, note) in self._living(owner).items()}

    def _living(self, owner: str) -> dict[str, tuple[float, Note]]:
        now = self._clock()
        return {tag: one for tag, one in self._known.get(owner, {}).items() if one[0] > now}
