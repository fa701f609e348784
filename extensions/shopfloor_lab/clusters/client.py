"""dask's client, connected to a cluster that the Jobs panel started; cluster.py is the cluster itself."""

from __future__ import annotations

import html
import warnings
from pathlib import Path
from typing import Any

import distributed
from distributed.security import Security
from distributed.versions import VersionMismatchWarning
from shopfloor_jobs import directory

from .connection import Connection, Plan, cluster_directories
from .security import client_security, expired
from .versions import differences, versions_here

TIMEOUT = 15  # seconds


class NotConnected(LookupError):
    """Why there is no connection, in words for the person; a notebook shows these instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class OtherVersions(UserWarning):
    """Notebook and cluster have different versions of what mostly works together all the same."""


class Client(distributed.Client):
    """dask's client without its links to a dashboard: a cluster opens no web server of its own.

    ``address`` is that of the scheduler, or a :class:`~.cluster.Cluster`; ``connection`` says which cluster it is.
    """

    def __init__(self, address: Any, *, connection: Connection, **options: Any):
        self.connection = connection
        super().__init__(address, **options)

    @property
    def title(self) -> str:
        """The cluster's name."""
        return self.connection.name

    @property
    def dashboard_link(self) -> None:
        return None

    async def _start(self, *arguments: Any, **options: Any) -> Client:
        try:
            with warnings.catch_warnings():
                # A table of what compare() says in words, and of patches that change nothing.
                warnings.simplefilter("ignore", VersionMismatchWarning)
                return await super()._start(*arguments, **options)
        except OSError as error:
            raise no_answer(self.connection) from error

    async def _shutdown(self) -> None:
        if self.cluster:
            self.status = "closing"  # so that it does not look for the scheduler that goes
            await self.cluster.shutdown()  # its close() leaves it as it is
        await super()._shutdown()

    def _repr_html_(self) -> str:
        title = f"Cluster <strong>{html.escape(self.title)}</strong>"
        if self.status != "running":
            return f"<p>{title}: not connected</p>"
        threads = self.nthreads()
        return f"<p>{title}: {len(threads)} workers, {sum(threads.values())} threads</p>"


def connect(
    name: str | None = None, home: Path | None = None, *, asynchronous: bool = False
) -> Client:
    """See :func:`shopfloor_lab.client`; ``home`` is for tests."""
    connection = choose(home or Path.home(), name)
    compare(connection)
    return Client(
        connection.address,
        connection=connection,
        security=security_of(connection),
        timeout=TIMEOUT,
        asynchronous=asynchronous,
    )


def security_of(connection: Connection) -> Security:
    """What to connect with."""
    return client_security(connection.ca, connection.certificate, connection.key)


def no_answer(connection: Connection) -> NotConnected:
    """Why a cluster cannot be reached that seemed to run, in words."""
    if words := expired(connection.certificate):
        return NotConnected(f"Cluster {connection.name!r}: {words}")
    return NotConnected(
        f"Cluster {connection.name!r} does not answer at {connection.address}; "
        "see in the Jobs panel whether it has ended."
    )


def compare(connection: Connection, stacklevel: int = 4) -> None:
    """Warn of different versions, at the cell, which is ``stacklevel`` calls away.

    Raises NotConnected where messages could not be read.
    """
    if not connection.versions:
        return  # its Shopfloor is older than this
    found = differences(versions_here(), connection.versions)
    unreadable = [one.words("here", "there") for one in found if one.unreadable]
    if unreadable:
        raise NotConnected(
            f"This kernel and cluster {connection.name!r} cannot read each other's messages. "
            f"{'; '.join(unreadable)}. Choose the cluster's kernel for this notebook (Kernel > Change Kernel…), "
            "or start a cluster with this notebook's kernel in the Jobs panel."
        )
    if others := [one.words("here", "there") for one in found]:
        warnings.warn(
            f"Versions differ between this kernel and cluster {connection.name!r}, which mostly works. "
            f"{'; '.join(others)}.",
            OtherVersions,
            stacklevel=stacklevel,
        )


def choose(home: Path, name: str | None) -> Connection:
    """The newest running cluster (of this name). Raises NotConnected."""
    running: list[Connection] = []
    waiting: list[Plan] = []
    for path in cluster_directories(home):
        plan = Plan.read(path)
        if plan is None or (name is not None and plan.name != name):
            continue
        if (path / "ended.json").exists() or directory.exit_record(path):
            continue
        if connection := Connection.read(path):
            running.append(connection)
        else:
            waiting.append(plan)
    if running:
        return max(running, key=lambda one: one.started)
    if waiting:
        newest = max(waiting, key=lambda one: one.created)
        raise NotConnected(
            f"Cluster {newest.name!r} is not ready yet: the Jobs panel says what it waits for."
        )
    which = f"No cluster named {name!r} is running" if name else "No cluster is running"
    raise NotConnected(f"{which}: start one in the Jobs panel, then run this cell again.")
