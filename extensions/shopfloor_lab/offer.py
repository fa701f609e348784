"""What this person may ask for, as the hub says with the server's own token; the last answer is kept on disk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shopfloor_jobs.directory import read_json, write_json
from shopfloor_jobs.offer import Offer
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

FRESH = 60.0  # seconds for which one answer serves
TIMEOUT = 5.0  # seconds


class NoOffer(Exception):
    """Nobody says what may be asked for here; the text is fit for the person."""


class Offers:
    """The person's offer, from the hub that ``environment`` names, else from the cache under ``home``."""

    def __init__(self, home: Path, environment: Mapping[str, str]):
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
        self.cache = home / ".local" / "share" / "shopfloor" / "offer.json"
        self._known: tuple[float, Offer] | None = None
        self._asking = asyncio.Lock()

    @property
    def hub_host(self) -> str:
        """The host that the hub is reached at, or an empty string."""
        return urlsplit(self.url).hostname or ""

    async def get(self) -> Offer:
        """Raises NoOffer where neither the hub nor the cache has one."""
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > FRESH:
                self._known = (time.monotonic(), Offer.from_json(await self._ask_or_recall()))
            return self._known[1]

    async def _ask_or_recall(self) -> Mapping[str, Any]:
        try:
            data = await self._ask()
        except (HTTPClientError, OSError, ValueError) as error:
            data = await asyncio.to_thread(read_json, self.cache)
            if data is None:
                raise NoOffer(f"The hub does not say what you may ask for: {error}") from error
            return data
        await asyncio.to_thread(self._store, data)
        return data

    async def _ask(self) -> dict[str, Any]:
        if not self.url:
            raise ValueError("this server was not started by Shopfloor's hub")
        answer = await AsyncHTTPClient().fetch(
            HTTPRequest(
                f"{self.url}/shopfloor/offer",
                headers={"Authorization": f"token {self._token}"},
                connect_timeout=TIMEOUT,
                request_timeout=TIMEOUT,
                follow_redirects=False,
                **self._tls,
            )
        )
        data = json.loads(answer.body)
        if not isinstance(data, dict) or data.get("version") != 1:
            raise ValueError("its answer is of another version")
        return data

    def _store(self, data: Mapping[str, Any]) -> None:
        self.cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.cache, data)
