"""Asks controllers, from the Lab server's event loop, over dask's comm and with each cluster's own certificates."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from .connection import Connection

TIMEOUT = 2.0  # seconds


class NoAnswer(Exception):
    """A controller did not answer: it may have ended, or be busy."""


class Remote:
    """One open connection to each controller that was asked, kept for the next question."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}

    async def ask(
        self, connection: Connection, operation: str, timeout: float = TIMEOUT, **values: Any
    ) -> dict[str, Any]:
        """The controller's answer to ``status``, ``scale``, ``adapt``, ``stop`` or ``plots``. Raises NoAnswer.

        It may take ``timeout`` seconds.
        """
        try:
            return await asyncio.wait_for(self._ask(connection, operation, values), timeout)
        except (OSError, asyncio.TimeoutError) as error:
            self.forget(connection.id)
            raise NoAnswer(f"no answer from {connection.address}: {error}") from error
        except Exception as error:
            # What went wrong there comes over dask's comm as a plain Exception.
            raise NoAnswer(f"{connection.name!r} could not do it: {error}") from error

    def forget(self, cluster: str) -> None:
        """Close the connection to a cluster, if there is one."""
        if channel := self._open.pop(cluster, None):
            channel.close_comms()

    async def _ask(
        self, connection: Connection, operation: str, values: dict[str, Any]
    ) -> dict[str, Any]:
        channel = self._open.get(connection.id)
        if channel is None:
            # A second's work, so not when Lab starts, and not on the event loop.
            core = await asyncio.to_thread(importlib.import_module, "distributed.core")
            security = await asyncio.to_thread(_security, connection)
            channel = core.rpc(
                connection.address,
                timeout=TIMEOUT,
                deserialize=False,
                connection_args=security.get_connection_args("client"),
            )
            self._open[connection.id] = channel
        return await getattr(channel, f"shopfloor_{operation}")(**values)


def _security(connection: Connection) -> Any:
    from .security import client_security

    return client_security(connection.ca, connection.certificate, connection.key)
