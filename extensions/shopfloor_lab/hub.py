"""The hub as a person's server asks it, with the server's own token; offer.py and jobs.py say what for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

TIMEOUT = 5.0  # seconds
NOT_MODIFIED = 304


class NoHub(Exception):
    """The hub did not say; the text is why."""


class Hub:
    """The hub that a job's ``environment`` names; false where it names none."""

    def __init__(self, environment: Mapping[str, str]):
        self.url = environment.get("JUPYTERHUB_API_URL", "")
        self._token = environment.get("JUPYTERHUB_API_TOKEN", "")
        self._tls = {
            option: environment[name]
            for option, name in (
                ("client_key", "JUPYTERHUB_SSL_KEYFILE"),
                ("client_cert", "JUPYTERHUB_SSL_CERTFILE"),
                ("ca_certs", "JUPYTERHUB_SSL_CLIENT_CA"),
            )
            if environment.get(name)
        }

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
        request = HTTPRequest(
            f"{self.url}/shopfloor/{path}",
            headers=headers,
            connect_timeout=TIMEOUT,
            request_timeout=TIMEOUT,
            follow_redirects=False,
            **self._tls,
        )
        try:
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
