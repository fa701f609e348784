"""A person's servers as the pages show them; reads JupyterHub's spawners and what the scheduler saw of their jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jupyterhub.user import User
from jupyterhub.utils import url_escape_path
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.offer import CUSTOM, hardware
from shopfloor_spawners.progress import progress_of

from .moments import Moment, moment
from .pages_jobs import STOPPING, queue, state_line


@dataclass(frozen=True)
class Server:
    """One server as pages show it; ``state`` is ``starting``, ``running``, ``stopping`` or ``ended``.

    ``path`` is its part of JupyterHub's REST address, ``address`` that of the hub's pages; ``line`` says its state as
    those of other jobs do. ``ends`` is None where the end is not known.
    """

    name: str
    title: str
    state: str
    url: str
    path: str
    address: str
    line: str = ""
    place: int | None = None
    expected: Moment | None = None
    node: str = ""
    hardware: str = ""
    ends: Moment | None = None


def servers(user: Any) -> list[Server]:
    """The living servers of a person, the default one first; of anybody else (a service, nobody) none."""
    if not isinstance(user, User):
        return []
    return [server(user, spawner) for spawner in user.all_spawners() if _state(spawner) != "ended"]


def stopped(user: User) -> list[Server]:
    """The named servers of a person that do not run; the default one is what the large button is for."""
    return [
        server(user, one)
        for one in user.all_spawners(include_default=False)
        if _state(one) == "ended"
    ]


def server(user: User, spawner: Any) -> Server:
    """What is to be said of one server. A spawner without ``seen`` or ``request`` is said less of."""
    name = spawner.name
    seen: Seen | None = getattr(spawner, "seen", None)
    request = getattr(spawner, "request", None)
    ended = seen is not None and seen.state is State.ENDED
    state = _state(spawner)
    place, expected = queue(seen) if seen and state == "starting" else (None, None)
    return Server(
        name=name,
        title=(getattr(spawner, "display_name", "") or name) if name else "",
        state=state,
        url=user.server_url(name),
        path=f"users/{user.escaped_name}/"
        + (f"servers/{url_escape_path(name)}" if name else "server"),
        address=user.escaped_name + (f"/{url_escape_path(name)}" if name else ""),
        line=_line(state, None if ended else seen),
        place=place,
        expected=expected,
        node=seen.node if seen and not ended else "",
        hardware=hardware(request) if request else "",
        ends=moment(seen.ends) if seen and seen.ends and not ended else None,
    )


def progress(spawner: Any) -> dict[str, Any]:
    """What the waiting page says before its first event: such an event, its times as moments or None."""
    event = progress_of(spawner)
    times = ("expected", "was", "asked", "looked", "since")
    return {**event, **{name: moment(event[name]) if event[name] else None for name in times}}


def again(spawner: Any) -> dict[str, str]:
    """The inputs that ask for the same as the last time."""
    options = {name: value for name, value in (spawner.user_options or {}).items() if value != ""}
    if options and "preset" not in options:
        options["preset"] = CUSTOM
    return options


def _line(state: str, seen: Seen | None) -> str:
    if state == "stopping":
        return STOPPING
    if state == "running":
        return f"Running on {seen.node}" if seen and seen.node else "Running"
    # The job may run while what is in it is not ready yet.
    if seen and seen.state is State.RUNNING:
        seen = replace(seen, state=State.STARTING)
    return state_line(seen) if seen else "Asked"


def _state(spawner: Any) -> str:
    if not spawner.active:
        # After a restart of the hub, a server that waited is for a moment known only as what is meant.
        return "starting" if getattr(spawner, "intent", None) else "ended"
    if spawner.ready:
        return "running"
    return "stopping" if spawner.pending == "stop" else "starting"
