"""A person before JupyterHub's own pages: what stands there, with the events that an open waiting page gets."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.faults.person import Person
from tests.hub.pages_html import Page

LONGEST_EVENT = 330  # seconds; JupyterHub sends an empty line every 8 s, and no start lasts longer


class Reader(Person):
    """Keeps the events of each waiting page from when it was opened, as the page itself does."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self._heard: dict[str, list[str]] = {}
        self._listening: dict[str, threading.Thread] = {}

    def reload(self) -> None:
        """Forget what stood on pages until now."""
        self._heard.clear()
        self._listening.clear()

    def open(self) -> str:
        """Click Start on the home page, and read where that leads."""
        return self._read("/hub/spawn/" + self.name, "")

    def reads_at_home(self) -> str:
        """What the home page says, beside its buttons."""
        return self._read("/hub/home", "")

    def told(self, server: str = "") -> str:
        """What the page of a server says now, its events included; ``Lab`` when it leads to a server that answers."""
        path = f"/hub/spawn-pending/{self.name}" + (f"/{server}" if server else "")
        return self._read(path, server)

    def _read(self, path: str, server: str) -> str:
        try:
            answer = self.get(f"{self.hub.url}{path}", timeout=30)
        except requests.RequestException:
            return "(no page)"
        answer.encoding = "utf-8"
        if answer.ok and not urlsplit(answer.url).path.startswith("/hub/"):
            return "Lab"
        page = Page(answer.text)
        if page.all("div", id="progress-bar"):
            self._listen(server)
        heard = self._heard.get(server, [])
        return " / ".join([*_sentences(page), *heard])

    def _listen(self, server: str) -> None:
        listening = self._listening.get(server)
        if listening is None or not listening.is_alive():
            heard = self._heard.setdefault(server, [])
            thread = threading.Thread(target=self._hear, args=(server, heard), daemon=True)
            self._listening[server] = thread
            thread.start()

    def _hear(self, server: str, heard: list[str]) -> None:
        path = f"servers/{server}" if server else "server"
        url = f"{self.hub.url}/hub/api/users/{self.name}/{path}/progress"
        headers = {"Authorization": f"token {self.token}"}
        with (
            contextlib.suppress(requests.RequestException),  # the hub may be killed meanwhile
            requests.get(url, headers=headers, stream=True, timeout=LONGEST_EVENT) as events,
        ):
            for line in events.iter_lines(decode_unicode=True):
                if line.startswith("data: "):
                    message = json.loads(line.removeprefix("data: ")).get("message", "")
                    if message not in heard:
                        heard.append(message)


def _sentences(page: Page) -> list[str]:
    """Headings and paragraphs, without what surrounds them on every page; none that an earlier one holds."""
    found: list[str] = []
    for element in page.elements:
        words = " ".join(element.text.split())
        if element.tag in ("h1", "p") and words and not any(words in one for one in found):
            found.append(words)
    return found
