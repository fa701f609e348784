"""What a person's notebook does in cluster.py's comparisons: a process of theirs that goes on; it is piped there.

It reads a JSON list on each line, a verb and its arguments, and answers with a line: ``{"ok": {…}}`` or
``{"error": "words"}``. ``at`` is the epoch second in which what was asked for had come. dask and dask-jobqueue are
imported before the first line is read, as in a notebook that is worked in.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import distributed
from dask_jobqueue import SLURMCluster
from shopfloor_lab.clusters.client import NotConnected, connect
from shopfloor_lab.clusters.security import client_security, make_certificates, own_security

LOOK = 0.02  # seconds between looks whether the cluster can be connected to
PATIENCE = 90  # seconds

open_now: list[Any] = []  # clients and clusters, to be closed in turn


def nothing(number: int) -> int:
    return number


def certificates() -> dict[str, Any]:
    """New ones of the kind that our clusters have, and the folder for them, in the home that all nodes see."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path.home()))
    make_certificates(folder / "tls", None)
    return {"folder": str(folder)}


def ours(name: str, workers: int) -> dict[str, Any]:
    """Connect to the cluster of this name as soon as it can be connected to."""
    deadline = time.time() + PATIENCE
    while True:
        try:
            client = connect(name)
            break
        except NotConnected:
            if time.time() > deadline:
                raise
            time.sleep(LOOK)
    return ready(client, workers)


def by_file(folder: str, workers: int) -> dict[str, Any]:
    """Connect to the scheduler that wrote ``scheduler.json`` into a folder of certificates."""
    tls = Path(folder) / "tls"
    security = client_security(
        str(tls / "ca.pem"), str(tls / "client.pem"), str(tls / "client.key")
    )
    client = distributed.Client(
        scheduler_file=f"{folder}/scheduler.json", security=security, timeout=PATIENCE
    )
    return ready(client, workers)


def jobqueue(host: str, queue: str, memory: str, folder: str, workers: int) -> dict[str, Any]:
    """dask-jobqueue as its manual has it, the scheduler in this process; it listens where the nodes reach it."""
    open_now.append(slurm_cluster(host, queue, memory, folder))
    open_now[-1].scale(workers)
    return ready(distributed.Client(open_now[-1]), workers)


def jobqueue_scaled(
    host: str, queue: str, memory: str, folder: str, workers: int
) -> dict[str, Any]:
    """The same, for workers that never connect."""
    open_now.append(slurm_cluster(host, queue, memory, folder))
    open_now[-1].scale(workers)
    return {"at": time.time()}


def slurm_cluster(host: str, queue: str, memory: str, folder: str) -> SLURMCluster:
    return SLURMCluster(
        queue=queue,
        cores=1,
        memory=memory,
        walltime="01:00:00",
        local_directory=folder,
        log_directory=folder,
        scheduler_options={"host": host},
    )


def local(folder: str, workers: int) -> dict[str, Any]:
    """dask's LocalCluster with TLS, of processes with one thread each, without web pages."""
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        protocol="tls://",
        security=own_security(Path(folder) / "tls"),
        dashboard_address=None,
        local_directory=folder,
    )
    open_now.append(cluster)
    return ready(distributed.Client(cluster), workers)


def ready(client: distributed.Client, workers: int) -> dict[str, Any]:
    """When so many workers were connected, and when the first task's result was here."""
    open_now.append(client)
    if workers > 1:
        client.wait_for_workers(workers, timeout=PATIENCE)
    connected = time.time()
    assert client.submit(nothing, 1, pure=False).result(timeout=PATIENCE) == 1
    return {"at": time.time(), "connected": connected}


def throughput(tasks: int) -> dict[str, Any]:
    """Tasks a second that do nothing, sent and gathered at once, of the client that was opened last."""
    client = open_now[-1]
    began = time.perf_counter()
    assert len(client.gather(client.map(nothing, range(tasks), pure=False))) == tasks
    return {"per_second": tasks / (time.perf_counter() - began)}


def close() -> dict[str, Any]:
    while open_now:
        open_now.pop().close()
    return {}


VERBS = {
    verb.__name__: verb
    for verb in (certificates, ours, by_file, jobqueue, jobqueue_scaled, local, throughput, close)
}


def main() -> None:
    os.umask(0o077)
    print(json.dumps({"ok": {}}), flush=True)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        try:
            answer = {"ok": VERBS[verb](*arguments)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the benchmark counts and says it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
