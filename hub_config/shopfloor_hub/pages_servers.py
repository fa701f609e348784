"""A person's servers as the pages show them; reads JupyterHub's spawners and what the scheduler saw of their jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from jupyterhub.user import User
from jupyterhub.utils import url_escape_path
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.offer import CUSTOM, hardware
from shopfloor_spawners.progress import progress_of


@dataclass(frozen=True)
class Moment:
    """A time: ``iso`` for the browser, which knows the reader's time zone, ``clock`` where it has no script."""

    iso: str
    clock: str


@dataclass(frozen=True)
class Server:
    """One server as pages show it; ``state`` is ``starting``, ``running``, ``stopping`` or ``ended``.

    ``path`` is its part of JupyterHub's REST address; ``ends`` is None where the end is not known.
    """

    name: str
    title: str
    state: str
    url: str
    path: str
    node: str = ""
    hardware: str = ""
    ends: Moment | None = None


def moment(epoch: float) -> Moment:
    """Epoch seconds as a moment."""
    then = datetime.fromtimestamp(epoch, tz=timezone.utc)
    return Moment(then.isoformat(timespec="seconds"), then.astimezone().strftime("%H:%M"))


def utc(naive: datetime) -> Moment:
    """A time as JupyterHub's database holds it."""
    return moment(naive.replace(tzinfo=timezone.utc).timestamp())


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
    return Server(
        name=name,
        title=(getattr(spawner, "display_name", "") or name) if name else "",
        state=_state(spawner),
        url=user.server_url(name),
        path=f"users/{user.escaped_name}/"
        + (f"servers/{url_escape_path(name)}" if name else "server"),
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


def _state(spawner: Any) -> str:
    if not spawner.active:
        # After a restart of the hub, a server that waited is for a moment known only as what is meant.
        return "starting" if getattr(spawner, "intent", None) else "ended"
    if spawner.ready:
        return "running"
    return "stopping" if spawner.pending == "stop" else "starting"
