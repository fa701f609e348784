"""The environment of a cluster's jobs, as the Lab server sets it, and the controller for its workers."""

from __future__ import annotations

from collections.abc import Mapping

from shopfloor_lab.environment import passed_on

# dask would import every page of its web servers at the start; ours come when they are asked for (pages.py).
NO_PAGES = {
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
}
# Arrow's allocator, mimalloc, gives freed pages back to the system at a later call of the thread that freed them
# (its docs, MIMALLOC_PURGE_DELAY). A worker that dask paused for its memory makes no such call: it stayed paused
# for good, with everything it had on disk. At 0 pages go back as they are freed.
GIVES_BACK = {"MIMALLOC_PURGE_DELAY": "0"}


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What is passed on to any job, and what Dask needs in one."""
    return {**passed_on(environment), **NO_PAGES, **GIVES_BACK}
