"""Slurm's associations, limits and reservations as Accounts, from what its commands print; slurm.py runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import slurm_caps
from .accounts import Account, Accounts, Reservation
from .caps import Cap

ASSOCIATIONS = ("scontrol", "--oneliner", "show", "assoc_mgr", "flags=assoc")
ALLOWED_QOS = (
    "sacctmgr",
    "--noheader",
    "--parsable2",
    "show",
    "associations",
    "format=Account,User,QOS,DefaultQOS",
)
RESERVATIONS = ("scontrol", "--oneliner", "show", "reservation")
CONFIG = ("scontrol", "show", "config")

_GPU = re.compile(r"(?:^|,)gres/gpu=(N|\d+)\((\d+)\)")
_NOBODY = ("", "(null)")


@dataclass(frozen=True)
class _Row:
    """One association as ``scontrol show assoc_mgr`` prints it; ``user`` is empty for an account's own."""

    account: str
    user: str
    parent: str
    default: bool
    gpu_limit: int | None
    gpu_used: int
    longest: int | None
    at_once: Mapping[str, int]


def parse(
    associations: str, qos: str, reservations: str, config: str, qos_limits: str = ""
) -> Accounts:
    """Put the output of the commands together; ``qos_limits`` is that of :data:`slurm_caps.QOS`."""
    of_qos = slurm_caps.of_qos(qos_limits)
    rows = [row for line in associations.splitlines() if (row := _row(_pairs(line)))]
    parents = {row.account: row for row in rows if not row.user}
    allowed = _allowed_qos(qos)
    people: dict[str, list[Account]] = {}
    for row in rows:
        if row.user:
            above = _above(row.account, parents)
            limit, used = _least_left([row, *above])
            names, default = allowed.get((row.account, row.user), ((), ""))
            caps = (*_caps(row, above), *_qos_caps(row, names, default, of_qos))
            account = Account(
                row.account, row.default, names, default, limit, used, row.longest, caps
            )
            people.setdefault(row.user, []).append(account)
    return Accounts(
        people={person: tuple(mine) for person, mine in people.items()},
        reservations=tuple(
            one for line in reservations.splitlines() if (one := _reservation(_pairs(line)))
        ),
        enforced=_enforced(config),
    )


def _row(pairs: Mapping[str, str]) -> _Row | None:
    if "Account" not in pairs or "DefAssoc" not in pairs or pairs.get("Partition"):
        return None
    found = _GPU.search(pairs.get("GrpTRESMins", ""))
    limit, used = found.groups() if found else ("N", "0")
    longest = pairs.get("MaxWallPJ", "")
    return _Row(
        account=pairs["Account"],
        user=pairs.get("UserName", "").partition("(")[0],
        parent=pairs.get("ParentAccount", "").partition("(")[0],
        default=pairs["DefAssoc"] == "Yes",
        gpu_limit=None if limit == "N" else int(limit) * 60,
        gpu_used=int(used) * 60,
        longest=int(longest) * 60 if longest.isdigit() else None,
        at_once=slurm_caps.of_association(pairs),
    )


def _caps(row: _Row, above: Sequence[_Row]) -> list[Cap]:
    """What holds for the association and for what it belongs to."""
    holds: dict[str, Any] = {"account": row.account, "usual_account": row.default}
    found = slurm_caps.caps(f"You, in project {row.account},", row.at_once, **holds)
    for one in above:
        found += slurm_caps.caps(f"Project {one.account}", one.at_once, **holds)
    return found


def _qos_caps(
    row: _Row,
    names: Sequence[str],
    default: str,
    limits: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]],
) -> list[Cap]:
    found: list[Cap] = []
    for name in names:
        together, each = limits.get(name, ({}, {}))
        holds: dict[str, Any] = {
            "account": row.account,
            "qos": name,
            "usual_account": row.default,
            # Without another default, Slurm takes the only one.
            "usual_qos": name == default or len(names) == 1,
        }
        found += slurm_caps.caps(f"All with QOS {name} together", together, **holds)
        found += slurm_caps.caps(f"You, with QOS {name},", each, **holds)
    return found


def _above(account: str, parents: Mapping[str, _Row]) -> list[_Row]:
    """The account and those it belongs to."""
    found: list[_Row] = []
    while (row := parents.get(account)) and row not in found:
        found.append(row)
        account = row.parent
    return found


def _least_left(rows: Sequence[_Row]) -> tuple[int | None, int]:
    """Limit and use of whichever has the least left; where nothing limits, the project's own use."""
    limited = [row for row in rows if row.gpu_limit is not None]
    if not limited:
        own = [row for row in rows if not row.user]
        return None, own[0].gpu_used if own else 0
    least = min(limited, key=lambda row: (row.gpu_limit or 0) - row.gpu_used)
    return least.gpu_limit, least.gpu_used


def _allowed_qos(text: str) -> dict[tuple[str, str], tuple[tuple[str, ...], str]]:
    found = {}
    for line in text.splitlines():
        columns = line.split("|")
        if len(columns) == 4:
            account, user, names, default = (column.strip() for column in columns)
            found[account, user] = (tuple(name for name in names.split(",") if name), default)
    return found


def _reservation(pairs: Mapping[str, str]) -> Reservation | None:
    name, start, end = (pairs.get(key, "") for key in ("ReservationName", "StartTime", "EndTime"))
    if not name or not start.isdigit() or not end.isdigit():
        return None
    partition = pairs.get("PartitionName", "")
    return Reservation(
        name,
        float(start),
        float(end),
        _names(pairs.get("Users", "")),
        _names(pairs.get("Accounts", "")),
        "" if partition in _NOBODY else partition,
    )


def _names(text: str) -> frozenset[str]:
    """The names in a list; those that begin with a minus are everybody else, whom nobody can list."""
    if text in _NOBODY:
        return frozenset()
    return frozenset(name for name in text.split(",") if not name.startswith("-"))


def _enforced(config: str) -> bool:
    found = re.search(r"^AccountingStorageEnforce\s*=\s*(.*)$", config, re.MULTILINE)
    words = found.group(1).split(",") if found else []
    return any(word in ("associations", "limits", "qos", "safe", "all") for word in words)


def _pairs(line: str) -> dict[str, str]:
    """``Key=value`` words; none of the values that are read here holds a space."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)
