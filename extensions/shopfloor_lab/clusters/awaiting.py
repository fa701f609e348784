"""A worker that is asked for before its cluster listens: imports dask while it waits, then becomes that worker.

Run as ``python -m shopfloor_lab.clusters.awaiting MODULE DIRECTORY ARGUMENT…`` (command.py): once the controller says
in DIRECTORY, the cluster's, how it is reached, MODULE's command line goes on in this process with that address and the
arguments. Until then TERM ends it at once.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver, util
from pathlib import Path

from shopfloor_jobs.directory import leave_cause

from .connection import CONNECTION, ENDED, Connection

BEGINS_WITHIN = 15.0  # seconds for the cluster's own job to begin: until then this one holds its GPU for nothing
LISTENS_WITHIN = 60.0  # seconds for the cluster to listen, from then on
# Seconds between looks, by how long it has been looked: on a network file system each is a question to its server.
PAUSES = ((3.0, 0.03), (15.0, 0.2), (float("inf"), 1.0))
# What distributed itself sets for workers, which is known only once it is imported; the same for all of a cluster.
USUAL = {
    "MALLOC_TRIM_THRESHOLD_": 65536,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}
HASH_SEED = "6640"
PRELOAD = ["distributed.worker", "shopfloor_lab.clusters.forked"]
BEGAN, OVER = "start-0.json", (ENDED, "exit-0.json")


class NoCluster(Exception):
    """Why there is nothing to connect to, in words."""


def address(directory: Path, clock: Callable[[], float] = time.monotonic) -> str:
    """The address of the cluster with this job directory, as soon as it is there. Raises NoCluster."""
    since, began = clock(), None
    while True:
        now, names, trouble = clock(), set(), ""
        try:
            # Listed, not opened: a file system on the network believes for long that a file is not there.
            names = {path.name for path in directory.iterdir()}
            if CONNECTION in names and (connection := Connection.read(directory)):
                return connection.address
        except OSError as error:
            # On a network such a thing passes.
            trouble = f"; its directory cannot be read: {error.strerror}"
        if names.intersection(OVER):
            raise NoCluster("the cluster ended before this worker could connect")
        if BEGAN in names and began is None:
            began = now
        if began is None and now - since > BEGINS_WITHIN:
            raise NoCluster(
                f"the cluster itself has not begun yet: nothing is held for it until then{trouble}"
            )
        if began is not None and now - began > LISTENS_WITHIN:
            raise NoCluster(f"the cluster did not listen within {LISTENS_WITHIN:.0f} s{trouble}")
        time.sleep(next(pause for limit, pause in PAUSES if now - since < limit))


def prepare_fork() -> None:
    """Begin the server of which dask's nanny forks the worker, so that this imports distributed at the same time.

    It has the variables that the nanny would set for a worker that it spawns (distributed.nanny.Nanny): all workers
    of a cluster must hash alike. Where no socket can be made for it, the nanny spawns the worker, as ever.
    """
    import dask

    usual = {**USUAL, **dask.config.get("distributed.nanny.pre-spawn-environ", {})}
    variables = {
        name: os.environ.get(name, str(value)) for name, value in usual.items() if value is not None
    }
    if variables.get("PYTHONHASHSEED") in (None, "0"):
        variables["PYTHONHASHSEED"] = HASH_SEED
    os.environ.update(variables)
    # An abstract socket, which Python 3.10.8 and before took, lets in everybody on the node (CVE-2022-42919).
    util.abstract_sockets_supported = False
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    try:
        forkserver.ensure_running()
    except OSError as error:
        print(f"The worker's process is spawned, not forked: {error}", file=sys.stderr)
        return
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})


def main() -> None:
    module, directory, *arguments = sys.argv[1:]
    # In order, so that the folder with the server's socket is not left on the node.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    prepare_fork()
    command = importlib.import_module(module)
    import distributed.utils

    # It would import all of pandas here, for a server that runs already.
    distributed.utils._forkserver_preload_set = True
    try:
        found = address(Path(directory))
    except NoCluster as error:
        with contextlib.suppress(OSError):
            index = int(os.environ["SHOPFLOOR_INDEX"])
            leave_cause(Path(os.environ["SHOPFLOOR_JOB_DIR"]), index, str(error))
        raise SystemExit(str(error)) from error
    sys.argv = [module, found, *arguments]
    command.main()


if __name__ == "__main__":
    main()
