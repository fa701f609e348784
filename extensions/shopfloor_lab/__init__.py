"""Shopfloor inside JupyterLab: tells Jupyter where the panel lies and which module serves it."""

from __future__ import annotations


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "shopfloor-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "shopfloor_lab.app"}]
