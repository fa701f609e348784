"""Who may see whose cluster, until when, and what its owner told of it last; shares_handler.py asks and tells.

All of it is in memory. Each share stands in its cluster's directory with the owner, whose Lab server repeats it with
every view: a hub that was restarted knows it again in seconds, and what nobody repeats is forgotten.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shopfloor_jobs.directory import TAG
from shopfloor_jobs.fields import Refused, shorten
from shopfloor_jobs.shared_view import clean

LEASE = 300.0  # seconds that a view is shown whose owner's Lab server is away
SHORTEST, LONGEST = 60, 7 * 86400  # seconds that a share may last
MOST_PEOPLE, MOST_TEAMS, MOST_SHARES = 20, 10, 10
AT_MOST_EACH = 0.5  # seconds between two views of a cluster
WATCHED = 20.0  # seconds since somebody looked
REVOKED_KEPT = 100  # of each owner, the newest
GRANT = re.compile(r"[0-9a-f]{32}")


class Revoked(Exception):
    """This share was taken back, or replaced."""


class TooOften(Exception):
    """Another view so soon; the text is fit for a log."""


class TooMany(Exception):
    """The owner shares too many clusters; the text is fit for the person."""


@dataclass(frozen=True)
class Grant:
    """That these ``people``, and whoever is in one of these ``teams`` when they look, may see a cluster.

    ``id`` is another one whenever the owner changes something; ``until`` is in epoch seconds.
    """

    id: str
    owner: str
    cluster: str
    name: str
    people: tuple[str, ...]
    teams: tuple[str, ...]
    until: float

    def allows(self, person: str, teams: Collection[str]) -> bool:
        named = person in self.people or any(team in teams for team in self.teams)
        return named and person != self.owner

    def to_json(self) -> dict[str, Any]:
        return {
            "grant": self.id,
            "cluster": self.cluster,
            "name": self.name,
            "people": list(self.people),
            "teams": list(self.teams),
            "until": self.until,
        }


@dataclass(frozen=True)
class Owner:
    """Who shares, which teams they are in, and whether there is a person of some name."""

    name: str
    teams: Collection[str]
    knows: Callable[[str], bool]


@dataclass
class _Shown:
    grant: Grant
    told: float
    view: Mapping[str, Any] | None = None
    lookers: dict[str, float] = field(default_factory=dict)


class Shares:
    """Of everybody; ``clock`` gives epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time):
        self._clock = clock
        self._shown: dict[tuple[str, str], _Shown] = {}
        self._revoked: dict[str, OrderedDict[str, None]] = {}

    def __deepcopy__(self, memo: object) -> Shares:
        return self  # traitlets copies every configured value

    def share(self, owner: Owner, asked: Mapping[str, Any]) -> Grant:
        """A new share, for ``seconds``, in place of the one that the cluster had. Raises Refused or TooMany."""
        seconds = asked.get("seconds")
        if type(seconds) is not int or not SHORTEST <= seconds <= LONGEST:
            limit = f"a whole number of seconds, from {SHORTEST} to {LONGEST} (7 days)"
            raise Refused("seconds", seconds, limit)
        until = self._clock() + seconds
        grant = self._check(owner, {**asked, "until": until}, secrets.token_hex(16))
        self._replace(grant)
        return grant

    def tell(self, owner: Owner, told: Mapping[str, Any]) -> dict[str, Any]:
        """Repeat a share with what there is to see: whether somebody looks, and who did when.

        Raises Refused, TooMany, Revoked or TooOften.
        """
        now, id = self._clock(), told.get("grant")
        if not isinstance(id, str) or not GRANT.fullmatch(id):
            raise Refused("grant", id, "32 hexadecimal digits")
        if id in self._revoked.get(owner.name, ()):
            raise Revoked
        grant = self._check(owner, told, id)
        shown = self._shown.get((owner.name, grant.cluster))
        if shown is not None and shown.grant.id == id:
            if shown.view is not None and now - shown.told < AT_MOST_EACH:
                raise TooOften(
                    f"views of {grant.cluster} come more often than each {AT_MOST_EACH} s"
                )
            grant = replace(grant, until=min(grant.until, shown.grant.until))
        elif shown is not None:
            raise Revoked  # there is a newer one
        view = clean(told.get("view"))  # the most work comes last
        shown = shown or self._replace(grant)
        shown.grant, shown.told, shown.view = grant, now, view
        looked = sorted(shown.lookers.items(), key=lambda one: one[1])
        return {
            "watched": any(now - at < WATCHED for _, at in looked),
            "looked": [{"name": name, "at": at} for name, at in looked],
            "until": grant.until,
        }

    def revoke(self, owner: str, cluster: str) -> None:
        """Take a share back; from now on nobody sees anything of it. Nothing where there is none."""
        if shown := self._shown.pop((owner, cluster), None):
            self._remember_revoked(shown.grant)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """What somebody shares themselves."""
        self._forget_old()
        return [one.grant.to_json() for (name, _), one in self._shown.items() if name == owner]

    def shown_to(self, person: str, teams: Collection[str]) -> list[dict[str, Any]]:
        """What others show to this person, who is in these teams."""
        self._forget_old()
        return [
            {
                "owner": owner,
                "cluster": cluster,
                "name": one.grant.name,
                "until": one.grant.until,
                "told": one.told,
                "state": one.view["state"],
            }
            for (owner, cluster), one in self._shown.items()
            if one.view is not None and one.grant.allows(person, teams)
        ]

    def look(self, person: str, teams: Collection[str], owner: str, cluster: str) -> dict[str, Any]:
        """What there is to see of a cluster. Raises LookupError, the same whether there is none or it is not shown."""
        self._forget_old()
        one = self._shown.get((owner, cluster))
        if one is None or one.view is None or not one.grant.allows(person, teams):
            raise LookupError("No such cluster is shown to you, or no longer.")
        now = self._clock()
        one.lookers[person] = now
        return {
            "owner": owner,
            "cluster": cluster,
            "until": one.grant.until,
            "told": one.told,
            "server_time": now,
            "view": one.view,
        }

    def _check(self, owner: Owner, asked: Mapping[str, Any], id: str) -> Grant:
        cluster, name, until = asked.get("cluster"), asked.get("name"), asked.get("until")
        if not isinstance(cluster, str) or not TAG.fullmatch(cluster):
            raise Refused("cluster", cluster, "a cluster's id")
        if not isinstance(name, str) or not 1 <= len(name) <= 40:
            raise Refused("name", name, "1 to 40 characters")
        now = self._clock()
        if type(until) not in (int, float) or not now < until <= now + LONGEST:
            raise Refused("until", until, "a time in the next 7 days, in epoch seconds")
        people = _names("people", asked.get("people"), MOST_PEOPLE)
        teams = _names("teams", asked.get("teams"), MOST_TEAMS)
        if not people and not teams:
            raise Refused("people", [], "at least one person or team")
        for person in people:
            if person == owner.name:
                raise Refused("people", person, "somebody else: you see it already")
            if not owner.knows(person):
                raise Refused("people", person, "nobody of this name has logged in here")
        for team in teams:
            if team not in owner.teams:
                yours = ", ".join(sorted(owner.teams)) or "you are in none"
                raise Refused("teams", team, f"one of yours ({yours})")
        self._forget_old()
        others = sum(one == owner.name and key != cluster for one, key in self._shown)
        if others >= MOST_SHARES:
            raise TooMany(
                f"You show {others} clusters to others, which is the most: stop one first."
            )
        return Grant(id, owner.name, cluster, name, people, teams, float(until))

    def _replace(self, grant: Grant) -> _Shown:
        self.revoke(grant.owner, grant.cluster)
        shown = self._shown[grant.owner, grant.cluster] = _Shown(grant, self._clock())
        return shown

    def _remember_revoked(self, grant: Grant) -> None:
        revoked = self._revoked.setdefault(grant.owner, OrderedDict())
        revoked[grant.id] = None
        while len(revoked) > REVOKED_KEPT:
            revoked.popitem(last=False)

    def _forget_old(self) -> None:
        now = self._clock()
        for key, one in list(self._shown.items()):
            if one.grant.until <= now or now - one.told > LEASE:
                del self._shown[key]


def _names(field: str, value: Any, most: int) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise Refused(field, value, "a list of names")
    if len(value) > most:
        raise Refused(field, shorten(value), f"at most {most}")
    return tuple(dict.fromkeys(value))
