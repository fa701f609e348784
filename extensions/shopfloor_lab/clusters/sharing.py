"""Shows a person's clusters to others, by way of the hub: repeats each share there with what there is to see now.

What is shared stands in the cluster's directory, so that it outlives Lab and hub, and whoever removes it there ends it.
Nobody gets a certificate, an address or a file by it, and nothing that others send gets here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shopfloor_jobs import directory
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.scheduler import SubmitRefused
from shopfloor_jobs.shared_view import MOST_SAMPLES, clean
from shopfloor_jobs.within import set_within

from shopfloor_lab.errors import Conflict
from shopfloor_lab.hub import Hub, HubRefused, NoHub
from shopfloor_lab.offer import NoOffer

from .connection import SHARE, Share, cluster_directories
from .listing import Clusters
from .state import shared_with

WATCHED, UNWATCHED = (
    2.0,
    10.0,
)  # seconds between two views, while somebody looks and while nobody does
MANY = 100  # workers, above which a view is large, and told no more often for being watched
REFUSED = 60.0  # seconds until the hub is asked again that would not have it
SHARED_WITH = ("people", "teams", "seconds")
TOO_OFTEN, TAKEN_BACK = 429, 410  # what the hub answers

log = logging.getLogger("shopfloor.sharing")


@dataclass
class _Told:
    """Of one cluster that is shown: when to tell next, who looked, and why the hub would not have it."""

    next: float = 0.0
    looked: list[Any] = field(default_factory=list)
    problem: str = ""
    history: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))


class Sharing:
    """Of the clusters of one person, whose hub this is; ``clock`` counts seconds."""

    def __init__(self, clusters: Clusters, hub: Hub, clock: Callable[[], float] = time.monotonic):
        self.clusters, self.hub, self._clock = clusters, hub, clock
        self._told: dict[str, _Told] = {}
        self._changed = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Go on with what was shared before this server started."""
        if self.hub:
            self._told.update(
                {cluster: _Told() for cluster in await asyncio.to_thread(_shared, self._home)}
            )
            self._tell_on()

    async def one(self, cluster: str) -> dict[str, Any]:
        """Who sees a cluster until when, who looked, and the teams that it can be shown to.

        Raises LookupError or NoHub.
        """
        path = await self._directory(cluster)
        known = await self.hub.ask("GET", "shares")
        return {"share": await self._shown(cluster, path), "teams": known["teams"]}

    async def share(self, cluster: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Show a living cluster to these ``people`` and ``teams`` for so many ``seconds``, and to nobody else.

        Raises Refused, LookupError, Conflict, SubmitRefused (the home is full) or NoHub.
        """
        if unknown := set(body) - set(SHARED_WITH):
            raise Refused(min(unknown)[:64], "", "there is no such field")
        described, path = await self.clusters.one(cluster), await self._directory(cluster)
        if described["state"] == "ended":
            raise Conflict(f"Cluster {described['name']!r} has ended: there is nothing to show.")
        asked = {name: body[name] for name in SHARED_WITH if name in body}
        granted = await self.hub.ask(
            "POST", "shares", {**asked, "cluster": cluster, "name": described["name"]}
        )
        share = Share(
            granted["grant"], tuple(granted["people"]), tuple(granted["teams"]), granted["until"]
        )
        try:
            await asyncio.to_thread(share.write, path)
        except OSError as error:
            with contextlib.suppress(NoHub):
                await self.hub.ask("DELETE", f"shares/{cluster}")
            raise SubmitRefused(directory.home_words(error, self._home)) from error
        self._told[cluster] = _Told()
        await self._tell(cluster)
        self._tell_on()
        return {"share": await self._shown(cluster, path)}

    async def take_back(self, cluster: str) -> None:
        """Show a cluster to nobody any more. Raises LookupError, or NoHub: the hub then forgets it within minutes."""
        path = await self._directory(cluster)
        self._told.pop(cluster, None)
        await asyncio.to_thread((path / SHARE).unlink, True)
        try:
            await self.hub.ask("DELETE", f"shares/{cluster}")
        except NoHub as error:
            forgets = "nothing more is told to it, and it forgets this within 5 minutes"
            raise NoHub(f"{error}; {forgets}") from error

    async def shown_to_me(self) -> dict[str, Any]:
        """What others show to this person. Raises NoHub."""
        return await self.hub.ask("GET", "shared")

    async def look(self, owner: str, cluster: str) -> dict[str, Any]:
        """What there is to see of somebody else's cluster. Raises NoHub, which is HubRefused where it is not shown."""
        return await self.hub.ask(
            "GET", f"shared/{quote(owner, safe='')}/{quote(cluster, safe='')}"
        )

    @property
    def _home(self) -> Path:
        return self.clusters.home

    def _tell_on(self) -> None:
        self._changed.set()
        if self._told and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._keep_telling())

    async def _keep_telling(self) -> None:
        while self._told:
            self._changed.clear()
            now = self._clock()
            for cluster in [one for one, told in self._told.items() if told.next <= now]:
                await self._tell(cluster)
            due = min((told.next for told in self._told.values()), default=now)
            await set_within(self._changed, due - self._clock())

    async def _tell(self, cluster: str) -> None:
        told = self._told.get(cluster)
        path = directory.directory_of(self._home, cluster)
        if told is None:
            return
        told.next, told.problem = self._clock() + UNWATCHED, ""
        share = None
        try:
            # Another Lab server of the same person may have taken it back.
            share = await asyncio.to_thread(Share.read, path)
            if share is None:
                self._told.pop(cluster, None)
                return
            view = await self._view(cluster, told)
            answer = await self.hub.ask(
                "PUT", f"shares/{cluster}", {**asdict(share), "name": view["name"], "view": view}
            )
        except HubRefused as refused:
            await self._refused(cluster, path, share, told, refused)
        except (NoHub, NoOffer) as error:
            told.problem = f"The hub does not answer: {error}"
        except (Refused, OSError) as error:  # a cluster of another version, a home that is away
            log.warning("%s is not shown: %s", cluster, error)
            told.problem, told.next = str(error), self._clock() + REFUSED
        except LookupError:
            self._told.pop(cluster, None)  # it was taken off the list
        else:
            if await asyncio.to_thread(Share.read, path) != share and cluster not in self._told:
                # It was taken back while this was on its way, and the hub may have forgotten that it was.
                with contextlib.suppress(NoHub):
                    await self.hub.ask("DELETE", f"shares/{cluster}")
                return
            told.looked = answer["looked"]
            if answer["watched"] and len(view["workers"]["rows"]) <= MANY:
                told.next = self._clock() + WATCHED
            if view["state"] == "ended":
                await self._forget(cluster, path, share)  # others see that for some minutes

    async def _view(self, cluster: str, told: _Told) -> dict[str, Any]:
        """What may be shown of it. Raises LookupError."""
        described = await self.clusters.one(cluster)
        figures = described["figures"]
        if figures:
            told.history.append(
                {
                    "at": time.time(),
                    "memory": described["memory"],
                    "cpu": figures["cpu"],
                    "rate": figures["rate"],
                }
            )
        return clean({**described, "history": list(told.history)})

    async def _refused(
        self, cluster: str, path: Path, share: Share, told: _Told, refused: HubRefused
    ) -> None:
        if refused.status == TOO_OFTEN:
            return  # another server of the same person tells as well
        if refused.status == TAKEN_BACK or share.until <= time.time():
            await self._forget(cluster, path, share)
            return
        log.warning("%s is not shown: %s", cluster, refused)
        told.problem, told.next = str(refused), self._clock() + REFUSED

    async def _forget(self, cluster: str, path: Path, share: Share) -> None:
        """End a share that is over, unless there is a newer one."""
        self._told.pop(cluster, None)
        if await asyncio.to_thread(Share.read, path) == share:
            await asyncio.to_thread((path / SHARE).unlink, True)

    async def _shown(self, cluster: str, path: Path) -> dict[str, Any] | None:
        shown = shared_with(await asyncio.to_thread(Share.read, path), time.time())
        if shown is None:
            return None
        told = self._told.get(cluster, _Told())
        return {**shown, "looked": told.looked, "problem": told.problem or None}

    async def _directory(self, cluster: str) -> Path:
        """Raises LookupError where there is no cluster of this id."""
        await self.clusters.one(cluster)
        return directory.directory_of(self._home, cluster)


def _shared(home: Path) -> list[str]:
    return [path.name for path in cluster_directories(home) if (path / SHARE).is_file()]
