"""Which of its environment the Lab server hands to a cluster's jobs, and the controller to its workers."""

from __future__ import annotations

from collections.abc import Mapping

PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV", "PYTHONPATH",
    "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy",
    "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "MODULEPATH", "LOADEDMODULES", "SLURM_CONF",
    "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_PATH", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
)  # fmt: skip
PASSED_PREFIXES = ("LC_", "CONDA_", "DASK_")
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
    """What names the software and its settings; never a token, nor what the scheduler decides (GPUs)."""
    passed = {
        key: value
        for key, value in environment.items()
        if key in PASSED or key.startswith(PASSED_PREFIXES)
    }
    return {**passed, **NO_PAGES, **GIVES_BACK}
