"""Shopfloor inside JupyterLab: what people import from it, and for Jupyter where the panel and its server part lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clusters.client import Client
    from .clusters.cluster import Cluster

__all__ = ["Cluster", "client"]


def client(name: str | None = None, *, asynchronous: bool = False) -> Client:
    """A ``distributed.Client`` of the running cluster with this name, or of the newest one.

    In a coroutine: ``await client(name, asynchronous=True)``, or ``async with``. Raises LookupError, saying what
    to do, where there is none, or where it still waits or starts.
    """
    from .clusters.client import connect

    return connect(name, asynchronous=asynchronous)


def __getattr__(name: str) -> Any:
    # Lab's server imports this package at its start, and Dask would take it a second.
    if name == "Cluster":
        from .clusters.cluster import Cluster

        return Cluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "shopfloor-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "shopfloor_lab.app"}]
