"""Shopfloor inside JupyterLab: what people import from it, and for Jupyter where the panel and its server part lie."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clusters.client import Client
    from .clusters.cluster import Cluster

__all__ = ["Cluster", "before_end", "client"]

Function = TypeVar("Function", bound="Callable[[], Any]")


def before_end(function: Function) -> Function:
    """The same as ``shopfloor.before_end``, which every Python has whose kernel is a job: have a function called before
    the job of this kernel ends, be it at its time limit or for want of work."""
    try:
        ours = import_module("shopfloor")
    except ModuleNotFoundError:  # it is no job, which is said there
        ours = import_module(".kernels.inside.shopfloor", __name__)
    registered: Function = ours.before_end(function)
    return registered


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
