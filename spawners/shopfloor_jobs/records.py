"""Records from JSON that another version may have written: hub, Lab and jobs are not brought up to date together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def of_known(kind: type[T], data: Mapping[str, Any]) -> T:
    """A record, without the fields that only another version of it has.

    Raises TypeError where one is missing, or ``data`` is no object.
    """
    given = {**data}
    known = {one.name for one in fields(kind)} & set(given)  # type: ignore[arg-type]
    return kind(**{name: given[name] for name in known})
