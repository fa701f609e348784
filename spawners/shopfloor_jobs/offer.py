"""What one person may ask for here, and the one check against it; made by the hub, JSON on nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .caps import Cap
from .fields import Refused, nearest
from .idle import Rule
from .records import of_known
from .request import FIELDS, Request, parse_fields

LIMITED = tuple(name for name, row in FIELDS.items() if row.type != "choice")
CHOSEN = tuple(name for name, row in FIELDS.items() if row.type == "choice")
CUSTOM = "custom"  # what stands for a preset where the fields count; no preset has this name


@dataclass(frozen=True)
class Choice:
    """One value that a choice field may take; ``label`` is what a person reads."""

    value: str
    label: str = ""

    def to_json(self) -> dict[str, str]:
        return {"value": self.value, "label": self.label or self.value}


@dataclass(frozen=True)
class Preset:
    """A named request; ``disabled`` says in a sentence why it cannot be had, or is empty."""

    name: str
    label: str
    request: Mapping[str, int | str]
    disabled: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "hardware": hardware(Request(**self.request)),
            "request": dict(self.request),
            "disabled": self.disabled or None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preset:
        request = {**data["request"]}
        known = {name: request[name] for name in FIELDS if name in request}
        return cls(data["name"], data["label"], known, data["disabled"] or "")


@dataclass(frozen=True)
class Partition:
    """What a job may get on one partition: largest values by field name, and how many GPUs of each type."""

    name: str
    label: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    gpu_types: Mapping[str, int] = field(default_factory=dict)

    def passed_before(self, refused: str) -> tuple[float, float]:
        """How near a request came that failed here in this field: the checks it passed, then the limit."""
        passed = LIMITED.index(refused) if refused in LIMITED else len(LIMITED)
        return passed, self.limits.get(refused, math.inf)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label or self.name,
            "limits": dict(self.limits),
            "gpu_types": dict(self.gpu_types),
        }


@dataclass(frozen=True)
class ClusterTerms:
    """What holds for Dask clusters: the most ``workers`` of one, how many a person may have ``at_once``, when one
    that computes nothing ends, and whether its scheduler runs beside the Lab server, not as a job of its own."""

    workers: int = 128  # its scheduler has one CPU and 1 GB
    at_once: int = 5
    idle: Rule = field(default_factory=Rule)
    beside_lab: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "workers": self.workers,
            "at_once": self.at_once,
            "idle": self.idle.to_json(),
            "beside_lab": self.beside_lab,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClusterTerms:
        return cls(
            data["workers"],
            data["at_once"],
            of_known(Rule, data["idle"]),
            data.get("beside_lab", False),
        )


@dataclass(frozen=True)
class KernelTerms:
    """What holds for kernels that are jobs: when one that does not work ends, and that of the ``presets`` which have a
    rule of their own, by name."""

    idle: Rule = field(default_factory=Rule)
    presets: Mapping[str, Rule] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        rules = {name: rule.to_json() for name, rule in self.presets.items()}
        return {"idle": self.idle.to_json(), "presets": rules}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KernelTerms:
        rules = {name: of_known(Rule, rule) for name, rule in data["presets"].items()}
        return cls(of_known(Rule, data["idle"]), rules)


@dataclass(frozen=True)
class Offer:
    """What ``person`` may ask for.

    ``limits`` are the site's largest values by field name (bytes, seconds, counts); those of the chosen
    partition apply as well. ``choices`` holds what each choice field may be, partitions excepted; a field
    without choices must stay empty. ``scheduler`` is the configuration from which a node makes the same
    scheduler (see :func:`shopfloor_jobs.scheduler.scheduler_from`); ``caps`` are what that lets the person have at
    once. On a node the offer is advice: people can call ``sbatch`` themselves.
    """

    person: str
    site: str
    scheduler: Mapping[str, Any]
    partitions: tuple[Partition, ...]
    presets: tuple[Preset, ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    choices: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    clusters: ClusterTerms = field(default_factory=ClusterTerms)
    caps: tuple[Cap, ...] = ()
    kernels: KernelTerms = field(default_factory=KernelTerms)

    @property
    def default_preset(self) -> Preset:
        """The first preset that can be had; the site's file lists them in the order they are shown."""
        return next((preset for preset in self.presets if not preset.disabled), self.presets[0])

    def preset(self, name: Any) -> Preset:
        for preset in self.presets:
            if preset.name == name:
                return preset
        names = [preset.name for preset in self.presets]
        raise Refused("preset", name, f"one of {', '.join(names)}{nearest(name, names)}")

    def idle_of(self, options: Mapping[str, Any]) -> Rule:
        """The idle rule of a kernel that is asked for with these options; only a preset as it is has that preset's."""
        name = str(options.get("preset") or self.default_preset.name)
        own = self.kernels.presets.get(name) if set(options) <= {"preset"} else None
        return own or self.kernels.idle

    def check(self, options: Mapping[str, Any]) -> Request:
        """The request that these options make, or :class:`Refused` naming field, value and limit.

        ``options`` may hold ``preset`` and any field of the table; what is absent comes from the preset
        (from the first one that can be had where none is named). A partition that nobody named gives way
        to the first one that can run the request.
        """
        if not isinstance(options, Mapping):
            raise Refused("options", options, "an object of field names and values")
        given = dict(options)
        preset = self.preset(given.pop("preset")) if given.get("preset") else self.default_preset
        given.pop("preset", None)
        if preset.disabled and "preset" in options:
            raise Refused("preset", preset.name, preset.disabled)
        wanted = parse_fields(given)
        request = Request(**{**preset.request, **wanted})
        if request.gpus == 0 and "gpu_type" not in wanted:
            request = replace(request, gpu_type="")
        if not request.partition or "partition" not in wanted:
            return self._check_on_any_partition(request)
        return self._check_on(self._partition(request.partition), request)

    def _check_on_any_partition(self, request: Request) -> Request:
        order = sorted(self.partitions, key=lambda one: one.name != request.partition)
        nearest_miss: tuple[tuple[float, float], Refused] | None = None
        for partition in order:
            try:
                return self._check_on(partition, replace(request, partition=partition.name))
            except Refused as refusal:
                miss = partition.passed_before(refusal.field), refusal
                if nearest_miss is None or miss[0] > nearest_miss[0]:
                    nearest_miss = miss
        if nearest_miss is None:
            raise Refused("partition", request.partition, "nothing can be chosen here")
        raise nearest_miss[1]

    def _partition(self, name: str) -> Partition:
        for partition in self.partitions:
            if partition.name == name:
                return partition
        names = [partition.name for partition in self.partitions]
        raise Refused("partition", name, f"one of {', '.join(names)}{nearest(name, names)}")

    def _check_on(self, partition: Partition, request: Request) -> Request:
        for name in LIMITED:
            self._check_limit(partition, name, getattr(request, name))
        for name in CHOSEN:
            if name not in ("partition", "gpu_type"):
                request = self._check_choice(request, name)
        if request.gpu_type:
            if request.gpus == 0:
                raise Refused("gpu_type", request.gpu_type, "empty where no GPU is asked for")
            if request.gpu_type not in partition.gpu_types:
                raise Refused(
                    "gpu_type",
                    request.gpu_type,
                    f"{_one_of(partition.gpu_types)} on partition {partition.name}",
                )
            if request.gpus > (most := partition.gpu_types[request.gpu_type]):
                raise Refused("gpus", request.gpus, f"at most {most} of type {request.gpu_type}")
        return request

    def _check_limit(self, partition: Partition, name: str, value: int) -> None:
        row = FIELDS[name]
        if name in self.limits and value > self.limits[name]:
            raise Refused(name, value, f"at most {row.show(self.limits[name])}")
        if name in partition.limits and value > partition.limits[name]:
            raise Refused(
                name, value, f"at most {row.show(partition.limits[name])} on {partition.name}"
            )

    def _check_choice(self, request: Request, name: str) -> Request:
        value, allowed = getattr(request, name), self.choices.get(name, ())
        if value == "" and len(allowed) == 1:
            return replace(request, **{name: allowed[0].value})
        if value and value not in (choice.value for choice in allowed):
            raise Refused(name, value, _one_of([choice.value for choice in allowed]))
        return request

    def largest(self, name: str) -> int | None:
        """The most that any partition gives of a limited field, or None where nothing bounds it."""
        by_partition = [
            min(partition.limits[name], self.limits.get(name, partition.limits[name]))
            for partition in self.partitions
            if name in partition.limits
        ]
        return max(by_partition, default=self.limits.get(name))

    def to_json(self) -> dict[str, Any]:
        choices = {
            name: [choice.to_json() for choice in self.choices.get(name, ())] for name in CHOSEN
        }
        choices["partition"] = [Choice(p.name, p.label).to_json() for p in self.partitions]
        types = dict.fromkeys(kind for p in self.partitions for kind in p.gpu_types)
        choices["gpu_type"] = [Choice(kind).to_json() for kind in types]
        return {
            "version": 1,
            "person": self.person,
            "site": self.site,
            "scheduler": self.scheduler["type"],
            "scheduler_config": dict(self.scheduler),
            "fields": [row.to_json() for row in FIELDS.values()],
            "presets": [preset.to_json() for preset in self.presets],
            "default_preset": self.default_preset.name,
            "partitions": [partition.to_json() for partition in self.partitions],
            "limits": {
                name: {"min": FIELDS[name].minimum, "max": self.largest(name)} for name in LIMITED
            },
            "site_limits": dict(self.limits),
            "choices": choices,
            "clusters": self.clusters.to_json(),
            "caps": [cap.to_json() for cap in self.caps],
            "kernels": self.kernels.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Offer:
        """Read an offer as :meth:`to_json` of any version wrote it; raises KeyError or TypeError if it is none."""
        return cls(
            person=data["person"],
            site=data["site"],
            scheduler=data["scheduler_config"],
            partitions=tuple(of_known(Partition, row) for row in data["partitions"]),
            presets=tuple(Preset.from_json(row) for row in data["presets"]),
            limits=data["site_limits"],
            choices={
                name: tuple(of_known(Choice, choice) for choice in choices)
                for name, choices in data["choices"].items()
                if name not in ("partition", "gpu_type")
            },
            # A hub of an earlier version says nothing of these.
            caps=tuple(of_known(Cap, cap) for cap in data.get("caps", ())),
            clusters=ClusterTerms.from_json(data["clusters"])
            if "clusters" in data
            else ClusterTerms(),
            kernels=KernelTerms.from_json(data["kernels"]) if "kernels" in data else KernelTerms(),
        )


def hardware(request: Request) -> str:
    """One line on a request for a person: ``1 A100, 8 CPUs, 32 GB for 2 h``."""
    parts = []
    if request.gpus:
        kind = request.gpu_type.upper() or ("GPU" if request.gpus == 1 else "GPUs")
        parts.append(f"{request.gpus} {kind}")
    parts.append("1 CPU" if request.cpus == 1 else f"{request.cpus} CPUs")
    parts.append(FIELDS["memory"].show(request.memory))
    line = ", ".join(parts)
    if request.nodes > 1:
        line = f"{request.nodes} nodes, each {line}"
    return f"{line} for {FIELDS['time'].show(request.time)}"


def _one_of(values: Any) -> str:
    return f"one of {', '.join(values)}" if values else "nothing can be chosen here"
