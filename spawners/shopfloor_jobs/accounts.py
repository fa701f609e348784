"""Projects (accounts), what they may use and what they have left, and reservations: who may charge what, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .caps import Cap


@dataclass(frozen=True)
class Account:
    """One project of one person.

    ``gpu_limit`` and ``gpu_used`` are GPU-seconds of the present period, of the project or of whatever it belongs
    to that has the least left; ``gpu_limit`` is None where nothing limits it. ``longest`` is the longest job in
    seconds, None where there is no limit. ``caps`` are what limits what may be had at once.
    """

    name: str
    default: bool = False
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    gpu_limit: int | None = None
    gpu_used: int = 0
    longest: int | None = None
    caps: tuple[Cap, ...] = ()

    @property
    def gpu_left(self) -> int | None:
        """GPU-seconds that may still be used; None where nothing limits them."""
        return None if self.gpu_limit is None else max(0, self.gpu_limit - self.gpu_used)


@dataclass(frozen=True)
class Reservation:
    """Booked nodes: for these people or accounts, from ``start`` to ``end`` (epoch seconds)."""

    name: str
    start: float
    end: float
    people: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    partition: str = ""


@dataclass(frozen=True)
class Accounts:
    """Everybody's projects. ``enforced`` says whether somebody without a project can start nothing."""

    people: Mapping[str, tuple[Account, ...]] = field(default_factory=dict)
    reservations: tuple[Reservation, ...] = ()
    enforced: bool = False

    def of(self, person: str) -> tuple[Account, ...]:
        """The person's projects, the one that is charged when none is named first."""
        mine = self.people.get(person, ())
        return tuple(sorted(mine, key=lambda one: (not one.default, one.name)))

    def charged(self, person: str, account: str = "") -> Account | None:
        """The project that a request of the person's is charged to."""
        mine = self.of(person)
        return next((one for one in mine if one.name == account or not account), None)

    def reservations_for(self, person: str, now: float) -> tuple[Reservation, ...]:
        """The reservations that the person may use and that are not over."""
        names = {one.name for one in self.of(person)}
        return tuple(
            one
            for one in self.reservations
            if one.end > now and (person in one.people or one.accounts & names)
        )
