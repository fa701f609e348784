"""What our lines in the hub's log carry beside their words: a job's tag, owner and id; the hub's logs.py shows it."""

from __future__ import annotations

import logging
from typing import Any

ATTRIBUTE = "shopfloor"  # of a log record

log = logging.getLogger("jupyterhub.shopfloor")


def about(tag: str, owner: str, job: str = "", **more: Any) -> dict[str, Any]:
    """For ``extra=`` of a logging call; what is empty is left out. Nothing secret belongs here."""
    fields = {"tag": tag, "owner": owner, "job": job, **more}
    return {ATTRIBUTE: {key: value for key, value in fields.items() if value not in ("", None)}}
