"""What a person reads while the hub's database cannot be written; spawner.py and the hub's handlers say it."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError


def cannot_write(error: SQLAlchemyError) -> str:
    """The sentence, with the database's own words but without the statement that failed."""
    why = str(getattr(error, "orig", None) or "it does not answer")
    return (
        f"Cannot start now: the hub cannot write its database ({why.partition(chr(10))[0][:200]})."
        " Running sessions go on. Try again in a minute."
    )
