"""Every route while the database cannot be written: who somebody is can be read all the same, the rest is said.

Comes last of all concerns, for it wraps the routes that the others put in place.
"""

from __future__ import annotations

from typing import Any

import jupyterhub.handlers
from jupyterhub import apihandlers
from jupyterhub.handlers import BaseHandler
from shopfloor_spawners.database import cannot_write
from sqlalchemy.exc import SQLAlchemyError

from .site import Site


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
    for routes in (jupyterhub.handlers.default_handlers, apihandlers.default_handlers):
        routes[:] = [(pattern, _wrapped(handler), *rest) for pattern, handler, *rest in routes]


def _wrapped(handler: type) -> type:
    if not issubclass(handler, BaseHandler) or issubclass(handler, WithoutDatabase):
        return handler
    return type(handler.__name__, (WithoutDatabase, handler), {"__doc__": handler.__doc__})
