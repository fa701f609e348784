"""What an administrator's configuration says to the spawner, as traits; spawner.py does what they say."""

from __future__ import annotations

from batchspawner.batchspawner import BatchSpawnerBase
from traitlets import Bool, Callable, Dict, Float, Integer, List, Unicode

THIRTY_DAYS = 30 * 24 * 3600


class Settings(BatchSpawnerBase):
    """The base of ShopfloorSpawner: its traits, and other defaults for some of JupyterHub's."""

    scheduler_config = Dict(
        help="Which scheduler runs the servers, as shopfloor_jobs.scheduler.scheduler_from reads it."
    ).tag(config=True)
    make_offer = Callable(
        help="make_offer(name, groups) returns the Offer for a person; it must not block."
    ).tag(config=True)
    make_command = Callable(
        help="make_command(request) returns the argument list that starts a server with this request."
    ).tag(config=True)
    node_environment = Dict(
        help="Environment variables for every server, such as a proxy for nodes without internet."
    ).tag(config=True)
    origin = Unicode(
        "",
        help="Hexadecimal digits, at most 8, that begin the tags of this hub's jobs and of no other hub's on the"
        " cluster; living jobs with them that no server means are cancelled. Empty: none are.",
    ).tag(config=True)
    certificates = Unicode(
        "",
        help="Directory of the certificates between login machine and nodes; empty: nothing is encrypted there.",
    ).tag(config=True)
    arrival_timeout = Float(
        300.0,
        help="Seconds that a job may run before its server has reported its port; the queue does not count.",
    ).tag(config=True)
    resumable = Bool(
        True,
        help="Whether a hub that was restarted goes on waiting for servers that were starting.",
    ).tag(config=True)

    # Waiting in a queue is no failure, one person's failures are not the hub's, and nothing of the hub's own
    # environment is anybody's business.
    start_timeout = Integer(THIRTY_DAYS, help="Bound on queue and start together.").tag(config=True)
    consecutive_failure_limit = Integer(0, help="The hub does not end itself.").tag(config=True)
    env_keep = List([], help="Nothing of the hub's environment is passed on.").tag(config=True)
