"""Addresses, ports and encryption of hub and proxy; a restart of the hub leaves the proxy, its own process, alone."""

from __future__ import annotations

from typing import Any

from shopfloor_spawners import encrypted

from . import state
from .site import Site

ROUTES_AGAIN = 15  # seconds


def apply(c: Any, site: Site) -> None:
    c.JupyterHub.bind_url = site.url
    c.JupyterHub.hub_ip = site.hub.internal_address
    c.JupyterHub.hub_port = site.hub.internal_port
    c.JupyterHub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = (
        f"{site.internal_scheme}://127.0.0.1:{site.hub.proxy_api_port}"
    )
    # A proxy that was started again has no routes: at the latest then it is told all of them.
    c.JupyterHub.last_activity_interval = ROUTES_AGAIN
    c.ConfigurableHTTPProxy.auth_token = state.proxy_token(site)
    if site.tls:
        made = state.authorities(site)
        encrypted.use_own_contexts()
        c.JupyterHub.internal_ssl = True
        c.JupyterHub.internal_certs_location = str(made.store)
        c.JupyterHub.proxy_class = encrypted.NamedRoutes
        c.ShopfloorSpawner.certificates = str(made.directory)
