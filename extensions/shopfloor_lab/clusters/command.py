"""The command of a worker's job, as job.py submits it and form.py shows it; imports nothing of Dask."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from shopfloor_jobs.request import Request

from . import named
from .connection import SCRATCH, TLS

DEATH_TIMEOUT = 45  # seconds without the controller after which a worker ends by itself
AWAITING = "shopfloor_lab.clusters.awaiting"
ON_CPUS, ON_A_GPU = "distributed.cli.dask_worker", "shopfloor_lab.clusters.gpu_worker"
MB = 1024**2
OUR_CODE = Path(named.__file__).resolve().parents[2]
NAMED = Path(named.__file__).resolve().relative_to(OUR_CODE)


def worker_command(
    address: str | None,
    names: Sequence[str],
    request: Request,
    directory: Path,
    python: str = sys.executable,
    code: Path = OUR_CODE,
) -> list[str]:
    """The argument list that starts workers of the cluster with this job directory, copy ``i`` as ``names[i]``.

    Without an address they wait until the cluster says in its directory how it is reached (awaiting.py).
    ``python`` is the interpreter and ``code`` the folder with our packages, where they are not this process's own.
    """
    tls = directory / TLS
    module = ON_A_GPU if request.gpus else ON_CPUS
    begin = [AWAITING, module, str(directory)] if address is None else [module, address]
    return [
        python,
        "-IS",
        str(code / NAMED),
        ",".join(names),
        python,
        "-m",
        *begin,
        "--tls-ca-file",
        str(tls / "ca.pem"),
        "--tls-cert",
        str(tls / "worker.pem"),
        "--tls-key",
        str(tls / "worker.key"),
        "--nthreads",
        str(request.cpus),
        "--memory-limit",
        str(memory_limit(request.memory)),
        "--worker-class",
        "shopfloor_lab.clusters.silent.Worker",
        "--no-dashboard",
        "--death-timeout",
        str(DEATH_TIMEOUT),
        # Not the node's /tmp: that is shared, and dask-scratch-space in it belongs to whoever came first.
        "--local-directory",
        str(directory / SCRATCH),
    ]


def memory_limit(memory: int) -> int:
    """What dask may use of a job's memory, in bytes.

    The job's limit counts the nanny and the runner too, and whoever reaches it is ended by the system without
    a word. dask spills, pauses and restarts a worker at its own limit, so that one must come first.
    """
    return memory - max(128 * MB, memory // 16)
