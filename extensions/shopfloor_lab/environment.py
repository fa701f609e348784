"""Which of its environment the Lab server hands to the jobs that it starts: kernels and clusters."""

from __future__ import annotations

from collections.abc import Mapping

PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV", "PYTHONPATH",
    "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy",
    "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "MODULEPATH", "LOADEDMODULES", "SLURM_CONF",
    "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_PATH", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
)  # fmt: skip
PASSED_PREFIXES = ("LC_", "CONDA_", "DASK_")


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What names the software and its settings; never a token, nor what the scheduler decides (GPUs)."""
    return {
        key: value
        for key, value in environment.items()
        if key in PASSED or key.startswith(PASSED_PREFIXES)
    }
