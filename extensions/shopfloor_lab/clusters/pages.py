"""Dask's own plots over HTTPS, opened by the controller when somebody first asks for one (plots.py lists them).

dask's server of pages has no authentication, and its TLS settings verify nobody. This one shows a page to whoever
has one of the cluster's certificates, which people's browsers have not: the Lab server has it for them (doors.py).
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed.comm import get_address_host
from shopfloor_jobs.tls import server_context
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

from .plots import PLOTS, Plot

if TYPE_CHECKING:
    from bokeh.document import Document

    from .silent import Scheduler

# Whoever shows the page in a frame hears when there is something to see, and when it went stale.
TELL = "window.parent.postMessage('shopfloor-plot-{}', '*')"
# Of bokeh's scripts, those that dask's plots use: without formulas, which would double what browsers load.
SCRIPTS = ["bokeh", "bokeh-gl", "bokeh-widgets", "bokeh-tables"]
# Lab's own backgrounds. dask's figures are transparent; what bokeh draws in the dark suits them.
BACKGROUND = {"light": "#fff", "dark": "#111"}
PAGE = """\
{% extends base %}
{% block preamble %}<style>body { background: {{ background }} }</style>{% endblock %}
"""
NO_BOKEH = (
    "The environment of this cluster cannot draw plots ({}). Install bokeh 3.7 or newer there, and start the"
    " cluster again."
)


class Pages:
    """The pages of one ``scheduler``; ``tls`` is the directory of the cluster's certificates."""

    def __init__(self, scheduler: Scheduler, tls: Path):
        self.scheduler, self.tls = scheduler, tls
        self._turn = asyncio.Lock()
        self._server: HTTPServer | None = None
        self._stop: Callable[[], None] = lambda: None
        self._port = 0

    async def open(self) -> dict[str, Any]:
        """The ``host`` and ``port`` that they are served at from now on; or the ``problem``, in words."""
        async with self._turn:
            if self._server is None:
                try:
                    # Half a second's work; meanwhile the scheduler goes on.
                    dashboard = await asyncio.to_thread(
                        importlib.import_module, "distributed.dashboard.scheduler"
                    )
                except ImportError as error:
                    return {"problem": NO_BOKEH.format(error)}
                self._listen(dashboard.applications)
        return {"host": self._host, "port": self._port}

    async def close(self) -> None:
        """Close every page that is open, and the server."""
        if self._server:
            self._server.stop()
            self._stop()
            await self._server.close_all_connections()

    @property
    def _host(self) -> str:
        return get_address_host(self.scheduler.address)

    def _context(self) -> ssl.SSLContext:
        own = str(self.tls / "scheduler.key"), str(self.tls / "scheduler.pem")
        return server_context(*own, str(self.tls / "ca.pem"))

    def _listen(self, applications: dict[str, Callable[..., None]]) -> None:
        from distributed.dashboard.core import BokehApplication

        context = self._context()
        sockets = bind_sockets(0, self._host)
        self._port = sockets[0].getsockname()[1]
        pages = {
            f"/{plot.name}": functools.partial(_draw, applications[plot.page], plot)
            for plot in PLOTS
            if plot.page in applications
        }
        application = BokehApplication(pages, _Served(self.scheduler, self._port), prefix="")
        application.resources = functools.partial(_scripts, application.resources)
        application.initialize(IOLoop.current())
        application.start()
        self._stop = application.stop
        self._server = HTTPServer(application, ssl_options=context)
        self._server.add_sockets(sockets)


class _Served:
    """The scheduler as dask's maker of pages wants it, which reads the port from its web server."""

    def __init__(self, scheduler: Scheduler, port: int):
        self.scheduler, self.port = scheduler, port
        self.http_server = self


def _scripts(resources: Callable[..., Any], *arguments: Any) -> Any:
    return resources(*arguments).clone(components=SCRIPTS)


def _draw(
    draw: Callable[..., None], plot: Plot, served: _Served, extra: dict[str, Any], doc: Document
) -> None:
    """Draw dask's page into a new document, so that it fits into a pane of Lab's."""
    from bokeh.models import CustomJS, DataTable, OpenURL, TapTool
    from bokeh.models import Plot as Figure
    from jinja2 import Template

    draw(served.scheduler, extra, doc)
    doc.title = plot.title
    asked = doc.session_context.request.arguments.get("theme") == [b"dark"]
    # bokeh's tables are black on whatever is below.
    dark = asked and not any(doc.select({"type": DataTable}))
    if dark:
        doc.theme = _dark()
    doc.template = Template(PAGE)
    doc.template_variables["background"] = BACKGROUND["dark" if dark else "light"]
    # They lead to more of dask's pages, which nobody serves.
    for figure in doc.select({"type": Figure}):
        figure.tools = [
            tool
            for tool in figure.tools
            if not (isinstance(tool, TapTool) and isinstance(tool.callback, OpenURL))
        ]
    for event, word in (("document_ready", "ready"), ("connection_lost", "lost")):
        doc.js_on_event(event, CustomJS(code=TELL.format(word)))


def _dark() -> Any:
    from bokeh.themes import Theme, built_in_themes

    attributes = dict(built_in_themes["dark_minimal"]._json["attrs"])
    clear = {"background_fill_color": None, "border_fill_color": None}
    attributes["Plot"] = {**attributes["Plot"], **clear}
    return Theme(json={"attrs": {**attributes, "Toolbar": {"logo": None}}})
