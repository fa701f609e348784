"""A browser's way to Dask's plots (pages.py): through the Lab server, which has the cluster's certificate.

Whoever may steer a cluster is given a ticket for some minutes, and the address of each page holds it. The pages need
no cookie, and so can be kept in a sandbox: what a task or an error calls itself is drawn as HTML by some of dask's
plots, and in Lab's own origin a script in it could do whatever the person can.
"""

from __future__ import annotations

import re
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from shopfloor_jobs.fields import Refused
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders, parse_response_start_line, url_concat
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketError,
    WebSocketHandler,
    websocket_connect,
)

from shopfloor_lab.answering import for_the_person
from shopfloor_lab.errors import Conflict

from .handlers import Handler
from .plots import BY_NAME, offered
from .tickets import TICKET_LIFE, Tickets

TIMEOUT = 15.0  # seconds
MAX_MESSAGE = 64 * 1024**2  # bytes; a graph of 10,000 tasks takes some
POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; connect-src 'self'; font-src 'self' data:;"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; frame-ancestors 'self'"
)
THEMES = ("light", "dark")
# What a browser may ask of the cluster, and what it is told of the answer: never a cookie, nor another address.
ASKED = ("If-None-Match", "If-Modified-Since")
TOLD = ("Content-Type", "Content-Length", "Etag", "Last-Modified")
NO_TICKET = "This address of a plot is no longer valid: open the plot anew."
GOING_AWAY = 1001


class PlotsHandler(Handler):
    """GET lists a cluster's plots; POST, with the ``plot`` and a ``theme``, says where one can be seen now."""

    def initialize(self, tickets: Tickets, **parts: Any) -> None:
        super().initialize(**parts)
        self.tickets = tickets

    @for_the_person
    async def get(self, cluster: str) -> None:
        described = await self.clusters.one(cluster)
        self.finish({"plots": offered(bool(described["request"].get("gpus")))})

    @for_the_person
    async def post(self, cluster: str) -> None:
        body = self.body()
        plot, theme = body.get("plot"), body.get("theme", "light")
        if not isinstance(plot, str) or plot not in BY_NAME:
            raise Refused("plot", plot, f"one of {', '.join(BY_NAME)}")
        if theme not in THEMES:
            raise Refused("theme", theme, f"one of {', '.join(THEMES)}")
        if unknown := set(body) - {"plot", "theme"}:
            raise Refused(min(unknown)[:64], "", "there is no such field")
        reached = await self.clusters.plots(cluster)
        try:
            ticket = self.tickets.give(*reached)
        except FileNotFoundError as error:
            raise Conflict("The cluster has just ended.") from error
        path = f"shopfloor/api/clusters/{cluster}/plots/{ticket.text}/{plot}"
        self.set_status(201)
        self.finish({"path": url_concat(path, {"theme": theme}), "title": BY_NAME[plot].title})


class _Door(JupyterHandler):
    """Lets in who has a ticket, for which somebody had to be authenticated: a sandbox sends no cookies."""

    def initialize(self, tickets: Tickets) -> None:
        self.tickets = tickets

    def refuse(self, status: int, sentence: str) -> None:
        """Answer a sentence, for there is no Lab around it; an exception would be logged with the ticket."""
        self.clear()
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(sentence)

    def _log(self) -> None:
        """Nothing: the address holds the ticket."""


class PageHandler(_Door):
    """A page of a plot, or one of the scripts that it loads, passed on as it comes."""

    @property
    def content_security_policy(self) -> str:
        return POLICY

    @allow_unauthenticated
    async def get(self, cluster: str, text: str, path: str) -> None:
        ticket = self.tickets.find(text, cluster)
        if ticket is None:
            self.refuse(403, NO_TICKET)
            return
        if path in BY_NAME:
            theme = self.get_query_argument("theme", "light")
            query = {"theme": theme if theme in THEMES else "light"}
            self.set_header("Cache-Control", "no-store")
        else:
            query = {}
            self.set_header("Cache-Control", f"private, max-age={TICKET_LIFE:.0f}")
        self.set_header("Referrer-Policy", "no-referrer")
        asked = {name: value for name in ASKED if (value := self.request.headers.get(name))}
        try:
            answer = await AsyncHTTPClient().fetch(
                HTTPRequest(
                    url_concat(ticket.url("https", path), query),
                    headers=asked,
                    ssl_options=ticket.context,
                    connect_timeout=TIMEOUT,
                    request_timeout=TIMEOUT,
                    follow_redirects=False,
                    decompress_response=False,
                    header_callback=_Head(self),
                    streaming_callback=self._pass_on,
                ),
                raise_error=False,
            )
        except (OSError, HTTPClientError, StreamClosedError) as error:
            self.log.warning("a plot of %s cannot be shown: %s", cluster, error)
            if not self._headers_written:
                self.refuse(503, "The cluster does not show this plot now.")
            elif stream := self.detach():
                stream.close()  # half of it is with the browser, which must not take it for all
            return
        if answer.code in (200, 304):
            await self.finish()
        else:
            status = 404 if answer.code == 404 else 502
            self.refuse(status, f"The cluster answered with error {answer.code}.")

    def _pass_on(self, chunk: bytes) -> Any:
        if self.get_status() == 200:
            self.write(chunk)
            return self.flush()
        return None


