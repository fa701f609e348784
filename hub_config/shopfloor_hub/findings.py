"""What `shopfloor check` says: one finding a line."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True)
class Finding:
    """``text`` names what was looked at; unless it is ok, it says what to do as well."""

    level: str
    text: str
