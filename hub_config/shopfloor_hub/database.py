"""The hub's database where it is not SQLite: how it is reached and whether it can be; for apply_state.py and check."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from .findings import FAIL, OK, WARN, Finding
from .site import Site

# Seconds; the hub does nothing else while it waits for its database.
CONNECT, STATEMENT = 5, 10


def url(text: str) -> str:
    """The URL with the driver of our extra where it names none."""
    scheme, colon, rest = text.partition(":")
    return f"postgresql+psycopg{colon}{rest}" if scheme in ("postgres", "postgresql") else text


def options(text: str) -> dict[str, Any]:
    """What SQLAlchemy's engine is told: a database that hangs is given up soon, and is asked again."""
    if not url(text).startswith("postgresql+psycopg:"):
        return {}
    milliseconds = 1000 * STATEMENT
    return {
        "connect_args": {
            "connect_timeout": CONNECT,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            # A database machine that vanished is noticed, rather than waited for.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 3 * milliseconds,
        }
    }


def findings(site: Site) -> Iterator[Finding]:
    """Whether the hub's database answers, and whether others can read its password."""
    if not site.hub.database:
        return
    shown = "hub.database"
    try:
        known = make_url(url(site.hub.database))
        shown = f"hub.database: {known.render_as_string(hide_password=True)}"
        engine = create_engine(known, **options(site.hub.database))
        with engine.connect():
            yield Finding(OK, f"{shown} answers")
        engine.dispose()
    except ModuleNotFoundError as error:
        yield Finding(
            FAIL,
            f"{shown} needs the Python package {error.name} beside the hub; run: pip install"
            " 'shopfloor[postgresql]'",
        )
    except ArgumentError:
        yield Finding(
            FAIL, "hub.database: this is no URL of a database, such as postgresql:///shopfloor"
        )
    except SQLAlchemyError as error:
        words = str(getattr(error, "orig", error)).strip().splitlines()[0]
        who = (
            ""
            if os.geteuid()
            else f" (asked as root; with peer authentication ask as {site.hub.user})"
        )
        yield Finding(
            FAIL,
            f"{shown} cannot be reached{who}, and no hub starts without it: {words}; look whether it runs, and"
            " whether pg_hba.conf lets the hub's user in",
        )
    else:
        if known.password and site.file and stat.S_IMODE(site.file.stat().st_mode) & 0o044:
            yield Finding(
                WARN,
                f"hub.database: others can read the password in {site.file}; use peer authentication or"
                f" ~/.pgpass, or run: chown {site.hub.user} {site.file} && chmod 600 {site.file}",
            )
