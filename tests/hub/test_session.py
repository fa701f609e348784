"""The hub's one database session: whoever fails to write leaves it usable for the others."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from operator import methodcaller
from pathlib import Path

import pytest
from jupyterhub import orm
from shopfloor_hub import apply_database
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """As JupyterHub makes it, with one person in it."""
    monkeypatch.setattr(orm, "new_session_factory", orm.new_session_factory)
    apply_database.share_the_session()
    make = orm.new_session_factory(
        f"sqlite:///{tmp_path}/hub.sqlite", connect_args={"timeout": 0.1}
    )
    with contextlib.closing(make()) as session:
        session.add(orm.User(name="bob"))
        session.commit()
        yield session


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    with contextlib.closing(
        sqlite3.connect(directory / "hub.sqlite", isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def read(session: Session) -> list[orm.Server]:
    """Writes what waits to be written, too."""
    return session.query(orm.Server).all()


@pytest.mark.parametrize("write", [methodcaller("commit"), methodcaller("flush"), read])
def test_after_one_write_failed_the_others_read_and_write_as_before(session, tmp_path, write):
    bob = orm.User.find(session, "bob")
    with locked(tmp_path):
        session.add(orm.Server(base_url="/user/carol/"))
        with pytest.raises(OperationalError, match="locked"):
            write(session)
        assert bob.name == "bob"
        assert session.query(orm.Server).all() == []
    bob.last_activity = None
    session.commit()


def test_after_one_read_failed_the_others_go_on(session):
    bob = orm.User.find(session, "bob")
    bob.admin = True
    with pytest.raises(OperationalError, match="no such table"):
        session.execute(text("SELECT * FROM nowhere"))
    assert not session.dirty and session.is_active
    assert bob.name == "bob" and not bob.admin


def test_what_is_done_once_is_not_done_twice(session):
    once = orm.new_session_factory
    apply_database.share_the_session()
    assert orm.new_session_factory is once
