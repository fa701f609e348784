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
                request_timeout=TIMEOUT,
                follow_redirects=False,
                ssl_options=context_for_jupyterhub(*self._certificate),
            )
            answer = await AsyncHTTPClient().fetch(request)
            data = json.loads(answer.body)
        except HTTPClientError as error:
            if error.code == NOT_MODIFIED:
                return None, etag
            raise NoHub(str(error)) from error
        except (OSError, ValueError) as error:
            raise NoHub(str(error)) from error
        if not isinstance(data, dict):
            raise NoHub("its answer is of another version")
        return data, answer.headers.get("ETag", "")
