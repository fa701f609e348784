"""A page's websocket to a kernel that may still wait: open at once, and what is sent meanwhile is sent on when it runs.

Jupyter's own is not open until the kernel is, which a browser gives up after minutes; a queue may take hours.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

MOST_EARLY = 1000  # messages that wait for the kernel: cells that are queued, and what the page asks by itself
EARLY_BYTES = 10 * 1024**2
WHY = 123  # bytes that a websocket's reason for closing may have
FAILED = 4500  # a code for closing of our own: the kernel could not be had

log = logging.getLogger("shopfloor.kernels")


class PatientConnection(ZMQChannelsWebsocketConnection):
    """Of one page with one kernel; as Jupyter's own, once the kernel runs."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._waits = self._is_connecting = False
        self._early: deque[str | bytes] = deque()
        self._waiting: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        self._waits = not self.kernel_manager.ready.done()
        if self._waits:
            await self._register_session()
        else:
            self._is_connecting = True
            await super().prepare()

    def connect(self) -> asyncio.Future[None] | None:
        if not self._waits:
            return super().connect()
        self._send_status_message("starting")
        self._waiting = asyncio.ensure_future(self._connect_when_ready())
        done: asyncio.Future[None] = asyncio.Future()
        done.set_result(None)
        return done

    def handle_incoming_message(self, incoming_msg: str) -> None:
        if self._waiting is None:
            super().handle_incoming_message(incoming_msg)
            return
        size = sum(map(len, self._early)) + len(incoming_msg)
        if len(self._early) < MOST_EARLY and size <= EARLY_BYTES:
            self._early.append(incoming_msg)
        else:
            log.warning("Kernel %s waits, and more was sent than is kept for it", self.kernel_id)

    def disconnect(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            waiting.cancel()
        if self._is_connecting:
            super().disconnect()
            return
        if self._open_sessions.get(self.session_key) is self.websocket_handler:
            self._open_sessions.pop(self.session_key)
        self._close_future.set_result(None)

    async def _register_session(self) -> None:
        # Twice, where it waited; the base class would take the first time for a page that came before.
        if self._open_sessions.get(self.session_key) is not self.websocket_handler:
            await super()._register_session()

    async def _connect_when_ready(self) -> None:
        try:
            # Shielded: who leaves must not take the future along on which others wait.
            await asyncio.shield(self.kernel_manager.ready)
            self._is_connecting = True
            await super().prepare()
            connected = super().connect()
            if connected:
                await connected
        except Exception as error:  # noqa: BLE001 - whatever the start failed with, the person is told
            self._waiting = None
            self._send_status_message("dead")
            reason = str(error).encode()[:WHY].decode(errors="ignore")
            self.websocket_handler.close(FAILED, reason)
            return
        self._waiting = None
        while self._early:
            super().handle_incoming_message(self._early.popleft())
