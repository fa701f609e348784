"""What changes about a person's clusters, for all open panels: one look serves them all, and none is made for nobody.

listing.py looks, steady.py says what is worth telling; events_handler.py puts it on the wire.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopfloor_jobs.directory import home_words
from shopfloor_jobs.within import set_within

from .steady import steady

LOOK = 2.0  # seconds between looks
AT_MOST_EACH = 0.2  # seconds between looks that orders cause
OVERDUE = 20.0  # seconds after which a look that is not done yet is not news any more

Cluster = Mapping[str, Any]


@dataclass(frozen=True)
class Edition:
    """All clusters as they were at ``time`` (epoch seconds), when the look at them began.

    ``orders`` counts what was ordered before; ``trouble`` is why nothing could be seen, in words.
    """

    clusters: Sequence[Cluster]
    time: float
    orders: int
    trouble: str = ""


class News:
    """``look`` lists the clusters under ``home``; it is called every ``pause`` seconds while somebody reads."""

    def __init__(
        self, look: Callable[[], Awaitable[Sequence[Cluster]]], home: Path, pause: float = LOOK
    ):
        self._look, self._home, self.pause = look, home, pause
        self._readers: set[Reader] = set()
        self._orders = 0
        self._sooner = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._began = float("-inf")
        self._done = float("-inf")
        self.edition: Edition | None = None

    def look_now(self) -> None:
        """Something was ordered: tell what came of it at once, and even where it came to nothing."""
        self._orders += 1
        self._sooner.set()

    @property
    def is_current(self) -> bool:
        """Whether the last look is recent, so that who was told nothing since knows all."""
        return time.monotonic() - self._done < self.pause + OVERDUE

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Somebody reads; looks begin with the first reader and end with the last."""
        reader = Reader(self)
        self._readers.add(reader)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._run())
            self._looking.add_done_callback(self._ended)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            self._sooner.set()  # whoever waits to look sees whether there is still somebody to look for

    async def _run(self) -> None:
        # A look is never broken off: its questions to the clusters are on their way.
        while self._readers:
            self._sooner.clear()
            self._began = time.monotonic()
            await self._publish()
            if await set_within(self._sooner, self.pause) and self._readers:
                await asyncio.sleep(self._began + AT_MOST_EACH - time.monotonic())

    async def _publish(self) -> None:
        began, orders, before = time.time(), self._orders, self.edition
        known = before.clusters if before else ()
        try:
            clusters, trouble = steady(known, await self._look()), ""
        except OSError as error:
            clusters, trouble = known, home_words(error, self._home)
        self._done = time.monotonic()
        self.edition = Edition(clusters, began, orders, trouble)
        for reader in self._readers:
            reader.stir()

    def _ended(self, looking: asyncio.Task[None]) -> None:
        self._looking = self.edition = None
        error = None if looking.cancelled() else looking.exception()
        for reader in self._readers:
            reader.leave(error)


class Reader:
    """One open panel; what it was told before is known, so that it hears what is new to it, however slowly it reads."""

    def __init__(self, news: News):
        self._news = news
        self._known: Edition | None = None
        self._stirred = asyncio.Event()
        self._error: BaseException | None = None
        self.left = False

    async def next(self, within: float) -> dict[str, Any] | None:
        """What is to be told, as soon as there is something; None when ``within`` seconds there was nothing.

        Raises what ended the looks.
        """
        deadline = time.monotonic() + within
        while not self.left:
            if told := self._untold():
                return told
            self._stirred.clear()
            if not await set_within(self._stirred, deadline - time.monotonic()):
                break
        if self._error:
            raise self._error
        return None

    def stir(self) -> None:
        """There may be something new."""
        self._stirred.set()

    def leave(self, error: BaseException | None = None) -> None:
        """Nobody reads any more, or nobody looks, for this reason."""
        self.left, self._error = True, error
        self._stirred.set()

    def _untold(self) -> dict[str, Any] | None:
        new, known = self._news.edition, self._known
        if new is None or new is known:
            return None
        self._known = new
        if new.trouble:
            if known and known.trouble == new.trouble:
                return None
            return {"kind": "trouble", "message": new.trouble, "server_time": new.time}
        if known is None or known.trouble:
            return {"kind": "all", "clusters": list(new.clusters), "server_time": new.time}
        changed = changes(known.clusters, new.clusters)
        if not changed["clusters"] and "ids" not in changed and known.orders == new.orders:
            return None
        return {"kind": "changed", **changed, "server_time": new.time}


def changes(before: Sequence[Cluster], after: Sequence[Cluster]) -> dict[str, Any]:
    """Of each cluster its id and the fields that are others now; and all ``ids`` in order where these are others.

    Of workers that are the same ones, only ``rows`` are told, of each its name and the fields that are others.
    """
    known = {one["id"]: one for one in before}
    told = []
    for one in after:
        fields = _changed(known.get(one["id"], {}), one)
        rows = _changed_rows(known.get(one["id"]), one) if "workers" in fields else None
        if rows is not None:
            fields = {**{name: fields[name] for name in fields if name != "workers"}, "rows": rows}
        if fields:
            told.append({"id": one["id"], **fields})
    ids = [one["id"] for one in after]
    return {"clusters": told, **({} if ids == list(known) else {"ids": ids})}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if before.get(name, ...) != value}


def _changed_rows(before: Cluster | None, after: Cluster) -> list[dict[str, Any]] | None:
    """None where more is another than what the rows of the same workers say."""
    if before is None or set(_changed(before["workers"], after["workers"])) != {"rows"}:
        return None
    old, new = before["workers"]["rows"], after["workers"]["rows"]
    if [one["name"] for one in old] != [one["name"] for one in new]:
        return None
    pairs = zip(old, new, strict=True)
    return [{"name": now["name"], **_changed(was, now)} for was, now in pairs if was != now]
