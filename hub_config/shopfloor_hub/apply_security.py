"""Headers that every page of the hub carries, beyond JupyterHub's own."""

from __future__ import annotations

from typing import Any

from .site import Site


def apply(c: Any, site: Site) -> None:
    c.JupyterHub.tornado_settings.update(
        {
            "headers": {
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "same-origin",
            }
        }
    )
