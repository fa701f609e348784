"""A person at their browser: logs in, looks at the pages where something may have gone wrong, reads what they say."""

from __future__ import annotations

import contextlib
import threading
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.harness import HubProcess, wait_until
from tests.hub.pages_html import Page

READ_FOR = 1.0  # seconds in which a waiting page gets what its stream of events begins with


class Person(requests.Session):
    """``token`` is theirs, for what scripts of the page ask; the session's cookies are those of the login."""

    def __init__(self, hub: HubProcess, name: str, password: str = ""):
        super().__init__()
        self.hub, self.name = hub, name
        self.headers["Sec-Fetch-Mode"] = "navigate"
        self.token = hub.add_user(name)
        if password:
            self._login(password)

    def _login(self, password: str) -> None:
        page = Page(self.get(f"{self.hub.url}/hub/login", timeout=30).text)
        form = page.one("form", method="post")
        values = {name: given[-1] for name, given in page.submitted().items()}
        values |= {"username": self.name, "password": password}
        answer = self.post(self.hub.url + form["action"], data=values, timeout=30)
        assert answer.ok, f"{self.name} cannot log in: {answer.status_code}"

    def page(self, path: str) -> Page:
        answer = self.get(f"{self.hub.url}{path}", timeout=30)
        assert answer.status_code < 500, f"{path}: {answer.status_code}"
        answer.encoding = "utf-8"
        return Page(answer.text)

    def start(self, server: str = "", **options: str) -> requests.Response:
        """Click; returns with the answer, which may come before the server is ready."""
        return self.hub.start_server(self.name, options, server, self.token)

    def click(self, server: str = "", **options: str) -> None:
        """Click, and do not wait for the answer."""
        self._send("POST", server, json={"user_options": options})

    def stop(self, server: str = "") -> requests.Response:
        return self.hub.stop_server(self.name, server, self.token)

    def click_stop(self, server: str = "") -> None:
        """Click Stop or Cancel, and do not wait for the answer."""
        self._send("DELETE", server)

    def _send(self, method: str, server: str, **kwargs: Any) -> None:
        """Ask and let somebody else wait: a connection that is closed at once may never get past the proxy."""
        path = f"servers/{server}" if server else "server"
        url = f"{self.hub.url}/hub/api/users/{self.name}/{path}"
        headers = {"Authorization": f"token {self.token}"}

        def ask() -> None:
            with contextlib.suppress(requests.RequestException):  # the hub may be killed meanwhile
                requests.request(method, url, headers=headers, timeout=60, **kwargs)

        threading.Thread(target=ask, daemon=True).start()

    def home(self) -> Page:
        return self.page("/hub/home")

    def told(self, server: str = "") -> str:
        """What the page of a server says now, its events included."""
        path = f"/hub/spawn-pending/{self.name}" + (f"/{server}" if server else "")
        answer = self.get(f"{self.hub.url}{path}", timeout=30)
        answer.encoding = "utf-8"
        if not urlsplit(answer.url).path.startswith("/hub/"):
            return "Lab"  # it is ready, and the page led there
        return Page(answer.text).text + self._events(server)

    def _events(self, server: str) -> str:
        path = f"servers/{server}" if server else "server"
        url = f"{self.hub.url}/hub/api/users/{self.name}/{path}/progress"
        headers = {"Authorization": f"token {self.token}"}
        text = ""
        try:
            with requests.get(url, headers=headers, stream=True, timeout=READ_FOR) as events:
                for line in events.iter_lines(decode_unicode=True):
                    text += f"\n{line}"
        except requests.RequestException:
            pass  # nothing more to read now
        return text

    def reads(self, words: str, seconds: float = 30, server: str = "") -> None:
        """Wait until the page of a server says this. Fails with what it says instead."""
        last = ""

        def says() -> bool:
            nonlocal last
            last = self.told(server)
            return words in last

        try:
            wait_until(says, seconds, f"{self.name} reads {words!r}", pause=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says: {last[-3000:]}") from error
