"""GET shopfloor/api/gpu-time: what the person's jobs held and used of GPUs this month, by project."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from .answering import JsonHandler, for_the_person
from .gpu_record import month_of, spent


class GpuTimeHandler(JsonHandler):
    """``home`` is where jobs note it, those of this server and of others."""

    def initialize(self, home: Path) -> None:
        self.home = home

    @for_the_person
    async def get(self) -> None:
        month = month_of(time.time())
        projects = await asyncio.to_thread(spent, self.home, month)
        shown: list[dict[str, Any]] = [
            {"project": project, **seconds} for project, seconds in sorted(projects.items())
        ]
        self.finish({"month": month, "projects": shown})
