"""How servers are started: the spawner, what it may offer and run, and how long the hub has patience."""

from __future__ import annotations

from typing import Any

from shopfloor_jobs.request import Request
from shopfloor_spawners import handlers

from . import environments, offer_handler, outlook_handler, shares_handler, state
from .estimates import Estimates
from .offers import Offers
from .server_environment import FOLDERS, folders_of, idle_of, members, network
from .shares import Shares
from .site import Site

LONGEST_QUEUE = (
    30 * 24 * 3600
)  # seconds; the spawner has own, shorter limits for each step but waiting
SLOW = 2  # seconds after which a click shows the waiting page; at 0 refusals would be lost


def apply(c: Any, site: Site) -> None:
    offers = Offers(site)
    offers.fetch_first()
    handlers.register()
    offer_handler.register()
    outlook_handler.register()
    shares_handler.register()

    def make_command(request: Request) -> list[str]:
        return environments.command(site, request)

    c.JupyterHub.spawner_class = "shopfloor_spawners.spawner.ShopfloorSpawner"
    c.ShopfloorSpawner.scheduler_config = site.hub_scheduler
    c.ShopfloorSpawner.origin = state.origin(site)
    c.ShopfloorSpawner.make_offer = offers.make
    c.ShopfloorSpawner.make_command = make_command
    c.ShopfloorSpawner.node_environment = network(site)
    if site.scheduler.type == "local":
        # The hub is on the same machine, and nobody else has business with a server's port.
        c.ShopfloorSpawner.ip = "127.0.0.1"
    c.Spawner.environment = {FOLDERS: folders_of(site), **idle_of(site)}
    c.Spawner.start_timeout = LONGEST_QUEUE
    c.JupyterHub.tornado_settings.update(
        {
            offer_handler.SETTING: offers,
            outlook_handler.ESTIMATES: Estimates(offers.scheduler),
            shares_handler.SETTING: Shares(),
            "slow_spawn_timeout": SLOW,
        }
    )
    # After a restart the pages are there at once, however long one busy server takes to be checked.
    c.JupyterHub.init_spawners_timeout = 1
    # It counts those who wait in the queue as well; the spawner paces what it submits.
    c.JupyterHub.concurrent_spawn_limit = 0
    # Jobs outlive the hub, whose restart must cancel nobody's work.
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.shutdown_on_logout = False
    c.JupyterHub.allow_named_servers = site.limits.named_servers > 0
    c.JupyterHub.named_server_limit_per_user = site.limits.named_servers
    c.JupyterHub.load_groups = {
        group.name: {"users": sorted(members(group))} for group in site.groups
    }
