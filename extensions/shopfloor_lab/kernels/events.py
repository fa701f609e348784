"""The event that tells open pages of a server's kernels that are jobs; all of them, whenever one is another."""

from __future__ import annotations

EVENT = "urn:shopfloor:kernels"
SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "Kernels that are jobs",
    "description": "The kernels of this server that run as jobs of their own, all of them each time.",
    "personal-data": True,
    "type": "object",
    "properties": {
        "kernels": {
            "title": "Kernels",
            "description": "As the route shopfloor/api/job-kernels answers.",
            "type": "array",
            "items": {"type": "object"},
        },
        "server_time": {
            "title": "Time",
            "description": "When this was so, in epoch seconds.",
            "type": "number",
        },
    },
    "required": ["kernels", "server_time"],
}
