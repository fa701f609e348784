"""Tickets for the plots of a cluster: who holds one sees them, for some minutes; doors.py gives and takes them."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shopfloor_jobs.tls import named_context

from .connection import Connection

TICKET_LIFE = (
    300.0  # seconds; a page that is open stays open, one that lost its cluster needs a new ticket
)


@dataclass(frozen=True)
class Ticket:
    """Opens the plots of one cluster ``until`` a time on the clock of :class:`Tickets`."""

    text: str
    cluster: str
    host: str
    port: int
    context: ssl.SSLContext = field(repr=False)
    until: float

    def url(self, scheme: str, path: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{path}"


class Tickets:
    """Those that this server gave out. Nobody can guess one: 128 random bits. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: dict[str, Ticket] = {}

    def give(self, connection: Connection, host: str, port: int) -> Ticket:
        """One for this cluster; the same again at first, so that browsers keep what several pages share.

        Raises FileNotFoundError where the cluster's certificates are gone.
        """
        self._forget_old()
        now = self._clock()
        for one in self._given.values():
            same = (one.cluster, one.host, one.port) == (connection.id, host, port)
            if same and one.until - now > TICKET_LIFE / 2:
                return one
        own = connection.key, connection.certificate, connection.ca
        # 32 hexadecimal digits: a log in a help bundle has them masked.
        ticket = Ticket(
            text=secrets.token_hex(16),
            cluster=connection.id,
            host=host,
            port=port,
            context=named_context(*own, "scheduler"),
            until=now + TICKET_LIFE,
        )
        self._given[ticket.text] = ticket
        return ticket

    def find(self, text: str, cluster: str) -> Ticket | None:
        """The ticket of this text, if there is one that is still good, and for this cluster."""
        self._forget_old()
        ticket = self._given.get(text)
        return ticket if ticket and ticket.cluster == cluster else None

    def _forget_old(self) -> None:
        now = self._clock()
        self._given = {text: one for text, one in self._given.items() if one.until > now}
