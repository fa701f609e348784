"""Dask clusters as jobs; notebooks need only :func:`connect`, everything else is imported where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Client


def connect(name: str | None = None) -> Client:
    """A ``distributed.Client`` of the running cluster with this name, or of the newest one.

    Raises LookupError, saying what to do, where there is none, or where it still waits or starts.
    """
    from .client import connect as connect_client

    return connect_client(name)
