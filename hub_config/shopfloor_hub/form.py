"""The start form: fields and offer as HTML, with the words of `templates/start_form.html`; pages_start serves it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from jupyterhub.utils import maybe_future, url_path_join
from shopfloor_jobs.fields import Field, Refused
from shopfloor_jobs.offer import CUSTOM, LIMITED, Offer, Preset
from shopfloor_jobs.request import FIELDS, Request
from shopfloor_jobs.scheduler import SchedulerError

from .costs import NONE_FREE, free_words, gpu_seconds, hours, left_words, room_words
from .moments import moment
from .offer_handler import SETTING
from .offers import Known

TEMPLATES = Path(__file__).parent / "templates"

# What somebody typed is shown again so that it can be mended; no honest value is longer.
_LONGEST = 80


@dataclass(frozen=True)
class Input:
    """One field as the form shows it: ``value`` as typed text, ``most`` and ``limits`` for people and browser."""

    field: Field
    value: str
    most: int | None = None
    limits: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Card:
    """One preset as the form shows it; ``values`` are its fields as typed text, for *Custom* to begin with.

    ``room`` says how often it is free now and ``cost`` what it takes; both empty where nobody knows.
    """

    preset: Preset
    hardware: str
    values: str
    room: str = ""
    cost: str = ""


@dataclass(frozen=True)
class Now:
    """What the hub knows of free hardware and projects, and where the form asks for more."""

    known: Known
    outlook_url: str


async def options_form(
    spawner: Any, prefill: Mapping[str, str] | None = None, refusal: Refused | None = None
) -> str:
    """What ``Spawner.options_form`` is set to: the form for the spawner's owner.

    Empty while the scheduler does not answer, for then nobody knows what can be had.
    """
    try:
        offer = await maybe_future(spawner.offer())
    except SchedulerError:
        return ""
    now = Now(
        spawner.user.settings[SETTING].known(),
        url_path_join(spawner.hub.base_url, "api/shopfloor/outlook"),
    )
    return render(offer, prefill, refusal, now)


def render(
    offer: Offer,
    prefill: Mapping[str, str] | None = None,
    refusal: Refused | None = None,
    now: Now | None = None,
) -> str:
    """The inputs of the start form as HTML, without the form element around them.

    ``now`` is what is known of free hardware and projects; ``prefill`` holds unchecked text by input name
    (``preset`` and the names of fields), as it came from a
    link or from a request that was refused; ``refusal`` is shown beside the field that it names.
    """
    prefill = {name: text[:_LONGEST] for name, text in (prefill or {}).items()}
    base = _base(offer, prefill.get("preset", ""))
    template = _environment().get_template("start_form.html")
    return template.render(
        cards=[_card(offer, preset, now) for preset in offer.presets],
        seen=moment(now.known.at) if now else None,
        left=left_words(now.known.accounts.of(offer.person)) if now else [],
        free=free_words(offer, now.known.description) if now else [],
        outlook_url=now.outlook_url if now else "",
        none_free=NONE_FREE,
        chosen=_chosen(offer, prefill),
        custom=CUSTOM,
        inputs=_inputs(offer, base, prefill),
        partition_limits=_json(_partition_limits(offer)),
        refusal=refusal,
        placed=refusal is not None and refusal.field in shown(offer),
    )


def shown(offer: Offer) -> list[str]:
    """The names of the fields that the form shows: those where this person has anything to choose.

    A number of which only one value is possible, and a choice of which nothing is offered, is left out.
    """
    names = []
    for name, row in FIELDS.items():
        if name in LIMITED:
            most = offer.largest(name)
            if most is None or most > row.minimum:
                names.append(name)
        elif _options(offer, name):
            names.append(name)
    return names


def editable(row: Field, value: int | str) -> str:
    """The value as text that a person can edit and the field reads back unchanged: ``4 GB``, ``90 min``."""
    if row.type == "bytes":
        steps = ((1024**4, "TB"), (1024**3, "GB"), (1024**2, "MB"))
    elif row.type == "seconds":
        steps = ((86400, "days"), (3600, "h"), (60, "min"))
    else:
        return str(value)
    for size, unit in steps:
        # One day reads better as 24 h, and "1 days" is no English.
        least = 2 * size if unit == "days" else size
        if int(value) >= least and int(value) % size == 0:
            return f"{int(value) // size} {unit}"
    return str(value)


def editable_values(request: Request) -> dict[str, str]:
    """A whole request as the form's fields hold it."""
    return {name: editable(row, getattr(request, name)) for name, row in FIELDS.items()}


def limits(row: Field, most: int | None) -> str:
    """The range that stands inside a label, such as "64 MB to 32 GB" with a dash, or ``1+`` without an end."""
    least = row.show(row.minimum)
    return f"{least}\N{EN DASH}{row.show(most)}" if most is not None else f"{least}+"


def _base(offer: Offer, name: str) -> Preset:
    return next((preset for preset in offer.presets if preset.name == name), offer.default_preset)


def _chosen(offer: Offer, prefill: Mapping[str, str]) -> str:
    """The radio button that is on: *Custom* as soon as a field is given, never one that cannot be had."""
    if prefill.get("preset") == CUSTOM or any(prefill.get(name) for name in FIELDS):
        return CUSTOM
    base = _base(offer, prefill.get("preset", ""))
    base = offer.default_preset if base.disabled else base
    return CUSTOM if base.disabled else base.name


def _card(offer: Offer, preset: Preset, now: Now | None) -> Card:
    values = {name: editable(FIELDS[name], value) for name, value in preset.request.items()}
    card = Card(preset, preset.to_json()["hardware"], _json(values))
    if now is None or preset.disabled:
        return card
    try:
        request = offer.check({"preset": preset.name})
    except Refused:
        return card
    known = now.known
    cost = gpu_seconds(request)
    return replace(
        card,
        room=room_words(known.description, request),
        cost=f"{hours(cost)} GPU-hours" if cost else "",
    )


def _inputs(offer: Offer, base: Preset, prefill: Mapping[str, str]) -> list[Input]:
    inputs = []
    for name in shown(offer):
        row = FIELDS[name]
        value = prefill.get(name) or editable(row, base.request.get(name, row.default))
        if name in LIMITED:
            most = offer.largest(name)
            inputs.append(Input(row, value, most, limits(row, most)))
        else:
            inputs.append(Input(row, value, options=_options(offer, name)))
    return inputs


def _options(offer: Offer, name: str) -> tuple[tuple[str, str], ...]:
    choices = offer.to_json()["choices"][name]
    return tuple((choice["value"], choice["label"]) for choice in choices)


def _partition_limits(offer: Offer) -> dict[str, dict[str, dict[str, Any]]]:
    """What each partition allows, and under the empty name what any of them allows."""
    table: dict[str, dict[str, dict[str, Any]]] = {"": {}}
    for name in shown(offer):
        if name not in LIMITED:
            continue
        row, overall = FIELDS[name], offer.largest(name)
        table[""][name] = {"max": overall, "text": limits(row, overall)}
        for partition in offer.partitions:
            known = [
                value
                for value in (partition.limits.get(name), offer.limits.get(name))
                if value is not None
            ]
            most = min(known, default=None)
            here = table.setdefault(partition.name, {})
            here[name] = {"max": most, "text": limits(row, most)}
    return table


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
