"""What ``connect`` gives a notebook: dask's client, connected to a cluster that the Jobs panel started."""

from __future__ import annotations

import html
import warnings
from pathlib import Path

import distributed
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

    ``title`` is the cluster's name.
    """

    title = ""

    @property
    def dashboard_link(self) -> None:
        return None

    def _repr_html_(self) -> str:
        title = f"Cluster <strong>{html.escape(self.title)}</strong>"
        if self.status != "running":
            return f"<p>{title}: not connected</p>"
        threads = self.nthreads()
        return f"<p>{title}: {len(threads)} workers, {sum(threads.values())} threads</p>"


def connect(name: str | None = None, home: Path | None = None) -> Client:
    """See :func:`shopfloor_lab.clusters.connect`; ``home`` is for tests."""
    connection = choose(home or Path.home(), name)
    _compare(connection)
    try:
        with warnings.catch_warnings():
            # A table of what we have just said in words, and of patches that change nothing.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = Client(
                connection.address,
                security=client_security(connection.ca, connection.certificate, connection.key),
                timeout=TIMEOUT,
            )
    except OSError as error:
        if words := expired(connection.certificate):
            raise NotConnected(f"Cluster {connection.name!r}: {words}") from error
        raise NotConnected(
            f"Cluster {connection.name!r} does not answer at {connection.address}; "
            "see in the Jobs panel whether it has ended."
        ) from error
    client.title = connection.name
    return client


def _compare(connection: Connection) -> None:
    """Warn of different versions. Raises NotConnected where messages could not be read."""
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
            stacklevel=4,  # the cell
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
