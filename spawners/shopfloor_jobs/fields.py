"""The kinds of value a request is made of: how each is read, checked in form and written for people."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNITS = {"integer": "", "bytes": "bytes", "seconds": "seconds", "choice": ""}

_BYTES = re.compile(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d{1,3})-)?(\d{1,4}):(\d{1,2})(?::(\d{1,2}))?")
_SPAN = re.compile(
    r"\s*".join(
        rf"(?:(\d{{1,6}}(?:\.\d{{1,2}})?)\s*(?:{unit}))?"
        for unit in ("d|days?", "h|hours?", "m|min", "s|sec")
    ),
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")


class Refused(ValueError):
    """A value that cannot be had; says which field, which value and what the limit is.

    ``field`` is the field's name, ``value`` what was asked, ``limit`` a sentence fragment such as
    ``"at most 8"``. Long values are shortened in the message, so it is safe to show and to log.
    """

    def __init__(self, field: str, value: Any, limit: str):
        self.field, self.value, self.limit = field, value, limit
        super().__init__(f"{field}: {shorten(value)} is not possible: {limit}")

    def to_json(self) -> dict[str, Any]:
        return {"message": str(self), "field": self.field, "limit": self.limit}


@dataclass(frozen=True)
class Field:
    """One row of the table of fields.

    ``type`` is one of ``integer``, ``bytes``, ``seconds`` or ``choice``; ``label`` is the plain word for
    the screen, ``term`` Slurm's own word, ``default`` the value where no preset says anything, and
    ``minimum`` the least value that makes sense anywhere.
    """

    name: str
    type: str
    label: str
    term: str
    help: str
    default: int | str
    minimum: int = 0

    @property
    def unit(self) -> str:
        return UNITS[self.type]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "unit": self.unit,
            "label": self.label,
            "term": self.term,
            "help": self.help,
            "default": self.default,
            "minimum": self.minimum,
        }

    def parse(self, value: Any) -> int | str:
        """Read a value as it comes from a form, JSON, TOML or a command line.

        Returns bytes or seconds as ``int``, choices as ``str`` (empty: no choice made). Raises
        :class:`Refused` when it is of the wrong type, malformed or below the field's minimum.
        """
        if self.type == "choice":
            return self._parse_choice(value)
        number = self._parse_number(value)
        if number < self.minimum:
            raise Refused(self.name, value, f"at least {self.show(self.minimum)}")
        return number

    def show(self, value: int | str) -> str:
        """The value in words for a person: ``4 GB``, ``2 h``, ``gpu``."""
        if self.type == "bytes":
            return show_bytes(int(value))
        if self.type == "seconds":
            return show_seconds(int(value))
        return str(value)

    def _parse_choice(self, value: Any) -> str:
        if value is None or value == "":
            return ""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise Refused(self.name, value, "a name of up to 64 letters, digits and _ . : + -")
        return value

    def _parse_number(self, value: Any) -> int:
        number = self._read_number(value)
        if number is None:
            raise Refused(self.name, value, _EXPECTED[self.type])
        if abs(number) >= 2**63:
            raise Refused(self.name, value, "a number of at most 18 digits")
        return number

    def _read_number(self, value: Any) -> int | None:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, str) or len(value) > 32 or not value.isascii():
            return None
        text = value.strip()
        if re.fullmatch(r"-?\d{1,18}", text):
            return int(text)
        if self.type == "bytes":
            return parse_bytes(text)
        return parse_seconds(text) if self.type == "seconds" else None


_EXPECTED = {
    "integer": "a whole number",
    "bytes": "a size such as 4G or 512M",
    "seconds": "a time such as 2h, 90m or 1-00:00:00",
}


def parse_bytes(text: str) -> int | None:
    """``4G``, ``1.5 GB`` or ``512M`` in bytes (powers of 1024, as Slurm counts); None if it is no size."""
    match = _BYTES.fullmatch(text)
    if not match:
        return None
    power = " KMGT".index(match[2].upper() or " ")
    return int(float(match[1]) * 1024**power)


def parse_seconds(text: str) -> int | None:
    """``2h``, ``90m``, ``1 h 30 min``, ``1:30:00`` or ``1-00:00:00`` in seconds; None if it is no time."""
    if match := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        if minutes > 59 or seconds > 59:
            return None
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    match = _SPAN.fullmatch(text.strip())
    if not match or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return round(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def show_bytes(value: int) -> str:
    """Bytes in the largest unit that keeps it readable: ``512 MB``, ``4 GB``, ``1.5 GB``."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "KB")):
        if value >= 1024**power:
            return f"{value / 1024**power:.1f}".removesuffix(".0") + f" {unit}"
    return f"{value} bytes"


def show_seconds(value: int) -> str:
    """Seconds in words: ``45 s``, ``30 min``, ``2 h``, ``1 h 30 min``, ``2 days``."""
    if value < 60:
        return f"{value} s"
    if value < 3600:
        return f"{value // 60} min"
    if value >= 2 * 86400 and value % 86400 == 0:
        return f"{value // 86400} days"
    hours, minutes = divmod(value // 60, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def shorten(value: Any, length: int = 60) -> str:
    """The value as it may stand in a message or a log: printable, on one line, of bounded length."""
    if isinstance(value, str | bytes):
        text = repr(value[: length + 1])
    elif isinstance(value, int) and value.bit_length() > 64:
        text = f"{value:#x}"  # unlike decimal, this has no limit on digits
    else:
        text = reprlib.repr(value)  # of bounded depth, whatever it is
    return text if len(text) <= length else text[:length] + "…"


def nearest(word: Any, known: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """The clause ``, did you mean 'x'?`` when one of the known words is close to this one, else empty."""
    import difflib

    if not isinstance(word, str):
        return ""
    close = difflib.get_close_matches(word[:64], list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""
