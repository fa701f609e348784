"""The offer that a person gets: the site file held against what the scheduler says of itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shopfloor_jobs.accounts import Accounts
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import (
    CHOSEN,
    LIMITED,
    Choice,
    ClusterTerms,
    KernelTerms,
    Offer,
    Partition,
    Preset,
)
from shopfloor_jobs.request import FIELDS, Request
from shopfloor_jobs.scheduler import Description, PartitionInfo

from . import environments
from .server_environment import cluster_idle_rule, kernel_idle_rule
from .site import Site

SMALL_MEMORY = 2 * 1024**3  # bytes


def build(
    site: Site, description: Description, person: str, accounts: Accounts | None = None
) -> Offer:
    """What this person may ask for."""
    accounts = accounts or Accounts()
    offer = Offer(
        person=person,
        site=site.site.name,
        scheduler=site.node_scheduler,
        partitions=partitions(site, description),
        presets=(),
        limits=given_limits(site.limits),
        choices={
            "environment": environments.choices(site),
            **_named_in_presets(site),
            **_accounts_of(accounts, person),
        },
        caps=tuple(cap for one in accounts.of(person) for cap in one.caps),
        clusters=ClusterTerms(
            workers=site.clusters.workers,
            at_once=site.clusters.at_once,
            idle=cluster_idle_rule(site),
            beside_lab=site.clusters.beside_lab and site.scheduler.type == "slurm",
        ),
        kernels=KernelTerms(
            idle=kernel_idle_rule(site),
            presets={
                one.name: kernel_idle_rule(site, one.name)
                for one in site.presets
                if one.idle is not None
            },
        ),
    )
    presets = _site_presets(site, offer) if site.presets else _usual_presets(offer)
    return replace(
        offer,
        presets=tuple(
            replace(
                preset,
                disabled=_why_nothing(accounts, person)
                or _why_not(site, description, offer, preset),
            )
            for preset in presets
        ),
    )


def partitions(site: Site, description: Description) -> tuple[Partition, ...]:
    """The partitions that are offered and up, the site's in its order, else the scheduler's default first."""
    if site.partitions:
        found = [(description.partition(one.name), one) for one in site.partitions]
    else:
        ordered = sorted(description.partitions, key=lambda one: not one.default)
        found = [(one, None) for one in ordered]
    return tuple(_partition(info, wish) for info, wish in found if info is not None and info.up)


def _partition(info: PartitionInfo, wish: Any) -> Partition:
    limits = scheduler_limits(info)
    for name, most in (given_limits(wish) if wish else {}).items():
        limits[name] = min(most, limits.get(name, most))
    gpu_types = {
        kind: min(count, limits["gpus"]) for kind, count in info.gpus.items() if limits["gpus"]
    }
    return Partition(info.name, wish.label if wish else "", limits, gpu_types)


def scheduler_limits(info: PartitionInfo) -> dict[str, int]:
    """The most that one job can get on a partition, by field name."""
    limits = {
        "cpus": info.cpus,
        "memory": info.memory,
        "gpus": max(info.gpus.values(), default=0),
        "nodes": info.nodes,
    }
    return limits if info.time is None else {**limits, "time": info.time}


def given_limits(table: Any) -> dict[str, int]:
    """The limits that a table of the site file really sets, by field name."""
    return _given(table, LIMITED)


def _given(table: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The values of a request that a table of the site file really gives."""
    return {name: value for name in names if (value := getattr(table, name)) is not None}


def _named_in_presets(site: Site) -> dict[str, tuple[Choice, ...]]:
    """Accounts, QOS and reservations that the site's presets name, beside making no choice at all."""
    named = {}
    for name in ("account", "qos", "reservation"):
        values = dict.fromkeys(value for one in site.presets if (value := getattr(one, name)))
        if values:
            named[name] = (Choice("", "Slurm's own choice"), *map(Choice, values))
    return named


def _accounts_of(accounts: Accounts, person: str) -> dict[str, tuple[Choice, ...]]:
    """The person's own projects, priority classes and booked seats, where the scheduler knows of any.

    A project that is the only one is charged without being asked for; of several, Slurm's own choice is the first.
    """
    mine = accounts.of(person)
    if not mine:
        return {}
    choices = {"account": tuple(Choice(one.name) for one in mine)}
    if len(mine) > 1:
        usual = next((one.name for one in mine if one.default), "")
        choices["account"] = (
            Choice("", f"{usual}, as usual" if usual else "Slurm's own choice"),
            *choices["account"],
        )
    qos = dict.fromkeys(name for one in mine for name in one.qos)
    if len(qos) > 1:
        choices["qos"] = (Choice("", "Usual"), *map(Choice, qos))
    if booked := accounts.reservations_for(person, time.time()):
        none = Choice("", "None")
        choices["reservation"] = (none, *(Choice(one.name) for one in booked))
    return choices


