"""JupyterHub's settings made from the site file, one module for each concern."""

from __future__ import annotations

from typing import Any

from . import (
    apply_database,
    apply_login,
    apply_network,
    apply_security,
    apply_spawner,
    apply_state,
    logs,
    pages,
)
from .site import Site

CONCERNS = (
    apply_state,
    apply_network,
    apply_login,
    apply_spawner,
    apply_security,
    logs,
    pages,
    apply_database,
)


def apply(c: Any, site: Site) -> None:
    """Set ``c``, JupyterHub's configuration. Raises SiteError where the site cannot be served."""
    for concern in CONCERNS:
        concern.apply(c, site)
