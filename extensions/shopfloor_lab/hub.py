"""The hub as a person's server asks it, with the server's own token; offer.py and jobs.py say what for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from shopfloor_jobs.tls import context_for_jupyterhub
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

TIMEOUT = 5.0  # seconds
NOT_MODIFIED = 304
CERTIFICATE = ("JUPYTERHUB_SSL_KEYFILE", "JUPYTERHUB_SSL_CERTFILE", "JUPYTERHUB_SSL_CLIENT_CA")


class NoHub(Exception):
    """The hub did not say; the text is why."""


class HubRefused(NoHub):
    """The hub answered that it will not: ``status`` is HTTP's, ``field`` what it is about, if anything."""

    def __init__(self, message: str, status: int, field: str | None = None):
        super().__init__(message)
        self.status, self.field = status, field


class Hub:
    """The hub that a job's ``environment`` names; false where it names none."""

    def __init__(self, environment: Mapping[str, str]):
        self.url = environment.get("JUPYTERHUB_API_URL", "")
        self._token = environment.get("JUPYTERHUB_API_TOKEN", "")
        self._certificate = [environment.get(name, "") for name in CERTIFICATE]

    def __bool__(self) -> bool:
        return bool(self.url)

    @property
    def host(self) -> str:
        """The host that the hub is reached at, or an empty string."""
        return urlsplit(self.url).hostname or ""

    async def get(self, path: str, etag: str = "") -> tuple[dict[str, Any] | None, str]:
        """The object at ``<hub>/hub/api/shopfloor/<path>`` and its ETag; None where ``etag`` still stands.

        Raises NoHub.
        """
        return await self._ask(path, TIMEOUT, etag=etag)

    async def post(self, path: str, body: Mapping[str, Any], within: float) -> dict[str, Any]:
        """The answer to a question that is put to the same place, ``within`` seconds. Raises NoHub."""
        return await self.ask("POST", path, body, within)

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        within: float = TIMEOUT,
    ) -> dict[str, Any]:
        """The answer to any other request. Raises NoHub, which is HubRefused where the hub did answer."""
        options = {} if body is None else {"body": json.dumps(body)}
        data, _ = await self._ask(path, within, method=method, **options)
        if data is None:
            raise NoHub("its answer is of another version")
        return data

    async def delete(self, path: str, within: float) -> None:
        """Take back what is there, ``within`` seconds. Raises NoHub."""
        await self._ask(path, within, method="DELETE")

    async def _ask(
        self, path: str, within: float, etag: str = "", **options: Any
    ) -> tuple[dict[str, Any] | None, str]:
        if not self:
            raise NoHub("this server was not started by Shopfloor's hub")
        headers = {"Authorization": f"token {self._token}"}
        if etag:
            headers["If-None-Match"] = etag
        try:
            request = HTTPRequest(
                f"{self.url}/shopfloor/{path}",
                headers=headers,
                connect_timeout=TIMEOUT,
                request_timeout=within,
                follow_redirects=False,
                ssl_options=context_for_jupyterhub(*self._certificate),
                **options,
            )
            answer = await AsyncHTTPClient().fetch(request)
            data = json.loads(answer.body or "{}")
        except HTTPClientError as error:
            if error.code == NOT_MODIFIED:
                return None, etag
            message, field = _words(error)
            if 400 <= error.code < 500:
                raise HubRefused(message, error.code, field) from error
            raise NoHub(message) from error
        except (OSError, ValueError) as error:
            raise NoHub(str(error)) from error
        if not isinstance(data, dict):
            raise NoHub("its answer is of another version")
        return data, answer.headers.get("ETag", "")


def _words(error: HTTPClientError) -> tuple[str, str | None]:
    """What the hub says went wrong, or the status where it says nothing; and the field, if it names one."""
    try:
        said = json.loads(error.response.body)
        return str(said["message"]), said.get("field")
    except (AttributeError, KeyError, TypeError, ValueError):
        return str(error), None
