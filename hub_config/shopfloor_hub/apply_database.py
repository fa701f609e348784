"""The hub while its database cannot be written: who fails to write stops nobody else, and each route says what is so.

Comes last of all concerns, for it wraps the routes that the others put in place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jupyterhub.handlers
from jupyterhub import apihandlers, orm
from jupyterhub.handlers import BaseHandler
from shopfloor_spawners.database import cannot_write
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from .site import Site


class Shared(Session):
    """The one session of all that the hub does at the same time: rolled back by what failed, at once.

    SQLAlchemy refuses even to read after a failure, until somebody rolls back; JupyterHub does so when it answers
    the request that failed, and whoever's server starts meanwhile would lose it.
    """

    _inside = False

    def commit(self) -> None:
        with self._rolled_back():
            super().commit()

    def flush(self, *args: Any, **kwargs: Any) -> None:
        with self._rolled_back():
            super().flush(*args, **kwargs)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        with self._rolled_back():
            return super().execute(*args, **kwargs)

    @contextlib.contextmanager
    def _rolled_back(self) -> Iterator[None]:
        if self._inside:  # a commit flushes, a query does: the outermost rolls back
            yield
            return
        self._inside = True
        try:
            yield
        except SQLAlchemyError:
            self.rollback()
            raise
        finally:
            self._inside = False


def share_the_session() -> None:
    """Let JupyterHub make :class:`Shared` for its session; asking twice does it once."""
    make = orm.new_session_factory
    if getattr(make, "shared", False):
        return

    def new_session_factory(*args: Any, **kwargs: Any) -> sessionmaker[Shared]:
        factory = make(*args, **kwargs)
        factory.class_ = type("SharedSession", (Shared, factory.class_), {})
        return factory

    new_session_factory.shared = True
    orm.new_session_factory = new_session_factory


class WithoutDatabase(BaseHandler):
    """Put before one of JupyterHub's handlers, which takes everybody for signed out then and answers a bare 500."""

    _unreadable: SQLAlchemyError | None = None

    async def get_current_user(self) -> Any:
        try:
            return await super().get_current_user()
        except SQLAlchemyError as error:
            self.log.warning("Activity was not noted: %s", error)
            self.db.rollback()
            self._record_activity = lambda *_: False  # all that is written here
            del self._jupyterhub_user
        try:
            return await super().get_current_user()
        except SQLAlchemyError as error:
            self._unreadable = error
            raise

    def _resolve_roles_and_scopes(self) -> None:
        # JupyterHub has logged the error and goes on with nobody: a server that reports its port would be refused
        # for good, and a person sent to sign in. Who it is, is not known.
        error, self._unreadable = self._unreadable, None
        if error is not None:
            raise error
        super()._resolve_roles_and_scopes()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, SQLAlchemyError):
            # The attribute goes with the exception to the page of a start that failed by it.
            error.jupyterhub_message = cannot_write(error)
            status_code = 503
        super().send_error(status_code, **kwargs)


def apply(c: Any, site: Site) -> None:
    share_the_session()
    for routes in (jupyterhub.handlers.default_handlers, apihandlers.default_handlers):
        routes[:] = [(pattern, _wrapped(handler), *rest) for pattern, handler, *rest in routes]


def _wrapped(handler: type) -> type:
    if not issubclass(handler, BaseHandler) or issubclass(handler, WithoutDatabase):
        return handler
    return type(handler.__name__, (WithoutDatabase, handler), {"__doc__": handler.__doc__})
