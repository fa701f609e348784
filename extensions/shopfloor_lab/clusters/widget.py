"""A cluster in a notebook's cell, as ipywidgets that follow it while somebody sees them; cluster.py makes them."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable
from html import escape
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from ipywidgets import HTML, Button, HBox, IntText, VBox, Widget
from shopfloor_jobs.fields import Refused

from . import appearance
from .client import NotConnected

if TYPE_CHECKING:
    from .cluster import Cluster

INTERVAL = 1.0  # seconds between looks while somebody sees it
LAST_WORDS = 15.0  # seconds in which a cluster that ended may still say why


class View:
    """Of one cluster, which it does not keep alive; ``box`` is what is shown.

    The browser counts where the box is shown (``_view_count``): with nobody there, nobody is asked for anything. The
    kernel's own thread never waits for the cluster, whose loop does everything here.
    """

    def __init__(self, cluster: Cluster):
        self._cluster = weakref.ref(cluster)
        self._loop = cluster.loop
        self._following = False
        self._wanted: int | None = None
        self._range: dict[str, int] | None = None
        self.head, self.body, self.problem = HTML(), HTML(), HTML()
        self.number = IntText(description="Workers")
        self.fewest = IntText(description="Fewest workers", style={"description_width": "initial"})
        self.most = IntText(description="Most workers", style={"description_width": "initial"})
        for number in (self.number, self.fewest, self.most):
            number.layout.width = "auto"
            number.layout.max_width = "14em"
        self.set_number = Button(description="Set", tooltip="Have this number of workers")
        self.set_range = Button(
            description="As many as needed",
            tooltip="Have more workers as soon as there is work for them, fewer after a minute without",
        )
        for button in (self.set_number, self.set_range):
            button.layout.width = "auto"
        self.set_number.on_click(lambda _: self._act(self._scale))
        self.set_range.on_click(lambda _: self._act(self._adapt))
        self.controls = (
            self.number,
            self.set_number,
            self.fewest,
            self.most,
            self.set_range,
        )
        rows = HBox(self.controls[:2]), HBox(self.controls[2:])
        self.box = VBox([self.head, *rows, self.problem, self.body], _view_count=0)
        self.box.observe(self._seen, "_view_count")
        cluster.changed = self.draw
        weakref.finalize(cluster, _close, _all(self.box)).atexit = False
        self.draw()

    def draw(self) -> None:
        """Show what is known; what did not change is not sent."""
        cluster = self._cluster()
        if cluster is None:
            return
        shown = cluster.described()
        self.head.value, self.body.value = appearance.head(shown), appearance.body(shown)
        if running := shown["state"] == "running":
            self._follow_others(shown["workers"])
        for control in self.controls:
            control.disabled = not running

    def _follow_others(self, workers: dict[str, Any]) -> None:
        """Put what was asked for elsewhere into the inputs, but leave what somebody is typing."""
        if workers["wanted"] != self._wanted:
            self._wanted = self.number.value = workers["wanted"]
        if workers["adapt"] and workers["adapt"] != self._range:
            self._range = workers["adapt"]
            self.fewest.value, self.most.value = self._range["minimum"], self._range["maximum"]

    def _seen(self, change: Any) -> None:
        if change["new"]:
            self._loop.add_callback(self._follow)

    async def _follow(self) -> None:
        if self._following:
            return
        self._following = True
        last_words = float("inf")
        try:
            while self.box._view_count:
                cluster = self._cluster()
                if cluster is None:
                    return
                shown = await cluster.look()
                if cluster.status is not Status.running:
                    last_words = min(last_words, time.monotonic() + LAST_WORDS)
                del cluster  # nor does waiting keep it alive
                self.draw()
                if shown["state"] == "ended" or time.monotonic() > last_words:
                    return
                await asyncio.sleep(INTERVAL)
        finally:
            self._following = False

    def _scale(self, cluster: Cluster) -> Awaitable[None] | None:
        return cluster.scale(self.number.value)

    def _adapt(self, cluster: Cluster) -> Awaitable[None] | None:
        return cluster.adapt(minimum=self.fewest.value, maximum=self.most.value)

    def _act(self, ask: Callable[[Cluster], Awaitable[None] | None]) -> None:
        self._loop.add_callback(self._do, ask)

    async def _do(self, ask: Callable[[Cluster], Awaitable[None] | None]) -> None:
        cluster = self._cluster()
        if cluster is None:
            return
        problem = ""
        try:
            # In its own loop, where it answers with something to wait for.
            await ask(cluster)  # type: ignore[misc]
        except (Refused, NotConnected) as error:
            problem = str(error)
        self.problem.value = f'<div role="alert">{escape(problem)}</div>' if problem else ""


def _all(widget: Widget) -> list[Widget]:
    """A widget with all that it is made of."""
    parts = (getattr(widget, "layout", None), getattr(widget, "style", None))
    return [
        widget,
        *(one for one in parts if one is not None),
        *(one for child in getattr(widget, "children", ()) for one in _all(child)),
    ]


def _close(widgets: list[Widget]) -> None:
    for widget in widgets:
        widget.close()
