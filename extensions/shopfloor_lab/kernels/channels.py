"""The doors of a kernel's job: encrypted ports outside, the kernel's own sockets in a private directory inside.

Messages are passed on as they are, by libzmq itself (zmq.proxy), so that the kernel need know neither Curve nor TCP.
What comes while no kernel lives waits for the next one, as at a kernel on this machine; except on the control
channel, where it is "shut down", and was meant for the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from .order import CHANNELS, Order

# A heartbeat is an echo, and jupyter_client asks it with a pair of keys made up for it. It needs our public key, too.
BEATS, OURS = "beats", "ours"
RECONNECT = 20  # milliseconds until a kernel that is not there yet is tried again
LAST_WORDS = 1000  # milliseconds for what was said before the end
BEAT_EVERY = 10_000  # milliseconds between signs of life
BEAT_WITHIN = 45_000  # milliseconds for an answer; what a cut of half a minute holds up, TCP itself brings later
SILENT_FOR = 60_000  # milliseconds without a sign of life after which the other side connects anew
SUBSCRIBE = b"\x01"  # to everything
SEEN = ("shell", "iopub")  # what the recorder is shown
AGENT = b"shopfloor-agent"  # one for shell and stdin: what a kernel asks goes to who asked it
INSIDE = {
    "shell": zmq.DEALER,
    "control": zmq.DEALER,
    "stdin": zmq.DEALER,
    "hb": zmq.DEALER,
    "iopub": zmq.XSUB,
}


def signs_of_life() -> dict[int, int]:
    """Options of sockets, to be set before they are connected, on both sides.

    Who only listens would never know that the other gave the connection up while packets were lost. That the other asks
    for signs of life is not enough: libzmq counts the silence from those, and no more when a message came after.
    """
    return {
        zmq.HEARTBEAT_IVL: BEAT_EVERY,
        zmq.HEARTBEAT_TIMEOUT: BEAT_WITHIN,
        zmq.HEARTBEAT_TTL: SILENT_FOR,
    }


class OnlyWith:
    """Lets in who holds this pair of keys; to the heartbeat, whoever knows the public one."""

    def __init__(self, publickey: str):
        self._key = publickey.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        """See zmq.auth.CredentialsProvider."""
        return domain == BEATS or key == self._key


class Doors:
    """All sockets of one agent, which listens on ``host``; ``ports`` are the kernel's, by jupyter_client's names.

    Use it with ``with``, in a running loop.
    """

    def __init__(self, order: Order, host: str, inside: Path):
        self._order, self._host, self._inside = order, host, inside
        self._context = zmq.Context()
        self._authenticator = AsyncioAuthenticator(self._context)
        self._ours: list[tuple[zmq.asyncio.Socket, zmq.Socket[bytes]]] = []
        self.ports: Mapping[str, int] = {}
        self._control: zmq.asyncio.Socket | None = None

    def __enter__(self) -> Doors:
        self._authenticator.start()
        for domain in (BEATS, OURS):
            self._authenticator.configure_curve_callback(domain, OnlyWith(self._order.publickey))
        self.ports = {f"{channel}_port": self._channel(channel) for channel in CHANNELS}
        self._taking = asyncio.create_task(self._take_control())
        return self

    def __exit__(self, *_: object) -> None:
        self.kernel_ended()
        self._taking.cancel()
        for pair in self._ours:
            _close(*pair)
        self._authenticator.stop()
        # Ends each proxy, whose thread closes its own sockets.
        self._context.term()

    def orders(self) -> tuple[zmq.asyncio.Socket, int]:
        """Where the agent is told what to do, and its port."""
        socket, port = self._listen(zmq.ROUTER, OURS)
        return self._in_the_loop(socket), port

    def kernel_begins(self) -> None:
        """Pass on what comes at the control channel, from now on."""
        self.kernel_ended()
        self._inside_control = self._inside_of("control")
        self._control = zmq.asyncio.Socket.shadow(self._inside_control)
        self._answering = asyncio.create_task(self._answer_control(self._control))

    def kernel_ended(self) -> None:
        """Drop what comes at the control channel."""
        if self._control:
            self._answering.cancel()
            _close(self._control, self._inside_control)
            self._control = None

    async def _take_control(self) -> None:
        while True:
            frames = await self._outside_control.recv_multipart()
            if self._control:
                await self._control.send_multipart(frames)

    async def _answer_control(self, inside: zmq.asyncio.Socket) -> None:
        while True:
            await self._outside_control.send_multipart(await inside.recv_multipart())

    def _listen(self, kind: int, domain: str) -> tuple[zmq.Socket[bytes], int]:
        socket = self._context.socket(kind)
        socket.linger = LAST_WORDS
        for option, value in signs_of_life().items():
            socket.set(option, value)
        if kind == zmq.ROUTER:
            # A page comes back by its session's name, though its connection of before may not have left yet.
            socket.router_handover = True
        socket.ipv6 = ":" in self._host
        socket.curve_server = True
        socket.curve_secretkey = self._order.secretkey.encode()
        socket.curve_publickey = self._order.publickey.encode()
        socket.zap_domain = domain.encode()
        host = f"[{self._host}]" if ":" in self._host else self._host
        socket.bind(f"tcp://{host}:*")
        return socket, int(socket.last_endpoint.rpartition(b":")[2])

    def connection(self) -> dict[str, object]:
        """What the kernel's connection file says."""
        order = self._order
        ports = {f"{channel}_port": number for number, channel in enumerate(CHANNELS, 1)}
        return {
            "transport": "ipc",
            "ip": str(self._inside / "kernel"),
            **ports,
            "key": order.key,
            "signature_scheme": order.signature_scheme,
            "kernel_name": order.kernel_name,
        }

    def _channel(self, channel: str) -> int:
        kind = zmq.XPUB if channel == "iopub" else zmq.ROUTER
        outside, port = self._listen(kind, BEATS if channel == "hb" else OURS)
        if channel == "control":
            self._outside_control = self._in_the_loop(outside)
            return port
        if channel == "iopub":
            outside.xpub_verbose = True  # the kernel greets each of its listeners
        sockets = [outside, self._inside_of(channel)]
        if channel in SEEN:
            sockets.append(self._shown(channel))
        threading.Thread(target=_pass_on, args=sockets, name=channel, daemon=True).start()
        return port

    def seen(self, channel: str, most: int) -> zmq.Socket[bytes]:
        """What sees all that passes there, both ways, from now on; of more than ``most`` messages that wait in it
        the newest are lost. For one of :data:`SEEN`; to be closed by whoever asked.
        """
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.rcvhwm = most
        socket.subscribe(b"")
        socket.connect(f"inproc://{channel}")
        return socket

    def _shown(self, channel: str) -> zmq.Socket[bytes]:
        # One that is full drops, where any other kind of socket would hold up what passes.
        socket = self._context.socket(zmq.PUB)
        socket.linger = 0
        socket.bind(f"inproc://{channel}")
        return socket

    def _inside_of(self, channel: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(INSIDE[channel])
        socket.linger = 0
        socket.reconnect_ivl = RECONNECT
        if channel != "iopub":
            socket.identity = AGENT
        socket.connect(f"ipc://{self._inside / 'kernel'}-{CHANNELS.index(channel) + 1}")
        if channel == "iopub":
            socket.send(SUBSCRIBE)  # a kernel sends nothing while nobody outside listens
        return socket

    def _in_the_loop(self, socket: zmq.Socket[bytes]) -> zmq.asyncio.Socket:
        shadow = zmq.asyncio.Socket.shadow(socket)
        self._ours.append((shadow, socket))
        return shadow


def _close(shadow: zmq.asyncio.Socket, socket: zmq.Socket[bytes]) -> None:
    # The loop must forget the descriptor first: the next socket has the same number, and would be taken for known.
    shadow.close()
    socket.close()


def _pass_on(
    outside: zmq.Socket[bytes],
    inside: zmq.Socket[bytes],
    shown: zmq.Socket[bytes] | None = None,
) -> None:
    with contextlib.suppress(zmq.ContextTerminated):
        zmq.proxy(inside, outside, shown)
    for socket in (inside, outside, shown):
        if socket:
            socket.close()
