"""What a server finds in its environment: the folders of the person's groups, and the nodes' way out."""

from __future__ import annotations

import grp
import json
import pwd
from collections.abc import Callable, Iterable
from typing import Any

from .site import Site
from .site_tables import Group

FOLDERS = "SHOPFLOOR_SHARED_FOLDERS"


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
