"""How the hub's log looks: text, or one JSON object a line; with the job's fields, without what looks secret."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

from jupyterhub.log import CoroutineLogFormatter
from shopfloor_jobs.masking import mask
from shopfloor_spawners.logged import ATTRIBUTE

from .site import Site

# Letters of one message; JupyterHub logs headers and bodies of requests, too.
LONGEST = 64 * 1024


def _cut(text: str) -> str:
    return (
        text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST} more letters)"
    )


class TextFormatter(CoroutineLogFormatter):
    """JupyterHub's lines, with ``key=value`` after ours."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, ATTRIBUTE, {})
        words = "".join(f" {key}={value}" for key, value in fields.items())
        first, newline, rest = _cut(super().format(record)).partition("\n")
        return mask(f"{first}{words}{newline}{rest}")


class JsonFormatter(CoroutineLogFormatter):
    """One object a line: time (UTC), level, logger, message, the job's fields, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(_cut(record.getMessage())),
            **getattr(record, ATTRIBUTE, {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["traceback"] = mask(_cut(self.formatException(record.exc_info)))
        return json.dumps(line, ensure_ascii=False, default=str)


FORMATTERS = {"text": TextFormatter, "json": JsonFormatter}


def apply(c: Any, site: Site) -> None:
    chosen = FORMATTERS[site.hub.log_format]
    c.JupyterHub.logging_config = {
        "formatters": {"console": {"class": f"{chosen.__module__}.{chosen.__qualname__}"}},
        # Ours is no child of JupyterHub's, and would go to standard error without time and level.
        "loggers": {
            "jupyterhub.shopfloor": {"level": "INFO", "handlers": ["console"], "propagate": False}
        },
    }
