"""The server extension: registers Shopfloor's routes with a person's Jupyter server; imports nothing of Dask."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_core.utils import ensure_async
from jupyter_server.utils import url_path_join

from .clusters import doors, events_handler, form_handlers, share_handlers
from .clusters.ending_events import EVENT, SCHEMA, EndingEvents
from .clusters.form import Form
from .clusters.handlers import routes
from .clusters.kernels import Kernels, Specs
from .clusters.listing import Clusters
from .clusters.sharing import Sharing
from .examples_handler import ExamplesHandler
from .kernels import served
from .kernels.lab import Lab as KernelsLab
from .session import handlers as session_handlers
from .session.session import Session

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

API = "shopfloor/api"
SHARE_AFTER = 3.0  # seconds; the first page that asks is served before
ENDING_AFTER = 5.0  # seconds, likewise


def _link_jupyter_server_extension(server: ServerApp) -> None:
    served.set_classes(server)


def _load_jupyter_server_extension(server: ServerApp) -> None:
    home, environment = Path.home(), dict(os.environ)
    kernel_routes = served.join(server)
    # One offer and one view of all jobs for clusters and kernels.
    lab = getattr(server.kernel_manager, "lab", None) or KernelsLab(home, environment)
    offers = lab.offers

    async def specs() -> Specs:
        return await ensure_async(server.kernel_spec_manager.get_all_specs())

    kernels = Kernels(environment, specs, lambda: server.kernel_manager.default_kernel_name)
    clusters = Clusters(home, offers.get, environment, offers.hub, kernels, lab.jobs)
    parts = {"offers": offers, "clusters": clusters}
    sharing = Sharing(clusters, offers.hub)
    # Pages subscribe to the events that are known when they connect.
    server.event_logger.register_event_schema(SCHEMA)
    ending = EndingEvents(
        clusters.list,
        lambda warned: server.event_logger.emit(schema_id=EVENT, data={"clusters": warned}),
        server.log,
    )
    form = {"form": Form(clusters, offers.hub)}
    session = Session(server, clusters.list, environment, home, offers.hub)
    base = url_path_join(server.web_app.settings["base_url"], API)
    server.web_app.add_handlers(
        ".*$",
        [
            *(
                (url_path_join(base, path), handler, parts)
                for path, handler in (*events_handler.routes(), *routes())
            ),
            *(
                (url_path_join(base, path), handler, options)
                for path, handler, options in (
                    *doors.routes(parts),
                    *share_handlers.routes({**parts, "sharing": sharing}),
                    *kernel_routes,
                )
            ),
            *(
                (url_path_join(base, path), handler, {"session": session})
                for path, handler in session_handlers.routes()
            ),
            *((url_path_join(base, path), one, form) for path, one in form_handlers.routes()),
            (url_path_join(base, "examples"), ExamplesHandler, {"root": Path(server.root_dir)}),
        ],
    )
    session.start_soon()
    atexit.register(clusters.end_with_lab)
    server.io_loop.call_later(SHARE_AFTER, sharing.begin)
    server.io_loop.call_later(ENDING_AFTER, ending.begin)
