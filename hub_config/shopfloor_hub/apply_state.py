"""Database, cookie secret and process file, all in the private state directory."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from . import database, state
from .site import Site


def apply(c: Any, site: Site) -> None:
    directory = state.prepare(site)
    c.JupyterHub.cookie_secret_file = str(directory / "cookie_secret")
    if site.hub.database:
        c.JupyterHub.db_url = database.url(site.hub.database)
        c.JupyterHub.db_kwargs = database.options(site.hub.database)
        return
    file = directory / "hub.sqlite"
    c.JupyterHub.db_url = f"sqlite:///{file}"
    # A locked SQLite blocks the whole hub while it waits: let readers not lock, and give up soon.
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    file.chmod(0o600)
    c.JupyterHub.db_kwargs = {"connect_args": {"check_same_thread": False, "timeout": 0.5}}
