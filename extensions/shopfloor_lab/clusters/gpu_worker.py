"""The command line of a worker that has a GPU: dask-cuda's where that is installed, else dask's own.

dask-cuda moves results from the GPU's memory to the host's before it is full, and pins the worker to the CPUs beside
its GPU. It takes the options that dask's own command takes, as far as command.py uses them.
"""

from __future__ import annotations

import sys

try:
    from dask_cuda.cli import worker as main
except ImportError as error:
    from distributed.cli.dask_worker import main

    if error.name != "dask_cuda":
        print(f"dask-cuda is installed but cannot be used: {error}", file=sys.stderr)

if __name__ == "__main__":
    main()
