"""The Lab server's connection to an agent that says nothing: nobody is held up by it, however long that lasts."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import zmq
from shopfloor_lab.errors import NoAnswer
from shopfloor_lab.kernels.link import Link
from shopfloor_lab.kernels.order import Arrival, Launch, Order

MORE_THAN_FIT = 3000  # orders; libzmq keeps 1,000 for a peer that takes none


@pytest.fixture
def link() -> Iterator[Link]:
    """To a node that is connected to and then silent."""
    public, secret = (key.decode() for key in zmq.curve_keypair())
    order = Order(Launch([]), "key", "hmac-sha256", public, secret, "python3", {})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = Link(order, Arrival("127.0.0.1", {}, silent.getsockname()[1]))
        yield made
        made.close()


@pytest.mark.timeout(30)
async def test_orders_to_a_node_that_has_been_silent_for_hours_hold_nobody_up(link: Link):
    for _ in range(MORE_THAN_FIT):
        with pytest.raises(NoAnswer):
            await link.report(within=0)
    assert link.look().starts == 0


async def test_what_is_asked_of_a_closed_connection_has_no_answer(link: Link):
    link.close()
    with pytest.raises(NoAnswer, match="is closed"):
        await link.report()
    assert not link.look().lives
    assert link.silence() >= 0
