"""A kernel's doors when the network between a node and Lab is not what it should be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import zmq
from shopfloor_lab.kernels import channels
from shopfloor_lab.kernels.channels import SUBSCRIBE, Doors
from shopfloor_lab.kernels.kernel import JobKernel
from shopfloor_lab.kernels.order import Launch, Order

from tests.jobs.waiting import async_wait_until


class Wire:
    """TCP between Lab and a node, which breaks so that only the node's side hears of it."""

    def __init__(self, port: int):
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._inner: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._take, "127.0.0.1")
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    def break_inside(self) -> None:
        for writer in self._inner:
            writer.transport.abort()
        self._inner.clear()

    async def _take(self, outer: asyncio.StreamReader, outer_writer: asyncio.StreamWriter) -> None:
        inner, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._inner.add(inner_writer)
        for source, sink in ((outer, inner_writer), (inner, outer_writer)):
            task = asyncio.create_task(_pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until either ends; the other way is told nothing of that."""
    with contextlib.suppress(OSError):
        while said := await source.read(2**16):
            sink.write(said)
            await sink.drain()


class Ends:
    """A kernel's sockets inside of ``doors``, and those of people outside."""

    def __init__(self, doors: Doors, folder: Path, order: Order):
        self._context, self.doors, self._order = zmq.Context(), doors, order
        self.iopub = self._context.socket(zmq.XPUB)
        self.shell = self._context.socket(zmq.ROUTER)
        self.iopub.xpub_verbose = True
        self.shell.bind(f"ipc://{folder}/kernel-1")
        self.iopub.bind(f"ipc://{folder}/kernel-2")

    def outside(self, kind: int, port: int, identity: bytes = b"") -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.curve_serverkey = socket.curve_publickey = self._order.publickey.encode()
        socket.curve_secretkey = self._order.secretkey.encode()
        if identity:
            socket.identity = identity
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(f"tcp://127.0.0.1:{port}")
        return socket

    def lab(self, **ports: int) -> JobKernel:
        """What the Lab server has of this kernel."""
        kernel = JobKernel(kernel_name="python3")
        kernel.chosen = {}
        keys = {"curve_publickey": self._order.publickey, "curve_secretkey": self._order.secretkey}
        encoded = {name: key.encode() for name, key in keys.items()}
        kernel.load_connection_info({"transport": "tcp", "ip": "127.0.0.1", **encoded, **ports})
        return kernel

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
async def make_ends(tmp_path: Path) -> AsyncIterator[Callable[[], Ends]]:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    order = Order(Launch(["x"]), "", "hmac-sha256", public, secret, "x", {})
    with contextlib.ExitStack() as stack:

        def make() -> Ends:
            ends = Ends(stack.enter_context(Doors(order, "127.0.0.1", tmp_path)), tmp_path, order)
            stack.callback(ends.close)
            return ends

        yield make


def came(socket: zmq.Socket[bytes]) -> Callable[[], list[bytes] | None]:
    return lambda: socket.recv_multipart() if socket.poll(0) else None


async def test_who_only_listens_hears_again_after_the_node_gave_the_connection_up(
    make_ends: Callable[[], Ends], monkeypatch: pytest.MonkeyPatch
):
    for name, shortened in {"BEAT_EVERY": 200, "BEAT_WITHIN": 600, "SILENT_FOR": 1000}.items():
        monkeypatch.setattr(channels, name, shortened)
    ends = make_ends()
    begins = came(ends.iopub)
    assert await async_wait_until(begins, 10, "the agent listens") == [SUBSCRIBE]
    async with Wire(ends.doors.ports["iopub_port"]) as wire:
        lab = ends.lab(iopub_port=wire.port)
        heard: asyncio.Queue[list[bytes]] = asyncio.Queue()
        stream = lab.connect_iopub()
        stream.on_recv(heard.put_nowait)
        assert await async_wait_until(begins, 10, "so does Lab") == [SUBSCRIBE]
        ends.iopub.send(b"before")
        assert await asyncio.wait_for(heard.get(), 10) == [b"before"]
        wire.break_inside()
        assert await async_wait_until(begins, 10, "it listens again") == [SUBSCRIBE]
        ends.iopub.send(b"after")
        assert await asyncio.wait_for(heard.get(), 10) == [b"after"]
        stream.close()


async def test_who_comes_again_by_the_same_name_is_let_in_though_the_first_has_not_left(
    make_ends: Callable[[], Ends],
):
    ends = make_ends()
    port = ends.doors.ports["shell_port"]
    for word in (b"first", b"second"):
        page = ends.outside(zmq.DEALER, port, b"a session")
        page.send(word)
        asked = await async_wait_until(came(ends.shell), 10, f"{word!r} comes in")
        assert asked[1:] == [b"a session", word]
        ends.shell.send_multipart([*asked[:-1], b"answer"])
        assert await async_wait_until(came(page), 10, "it is answered") == [b"answer"]