def _why_nothing(accounts: Accounts, person: str) -> str:
    """Why this person can start nothing at all; empty where they can."""
    if accounts.enforced and accounts.people and not accounts.of(person):
        return f"{person} belongs to no project on this cluster; ask your administrator for one."
    return ""


def _site_presets(site: Site, offer: Offer) -> list[Preset]:
    presets = []
    for one in site.presets:
        values = _given(one, LIMITED + CHOSEN)
        if one.whole and (on := _whole_of(offer, values)):
            values = {**_all_of(offer, on), "partition": on.name, **values}
        presets.append(Preset(one.name, one.label or one.name, values))
    return presets


def _whole_of(offer: Offer, values: Mapping[str, Any]) -> Partition | None:
    """The partition whose node a preset takes whole: its own, else the first that has what it names."""
    wanted = {name: value for name, value in values.items() if name in LIMITED}
    for one in offer.partitions:
        if values.get("partition") in (None, "", one.name) and all(
            value <= _most(offer, one, name, value) for name, value in wanted.items()
        ):
            return one
    return None


def _usual_presets(offer: Offer) -> list[Preset]:
    """Small CPU, One GPU, Whole node: what a site gets that names no presets."""
    first = next(iter(offer.partitions), None)
    small: dict[str, Any] = {"cpus": 1, "memory": SMALL_MEMORY, "time": FIELDS["time"].default}
    if first:
        small = {name: _most_or(offer, first, name, value) for name, value in small.items()}
    gpu = {**small, "gpus": 1}
    if with_gpu := next((one for one in offer.partitions if one.gpu_types), None):
        share = max(1, with_gpu.limits["gpus"])
        everything = _all_of(offer, with_gpu)
        gpu = {
            "cpus": max(1, everything["cpus"] // share),
            "memory": max(FIELDS["memory"].minimum, everything["memory"] // share),
            "gpus": 1,
            "time": _most_or(offer, with_gpu, "time", FIELDS["time"].default),
            "partition": with_gpu.name,
        }
    whole = dict(small)
    if first:
        whole = {**small, **_all_of(offer, first), "partition": first.name}
    return [
        Preset("small", "Small CPU", small),
        Preset("gpu", "One GPU", gpu),
        Preset("whole", "Whole node", whole),
    ]


def _all_of(offer: Offer, one: Partition) -> dict[str, int]:
    return {name: _most(offer, one, name, 0) for name in ("cpus", "memory", "gpus")}


def _most(offer: Offer, one: Partition, name: str, otherwise: int) -> int:
    return min(
        (limits[name] for limits in (one.limits, offer.limits) if name in limits),
        default=otherwise,
    )


def _most_or(offer: Offer, one: Partition, name: str, value: int) -> int:
    """The value, or the most that can be had of it when that is less."""
    return min(value, _most(offer, one, name, value))


def _why_not(site: Site, description: Description, offer: Offer, preset: Preset) -> str:
    """Why this preset cannot be had, in a sentence; empty when it can."""
    wanted = Request(**preset.request)
    offered = [one.name for one in offer.partitions]
    if wanted.partition and wanted.partition not in offered:
        return _why_not_partition(description, wanted.partition)
    if not offered:
        return "No partition is up."
    if wanted.gpus and not any(one.gpu_types for one in offer.partitions):
        down = [one.name for one in description.partitions if one.gpus and not one.up]
        if down and (not site.partitions or down[0] in [one.name for one in site.partitions]):
            return f"The partition {down[0]} is down."
        return "This machine has no GPU." if site.scheduler.type == "local" else "There is no GPU."
    try:
        offer_of_one = replace(offer, presets=(preset,))
        offer_of_one.check(wanted.to_json())
    except Refused as refusal:
        label = FIELDS[refusal.field].label if refusal.field in FIELDS else refusal.field
        return f"{label}: {refusal.limit}."
    return ""


def _why_not_partition(description: Description, name: str) -> str:
    info = description.partition(name)
    if info is None:
        return f"The partition {name} does not exist."
    return f"The partition {name} is {'not offered' if info.up else 'down'}."
