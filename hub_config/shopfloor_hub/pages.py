"""The hub's pages: puts templates, files and routes into JupyterHub; pages_servers and pages_jobs say what runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jupyterhub.handlers
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.handlers.static import CacheControlStaticFilesHandler
from jupyterhub.utils import maybe_future
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.scheduler import SchedulerError

from . import form, help_handler, moments, pages_ended, pages_jobs, pages_servers, stop_handler
from .costs import left_words
from .offer_handler import SETTING
from .pages_start import StartHandler

STATIC = Path(__file__).parent / "static"
STATIC_ROUTE = r"/shopfloor/static/(.*)"


def apply(c: Any, site: Any) -> None:
    """Set the pages on JupyterHub's configuration. Reads ``site.site`` and ``site.scheduler.type``."""
    c.JupyterHub.template_paths = [str(form.TEMPLATES)]
    c.JupyterHub.template_vars = {
        "shopfloor": Pages(site.site.name, site.site.support, site.scheduler.type)
    }
    c.JupyterHub.logo_file = str(STATIC / "mark.svg")
    # After login people see what they have and what they may start, and decide.
    c.JupyterHub.redirect_to_server = False
    c.ShopfloorSpawner.options_form = form.options_form
    register(jupyterhub.handlers.default_handlers)


def register(routes: list[tuple]) -> None:
    """Put our routes into JupyterHub's table, once; it has no setting that replaces a route."""
    for position, (pattern, handler, *rest) in enumerate(routes):
        if handler is SpawnHandler:
            routes[position] = (pattern, StartHandler, *rest)
    if not any(pattern == STATIC_ROUTE for pattern, *_ in routes):
        routes.append((help_handler.ROUTE, help_handler.HelpHandler))
        routes += stop_handler.ROUTES
        routes.append((STATIC_ROUTE, CacheControlStaticFilesHandler, {"path": str(STATIC)}))


class Pages:
    """What templates know beside JupyterHub's own names, as ``shopfloor``."""

    def __init__(self, site_name: str, support: str, scheduler_type: str):
        self.site_name = site_name
        self.support = support
        self.support_url = _support_url(support)
        self.shares_one_account = scheduler_type == "local"
        self.scheduler_name = "This machine" if scheduler_type == "local" else "Slurm"
        self._versions = {path.name: _version(path) for path in STATIC.iterdir()}

    servers = staticmethod(pages_servers.servers)
    server = staticmethod(pages_servers.server)
    stopped = staticmethod(pages_servers.stopped)
    again = staticmethod(pages_servers.again)
    progress = staticmethod(pages_servers.progress)
    utc = staticmethod(moments.utc)
    look = staticmethod(pages_jobs.look)
    jobs = staticmethod(pages_jobs.jobs)
    kernels = staticmethod(pages_jobs.kernels)
    trouble = staticmethod(pages_jobs.trouble)
    jobs_etag = staticmethod(pages_jobs.etag)

    def left(self, spawner: Any) -> list[str]:
        """What the person's projects have left, a line each; nothing while the scheduler has not said."""
        try:
            known = spawner.user.settings[SETTING].known()
        except SchedulerError:
            return []
        return left_words(known.accounts.of(spawner.user.name))

    def ended_today(self, user: Any, offer: Offer | None) -> list[pages_ended.Ended]:
        """How servers of the person ended today, the latest first."""
        return pages_ended.ended_today(user, offer, self.support_url)

    def ended(self, user: Any, spawner: Any, offer: Offer | None) -> pages_ended.Ended | None:
        """How this server ended the last time; None where it never did."""
        return pages_ended.latest(user, spawner, offer, self.support_url)

    def static(self, base_url: str, name: str) -> str:
        """The URL of one of our static files; it changes with the content, so that it may be cached."""
        return f"{base_url}shopfloor/static/{name}?v={self._versions[name]}"

    async def offer(self, spawner: Any) -> Offer | None:
        """The person's offer, or None while the scheduler does not answer."""
        try:
            return await maybe_future(spawner.offer())
        except SchedulerError:
            return None


def _support_url(support: str) -> str:
    """The address behind the link to help; empty where the site's text is neither a URL nor a mail address."""
    if support.startswith(("https://", "http://", "mailto:")):
        return support
    return f"mailto:{support}" if "@" in support and " " not in support else ""


def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
