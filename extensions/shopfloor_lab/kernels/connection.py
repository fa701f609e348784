"""A page's websocket to a kernel that may still wait: open at once, and what is sent meanwhile is sent on when it runs.

Jupyter's own is not open until the kernel is, which a browser gives up after minutes; a queue may take hours. early.py
keeps what waits, also when the page has left.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from .early import Early, Left, Message

V1 = "v1.kernel.websocket.jupyter.org"
WHY = 123  # bytes that a websocket's reason for closing may have
FAILED = 4500  # a code for closing of our own: the kernel could not be had
AGAIN = 1011  # one after which a page connects anew
SLOW = "Kernel %s runs and has not answered yet"
TOO_MUCH = "It was not queued: more waits for this kernel than is kept for it."

log = logging.getLogger("shopfloor.kernels")


class PatientConnection(ZMQChannelsWebsocketConnection):
    """Of one page with one kernel; as Jupyter's own, once the kernel runs."""

    _all_waiting: list[PatientConnection] = []  # as they came

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._waits = self._is_connecting = False
        self._early = Early()
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
        self._early = Left.taken(self.kernel_id)
        self._all_waiting.append(self)
        self._waiting = asyncio.ensure_future(self._connect_when_ready())
        done: asyncio.Future[None] = asyncio.Future()
        done.set_result(None)
        return done

    def handle_incoming_message(self, incoming_msg: str) -> None:
        if self._waiting is None:
            super().handle_incoming_message(incoming_msg)
            return
        message = Message.read(incoming_msg, self.subprotocol == V1, self.session)
        allowed = self.multi_kernel_manager.allowed_message_types
        if allowed and message.kind not in allowed:
            log.warning("Messages of type %r are not allowed", message.kind)
        elif not self._early.add(message):
            log.warning("Kernel %s waits, and more was sent than is kept for it", self.kernel_id)
            if message.is_cell:
                self._refuse(message)

    def nudge(self) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._nudge_on()) if self._waiting else super().nudge()

    def disconnect(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._wait_no_more()
            self._leave(self._early.take_cells())
        if self._is_connecting:
            super().disconnect()
            return
        if self._open_sessions.get(self.session_key) is self.websocket_handler:
            self._open_sessions.pop(self.session_key)
        self._ask_no_more()
        self._close_future.set_result(None)

    def _ask_no_more(self) -> None:
        # As the base class, which takes each connection for one that it counted.
        if self.kernel_info_channel and not self.kernel_info_channel.closed():
            self.kernel_info_channel.close()
            if not self._kernel_info_future.done():
                self._kernel_info_future.set_result({})  # others wait for it
            if (
                getattr(self.kernel_manager, "_kernel_info_future", None)
                is self._kernel_info_future
            ):
                del self.kernel_manager._kernel_info_future

    def _wait_no_more(self) -> None:
        self._waiting = None
        self._all_waiting.remove(self)

    def _leave(self, cells: Early) -> None:
        """Have them run all the same: by another page that waits, where there is one, so that they keep their order."""
        if cells:
            for one in self._all_waiting:
                if one.kernel_manager is self.kernel_manager:
                    one._early.take_over(cells)
                    return
            Left(self.kernel_manager, cells)

    def _refuse(self, cell: Message) -> None:
        """Answer as a kernel does at which a cell fails."""
        error = {"ename": "NotQueued", "evalue": TOO_MUCH, "traceback": [TOO_MUCH]}
        self._answer(cell, "iopub", "error", error)
        self._answer(
            cell, "shell", "execute_reply", {**error, "status": "error", "execution_count": None}
        )
        self._answer(cell, "iopub", "status", {"execution_state": "idle"})

    def _answer(self, asked: Message, channel: str, kind: str, content: dict[str, Any]) -> None:
        message = self.session.msg(kind, content, parent={"header": asked.header})
        if self.subprotocol == V1:
            said = serialize_msg_to_ws_v1(message, channel, self.session.pack)
            self.write_message(said, binary=True)
        else:
            self.write_message(json.dumps({**message, "channel": channel}, default=json_default))

    async def _register_session(self) -> None:
        # Twice, where it waited; the base class would take the first time for a page that came before.
        if self._open_sessions.get(self.session_key) is not self.websocket_handler:
            await super()._register_session()

    async def _connect_when_ready(self) -> None:
        try:
            # Shielded: who leaves must not take the future along on which others wait.
            await asyncio.shield(self.kernel_manager.ready)
            await self._prepare_on()
            self._is_connecting = True
            connected = super().connect()
            if connected:
                await connected
        except Exception as error:  # noqa: BLE001 - whatever the start failed with, the person is told
            self._give_up(error)
            return
        if self._waiting is None:  # it left: the base class makes nothing of being cancelled
            return
        self._wait_no_more()
        for message in self._early.take():
            if message.channel in self.channels:
                self.session.send_raw(self.channels[message.channel], message.frames)

    # A kernel may load for minutes once its job has begun. Jupyter waits for one minute only, for a browser would not
    # wait longer for its websocket to open; this one is open.

    async def _prepare_on(self) -> None:
        while True:
            try:
                await super().prepare()
                return
            except TimeoutError:
                if not self._is_there:
                    raise
                log.warning(SLOW, self.kernel_id)

    async def _nudge_on(self) -> None:
        while self._waiting:
            try:
                await super().nudge()
                return
            except asyncio.TimeoutError:
                log.warning(SLOW, self.kernel_id)

    @property
    def _is_there(self) -> bool:
        ready = self.kernel_manager.ready
        failed = ready.done() and (ready.cancelled() or ready.exception())
        return self.kernel_id in self.multi_kernel_manager and not failed

    def _give_up(self, error: Exception) -> None:
        reason = str(error).encode()[:WHY].decode(errors="ignore")
        self._wait_no_more()
        if self._is_there:
            log.error("No connection to kernel %s", self.kernel_id, exc_info=error)
            self._leave(self._early.take_cells())
            self.websocket_handler.close(AGAIN, reason)
        else:
            self._send_status_message("dead")
            self.websocket_handler.close(FAILED, reason)
