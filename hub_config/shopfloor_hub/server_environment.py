"""What a server finds in its environment: its groups' folders, the nodes' way out, when it ends for want of work."""

from __future__ import annotations

import grp
import json
import pwd
from collections.abc import Callable, Iterable
from typing import Any

from shopfloor_jobs import idle
from shopfloor_jobs.scheduler import SchedulerError

from .site import Site
from .site_tables import Group

FOLDERS = "SHOPFLOOR_SHARED_FOLDERS"
IDLE_ON_SLURM = (
    2 * 3600
)  # seconds without work, where the site file names none; a machine of one's own waits


def folders_of(site: Site) -> Callable[[Any], str]:
    """The value of :data:`FOLDERS` for ``Spawner.environment``, which calls it with the spawner."""

    def value(spawner: Any) -> str:
        return json.dumps(folders(site, spawner.user.name))

    return value


def folders(site: Site, person: str) -> dict[str, str]:
    """The shared folders of a person, group name to path; the Lab server links them in at its start."""
    return {
        group.name: str(group.folder)
        for group in site.groups
        if group.folder and person in members(group)
    }


def members(group: Group) -> set[str]:
    """Everybody in a group, its Unix group's members included; none of those where it does not exist."""
    return {*group.members, *(_unix_members(group.unix_group) if group.unix_group else ())}


def _unix_members(name: str) -> Iterable[str]:
    try:
        found = grp.getgrnam(name)
    except KeyError:
        return []
    primary = (one.pw_name for one in pwd.getpwall() if one.pw_gid == found.gr_gid)
    return [*found.gr_mem, *primary]


def idle_of(site: Site) -> dict[str, Callable[[Any], str]]:
    """The variables that hold a server's idle rule, for ``Spawner.environment``."""

    def value_of(name: str) -> Callable[[Any], str]:
        return lambda spawner: idle_rule(site, preset_of(spawner)).to_environment()[name]

    return {name: value_of(name) for name in (idle.AFTER, idle.WARNING)}


def idle_rule(site: Site, preset: str) -> idle.Rule:
    """The rule for a server that was started with this preset, or with values of its own (``""``)."""
    return _rule(site, _idle_of_preset(site, preset))


def cluster_idle_rule(site: Site) -> idle.Rule:
    """The rule for Dask clusters."""
    return _rule(site, site.clusters.idle)


def kernel_idle_rule(site: Site, preset: str = "") -> idle.Rule:
    """The rule for kernels that are jobs of their own, with this preset or with other values (``""``)."""
    own = _idle_of_preset(site, preset)
    return _rule(site, site.kernels.idle if own is None else own)


def _idle_of_preset(site: Site, name: str) -> Any:
    return next((one.idle for one in site.presets if one.name == name), None)


def _rule(site: Site, own: Any) -> idle.Rule:
    after = usual_idle(site) if own is None else own
    return idle.Rule(float(after), float(site.idle.warning))


def usual_idle(site: Site) -> int:
    """Seconds without work after which something ends that has no rule of its own."""
    if site.idle.after is not None:
        return site.idle.after
    return IDLE_ON_SLURM if site.scheduler.type == "slurm" else 0


def preset_of(spawner: Any) -> str:
    """The preset that a server was started with; empty where any value differs from it."""
    options = dict(spawner.user_options or {})
    if not options:
        try:
            return spawner.offer().default_preset.name
        except SchedulerError:
            return ""
    return str(options["preset"]) if set(options) == {"preset"} else ""


def network(site: Site) -> dict[str, str]:
    """Proxy and mirror, under the names that programs look for; the hub is always reached directly."""
    given = site.network
    environment = {}
    for name in ("http_proxy", "https_proxy"):
        if value := getattr(given, name):
            environment[name] = environment[name.upper()] = value
    if environment:
        direct = ["localhost", "127.0.0.1", site.hub.internal_address]
        direct += [one.strip() for one in given.no_proxy.split(",") if one.strip()]
        environment["no_proxy"] = environment["NO_PROXY"] = ",".join(dict.fromkeys(direct))
    if given.pip_index_url:
        environment["PIP_INDEX_URL"] = given.pip_index_url
    return environment
