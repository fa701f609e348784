"""GET shopfloor/api/clusters/events: the clusters as server-sent events, one stream for each open panel.

What is told is news.py's. A browser's EventSource can send neither token nor XSRF header, so that the panel reads the
stream with fetch, by the rules of every other route.
"""

from __future__ import annotations

import asyncio
import json
import time

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from .handlers import Handler
from .news import Reader

HEARTBEAT = 15.0  # seconds; less than proxies on the way wait
PATIENCE = 20.0  # seconds in which a reader takes what it is told
LONGEST = 3600.0  # seconds of one stream; whoever opens the next one must still be allowed to
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would keep the events until it has 8 kB
}


class EventsHandler(Handler):
    """Each event is one line of JSON (see contract.ts); a comment says that there was nothing to tell."""

    _track_activity = False  # a panel that is left open is no work
    _reader: Reader | None = None

    @web.authenticated
    @authorized
    async def get(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)
        ends = time.monotonic() + LONGEST
        with self.clusters.news.read() as reader:
            self._reader = reader
            await self._send(b"")  # the headers, at once
            while not reader.left and time.monotonic() < ends:
                told = await reader.next(HEARTBEAT)
                if told is not None:
                    await self._send(b"data: " + json.dumps(told, separators=(",", ":")).encode())
                elif self.clusters.news.is_current:
                    await self._send(b":")

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._reader:
            self._reader.leave()

    async def _send(self, line: bytes) -> None:
        """Returns when it is on its way. Who does not read is left, so that nothing piles up for them here."""
        if self._reader is None or self._reader.left:
            return
        if line:
            self.write(line + b"\n\n")
        try:
            sending = asyncio.ensure_future(self.flush())
            done, _ = await asyncio.wait({sending}, timeout=PATIENCE)
            if done:
                sending.result()
                return
        except StreamClosedError:
            self._reader.leave()
            return
        self.log.info("A panel did not read its events for %g s and is left", PATIENCE)
        self._reader.leave()
        self.request.connection.close()


def routes() -> list[tuple[str, type[Handler]]]:
    """As handlers.py has them; before those, for ``events`` would be taken for a cluster's id."""
    return [("clusters/events", EventsHandler)]
