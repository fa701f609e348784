"""TLS contexts for both ends of every connection between login machine and nodes: certificates on both sides, verified.

JupyterHub's own contexts trust, beside the authorities they are given, every authority of the operating system: at
a site whose authority gives each person a certificate, any neighbour would have one. Reading those takes 60 ms, too,
and JupyterHub does it for each request.
"""

from __future__ import annotations

import functools
import ssl
from typing import Any


class NamedContext(ssl.SSLContext):
    """A client's context that verifies ``name``, whatever address the connection is made to.

    A server is reached by the address of its node, which is known only once it runs, and which it shares with
    other people's servers; its certificate names its job.
    """

    name: str

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **{**kwargs, "server_hostname": self.name})

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **{**kwargs, "server_hostname": self.name})


@functools.lru_cache(maxsize=8)
def client_context(key: str, certificate: str, authorities: str) -> ssl.SSLContext:
    """For connections that we make: the other end is who the URL says, by one of these authorities."""
    return _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), key, certificate, authorities)


@functools.lru_cache(maxsize=8)
def server_context(key: str, certificate: str, authorities: str) -> ssl.SSLContext:
    """For connections that are made to us: nobody gets an answer without a certificate of these authorities."""
    context = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), key, certificate, authorities)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def named_context(key: str, certificate: str, authorities: str, name: str) -> NamedContext:
    """For connections that we make to whoever has a certificate with this name, by one of these authorities."""
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    return _load(context, key, certificate, authorities)


def context_for_jupyterhub(
    keyfile: str,
    certfile: str,
    cafile: str = "",
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
) -> ssl.SSLContext | None:
    """What takes the place of ``jupyterhub.utils.make_ssl_context``; None without a certificate, as there.

    ``purpose`` is whom the context verifies: SERVER_AUTH makes a client's.
    """
    if not keyfile or not certfile:
        return None
    make = client_context if purpose is ssl.Purpose.SERVER_AUTH else server_context
    return make(keyfile, certfile, cafile)


def _load(context: Any, key: str, certificate: str, authorities: str) -> Any:
    # Both ends are of the same release of ours, so nothing older than 1.3 needs to be spoken; it hides the
    # certificates, too.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authorities)
    return context
