"""What a process that is forked of awaiting.py's server does first; that server imports this."""

from __future__ import annotations

import os
import sys


def draw_anew() -> None:
    """Seed numpy's global generator from the system, as a process that imports numpy itself does.

    Otherwise a worker that is started again draws what the one before it drew.
    """
    if random := sys.modules.get("numpy.random"):
        random.seed()


os.register_at_fork(after_in_child=draw_anew)
