"""Asks controllers, from the Lab server's event loop, over dask's comm and with each cluster's own certificates."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from shopfloor_lab.errors import NoAnswer

from .connection import Connection

TIMEOUT = 2.0  # seconds


class Remote:
    """Connections to the controllers that were asked, kept for the next question.

    Those of an operation are its own: a look that is given up closes them, and takes no order along.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Any] = {}

    async def ask(
        self, connection: Connection, operation: str, timeout: float = TIMEOUT, **values: Any
    ) -> dict[str, Any]:
        """What the controller answers to ``status``, ``scale``, ``adapt``, ``keep``, ``stop`` or ``plots``.

        It may take ``timeout`` seconds. Raises NoAnswer.
        """
        try:
            return await asyncio.wait_for(
                self._ask(connection, operation, timeout, values), timeout
            )
        except (OSError, asyncio.TimeoutError) as error:
            self._close(connection.id, operation)
            raise NoAnswer(f"no answer from {connection.address}: {error}") from error
        except Exception as error:
            # What went wrong there comes over dask's comm as a plain Exception.
            raise NoAnswer(f"{connection.name!r} could not do it: {error}") from error

    def forget(self, cluster: str) -> None:
        """Close the connections to a cluster, if there are any."""
        for _, operation in [key for key in self._open if key[0] == cluster]:
            self._close(cluster, operation)

    def _close(self, cluster: str, operation: str) -> None:
        if channel := self._open.pop((cluster, operation), None):
            channel.close_comms()

    async def _ask(
        self, connection: Connection, operation: str, timeout: float, values: dict[str, Any]
    ) -> dict[str, Any]:
        key = connection.id, operation
        if key not in self._open:
            # A second's work, so not when Lab starts, and not on the event loop.
            core = await asyncio.to_thread(importlib.import_module, "distributed.core")
            security = await asyncio.to_thread(_security, connection)
            # Another question may have come by here meanwhile.
            if key not in self._open:
                self._open[key] = core.rpc(
                    connection.address,
                    timeout=timeout,
                    deserialize=False,
                    connection_args=security.get_connection_args("client"),
                )
        return await getattr(self._open[key], f"shopfloor_{operation}")(**values)


def _security(connection: Connection) -> Any:
    from .security import client_security

    return client_security(connection.ca, connection.certificate, connection.key)
