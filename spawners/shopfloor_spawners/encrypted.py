"""How the hub speaks with servers where it is encrypted: whom it takes for which server, and how the proxy knows."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupyterhub.app
import jupyterhub.objects
import jupyterhub.user
from jupyterhub.objects import Server
from jupyterhub.proxy import ConfigurableHTTPProxy
from shopfloor_jobs.scheduler import SubmitRefused
from shopfloor_jobs.tls import client_context, context_for_jupyterhub, named_context
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from .authorities import DAY, HUB, SERVERS, Authorities, DamagedError

QUEUE = 30 * DAY  # seconds that a job may wait before its time begins
SLACK = (
    DAY  # seconds that a server may last beyond its time, by a scheduler's grace or other clocks
)


class Encryption:
    """The hub's end of connections, with the certificates in one directory."""

    def __init__(self, directory: Path):
        self.authorities = Authorities(directory)

    @classmethod
    @functools.cache
    def of(cls, directory: str) -> Encryption:
        return cls(Path(directory))

    async def for_job(self, tag: str, time: int) -> dict[str, str]:
        """What the server of a new job with this time limit (seconds) gets. Raises SubmitRefused."""
        return await self._made(self.authorities.for_server, tag, time)

    async def for_client(self, tag: str, time: int) -> dict[str, str]:
        """What a job of a person's that only asks the hub gets. Raises SubmitRefused."""
        return await self._made(self.authorities.for_client, tag, time)

    @staticmethod
    async def _made(
        make: Callable[[str, float], dict[str, str]], tag: str, time: int
    ) -> dict[str, str]:
        try:
            return await asyncio.to_thread(make, tag, QUEUE + time + SLACK)
        except (OSError, DamagedError) as error:
            raise SubmitRefused(
                f"the hub cannot make a certificate for it ({error}): ask your administrator"
            ) from error

    def to_server(self, tag: str) -> ssl.SSLContext:
        """For connections to the server of this job, which nobody else can answer."""
        return named_context(*self._own, self.authorities.certificate(SERVERS), tag)

    def expect(self, server: Server, tag: str) -> None:
        """Let JupyterHub wait for this server by the name of its job rather than by the address of its node."""
        context = self.to_server(tag)

        def wait_up(
            timeout: float = 10, http: bool = False, ssl_context: Any = None, extra_path: str = ""
        ) -> Any:
            return Server.wait_up(server, timeout, http, context, extra_path)

        server.wait_up = wait_up

    def to_hub(self) -> ssl.SSLContext:
        """For connections of the hub's to itself."""
        return client_context(*self._own, self.authorities.certificate(HUB))

    @property
    def _own(self) -> tuple[str, str]:
        return self.authorities.key("hub-internal"), self.authorities.certificate("hub-internal")


class NamedRoutes(ConfigurableHTTPProxy):
    """Tells the proxy the name of the job that each person's route leads to (proxy.mjs verifies it)."""

    async def add_route(self, routespec: str, target: str, data: dict[str, Any] | None) -> Any:
        data = dict(data or {})
        if "user" in data:
            spawner = self.app.users[data["user"]].spawners[data["server_name"]]
            data["name"] = spawner.intent.tag
        return await super().add_route(routespec, target, data)


def use_own_contexts() -> None:
    """Let JupyterHub make its contexts with :mod:`shopfloor_jobs.tls`, for the reasons that stand there."""
    for module in (jupyterhub.app, jupyterhub.objects, jupyterhub.user):
        module.make_ssl_context = context_for_jupyterhub


async def answers(url: str, context: ssl.SSLContext | None) -> bool:
    """Whether a server answers there, with whatever status; a busy one accepts connections all the same."""
    try:
        await AsyncHTTPClient().fetch(
            url, request_timeout=5, raise_error=False, ssl_options=context
        )
    except (HTTPClientError, OSError):
        return False
    return True
