"""What an idle open Jobs panel receives from its server, counted in a real Chromium; for cluster.py."""

from __future__ import annotations

from typing import Any

from tests.browser.chromium import window
from tests.browser.hub_pages import HubPages
from tests.browser.lab_pages import Lab
from tests.cases import Case

SETTLE_MS = (
    10_000  # after the panel was opened: what is asked for once is not what an idle one costs
)
MINUTE_MS = 60_000
OURS = "/shopfloor/api/"


class Counter:
    """Bytes of answers and of open streams below our routes, headers included, as Chromium's network log has them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._ours: set[str] = set()

    def response(self, event: dict[str, Any]) -> None:
        if OURS in event["response"]["url"]:
            self._ours.add(event["requestId"])
            self.bytes += int(event["response"]["encodedDataLength"])

    def data(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self._ours:
            # Of a stream that goes on, only the length of what was read is told.
            self.bytes += int(event["encodedDataLength"] or event["dataLength"])


def bytes_per_minute(case: Case, person: str) -> int:
    """Of the person's running Lab, with the panel open and nobody touching anything."""
    with window(case, "bench-panel", person) as page:
        counter, log = Counter(), page.context.new_cdp_session(page)
        log.on("Network.responseReceived", counter.response)
        log.on("Network.dataReceived", counter.data)
        log.send("Network.enable")
        HubPages(page, case).sign_in(person)
        page.goto(f"{case.hub.url}/user/{person}/lab")
        Lab(page).jobs()
        page.wait_for_timeout(SETTLE_MS)
        before = counter.bytes
        page.wait_for_timeout(MINUTE_MS)
        return counter.bytes - before
