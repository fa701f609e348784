"""A worker that is asked for before its cluster listens: imports dask while it waits, then becomes that worker.

Run as ``python -m shopfloor_lab.clusters.awaiting MODULE DIRECTORY ARGUMENT…`` (command.py): once the controller says
in DIRECTORY, the cluster's, how it is reached, MODULE's command line goes on in this process with that address and the
arguments. Until then TERM ends it at once, for nobody handles it.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
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
BEGAN, OVER = "start-0.json", (ENDED, "exit-0.json")


class NoCluster(Exception):
    """Why there is nothing to connect to, in words."""


def address(directory: Path, clock: Callable[[], float] = time.monotonic) -> str:
    """The address of the cluster with this job directory, as soon as it is there. Raises NoCluster."""
    since, began = clock(), None
    while True:
        now = clock()
        try:
            # Listed, not opened: a file system on the network believes for long that a file is not there.
            names = {path.name for path in directory.iterdir()}
        except OSError as error:
            raise NoCluster(f"the cluster's directory cannot be read: {error.strerror}") from error
        if CONNECTION in names and (connection := Connection.read(directory)):
            return connection.address
        if names.intersection(OVER):
            raise NoCluster("the cluster ended before this worker could connect")
        if BEGAN in names and began is None:
            began = now
        if began is None and now - since > BEGINS_WITHIN:
            raise NoCluster(
                "the cluster itself has not begun yet: nothing is held for it until then"
            )
        if began is not None and now - began > LISTENS_WITHIN:
            raise NoCluster(f"the cluster did not listen within {LISTENS_WITHIN:.0f} s")
        time.sleep(next(pause for limit, pause in PAUSES if now - since < limit))


def prepare_fork() -> None:
    """Begin the server of which dask's nanny forks the worker, so that this imports distributed at the same time.

    It has the variables that the nanny would set for a worker that it spawns (distributed.nanny.Nanny).
    """
    import dask

    variables = {**USUAL, **dask.config.get("distributed.nanny.pre-spawn-environ", {})}
    for name, value in variables.items():
        if value is not None:
            os.environ.setdefault(name, str(value))
    if os.environ.get("PYTHONHASHSEED") in (None, "0"):
        os.environ["PYTHONHASHSEED"] = HASH_SEED
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    multiprocessing.get_context("forkserver").set_forkserver_preload(["distributed.worker"])
    forkserver.ensure_running()


def main() -> None:
    module, directory, *arguments = sys.argv[1:]
    prepare_fork()
    command = importlib.import_module(module)
    import distributed.utils

    distributed.utils._forkserver_preload_set = (
        True  # it would import all of pandas here, for a server that runs
    )
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