class _Head:
    """Takes the lines before an answer's body, and gives the handler what the browser is told of them."""

    def __init__(self, handler: PageHandler):
        self.handler = handler

    def __call__(self, line: str) -> None:
        if line.startswith("HTTP/"):
            self.handler.set_status(parse_response_start_line(line.strip()).code)
            self.headers = HTTPHeaders()
        elif line.strip():
            self.headers.parse_line(line)
        elif self.handler.get_status() in (200, 304):
            for name in TOLD:
                if name in self.headers:
                    self.handler.set_header(name, self.headers[name])


class SocketHandler(WebSocketMixin, WebSocketHandler, _Door):
    """What a page hears and says while it is open; ends with the cluster."""

    _there: WebSocketClientConnection | None = None

    @allow_unauthenticated
    async def get(self, cluster: str, text: str, plot: str) -> None:
        ticket = self.tickets.find(text, cluster)
        if ticket is None:
            self.refuse(403, NO_TICKET)
            return
        self._ticket, self._plot = ticket, plot
        self._asked: list[str] = []
        await super().get()

    def check_origin(self, origin: str | None = None) -> bool:
        """As everywhere in this server; and a sandbox, which has no origin and had to show its ticket."""
        return origin == "null" or super().check_origin(origin)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        # The second one names bokeh's session.
        self._asked = subprotocols
        return "bokeh" if subprotocols[:1] == ["bokeh"] else None

    async def open(self, *_: str) -> None:
        super().open()
        try:
            self._there = await websocket_connect(
                HTTPRequest(
                    self._ticket.url("wss", f"{self._plot}/ws"),
                    ssl_options=self._ticket.context,
                    connect_timeout=TIMEOUT,
                    request_timeout=TIMEOUT,
                ),
                subprotocols=self._asked,
                max_message_size=MAX_MESSAGE,
            )
        except (OSError, HTTPClientError, WebSocketError, StreamClosedError) as error:
            self.log.warning("a plot of %s cannot be followed: %s", self._ticket.cluster, error)
            self.close(GOING_AWAY)
            return
        if self.ws_connection is None:  # the browser left meanwhile
            self._there.close()
            return
        IOLoop.current().add_callback(self._listen, self._there)

    async def _listen(self, there: WebSocketClientConnection) -> None:
        try:
            while (message := await there.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            pass
        finally:
            there.close()
        self.close(GOING_AWAY)

    async def on_message(self, message: str | bytes) -> None:
        if self._there is not None:
            try:
                await self._there.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                self.close(GOING_AWAY)

    def on_close(self) -> None:
        if self._there is not None:
            self._there.close()


def routes(parts: dict[str, Any]) -> list[tuple[str, type[JupyterHandler], dict[str, Any]]]:
    """Paths below ``shopfloor/api/``, who answers there, and with what: ``parts`` are those of handlers.py.

    Nothing else of what a cluster serves can be reached.
    """
    ticket, names = r"clusters/([^/]+)/plots/([0-9a-f]{32})", "|".join(map(re.escape, BY_NAME))
    own = {"tickets": Tickets()}
    return [
        (r"clusters/([^/]+)/plots", PlotsHandler, {**parts, **own}),
        (rf"{ticket}/({names}|static/js/[a-z.-]+\.js)", PageHandler, own),
        (rf"{ticket}/({names})/ws", SocketHandler, own),
    ]
