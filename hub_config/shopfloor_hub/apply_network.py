"""Addresses and ports of hub and proxy; the proxy is a process of its own that a restart of the hub leaves alone."""

from __future__ import annotations

from typing import Any

from . import state
from .site import Site


def apply(c: Any, site: Site) -> None:
    c.JupyterHub.bind_url = site.url
    c.JupyterHub.hub_ip = site.hub.internal_address
    c.JupyterHub.hub_port = site.hub.internal_port
    c.JupyterHub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{site.hub.proxy_api_port}"
    c.ConfigurableHTTPProxy.auth_token = state.proxy_token(site)
