"""What ``connect`` gives a notebook: dask's client, connected to a cluster that the Jobs panel started."""

from __future__ import annotations

import html
from pathlib import Path

import distributed
from shopfloor_jobs import directory

from .connection import Connection, Plan, cluster_directories
from .security import client_security, expired

TIMEOUT = 15  # seconds


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
    try:
        client = Client(
            connection.address,
            security=client_security(connection.ca, connection.certificate, connection.key),
            timeout=TIMEOUT,
        )
    except OSError as error:
        if words := expired(connection.certificate):
            raise LookupError(f"Cluster {connection.name!r}: {words}") from error
        raise LookupError(
            f"Cluster {connection.name!r} does not answer at {connection.address}; "
            "see in the Jobs panel whether it has ended."
        ) from error
    client.title = connection.name
    return client


def choose(home: Path, name: str | None) -> Connection:
    """The newest running cluster (of this name). Raises LookupError, in words for the person."""
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
        raise LookupError(
            f"Cluster {newest.name!r} is not ready yet: the Jobs panel says what it waits for."
        )
    which = f"No cluster named {name!r} is running" if name else "No cluster is running"
    raise LookupError(f"{which}: start one in the Jobs panel, then run this cell again.")
