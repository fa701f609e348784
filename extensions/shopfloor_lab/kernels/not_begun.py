"""Why a kernel ended before it answered anybody, in words: from its exit code and what it wrote last."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shopfloor_jobs.masking import mask

NO_IPYKERNEL = re.compile(r"No module named '?ipykernel")
LINES, LONGEST = 3, 400  # of what it wrote, which is told


def why(argv: Sequence[str], code: int, log: str) -> str:
    """``argv`` is its command, ``log`` the last lines that it wrote; what is secret in there is masked."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if any(NO_IPYKERNEL.search(line) for line in lines[-LINES:]):
        return (
            f"its environment has no ipykernel. To install it: {argv[0]} -m pip install ipykernel"
        )
    said = mask(" ".join(lines[-LINES:]))[-LONGEST:]
    return f"it ended before it answered, with exit code {code}{': ' if said else ''}{said}"
