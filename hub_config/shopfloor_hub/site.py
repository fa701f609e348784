"""The site file: read, checked as a whole, and what follows from it; its tables are in site_tables.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from shopfloor_jobs.fields import Refused, nearest, shorten

from .site_lines import Key, key_lines, line_of
from .site_tables import (
    About,
    Clusters,
    Environment,
    Group,
    Hub,
    Idle,
    Kernels,
    Limits,
    Login,
    Name,
    Network,
    Partition,
    Preset,
    Scheduler,
    Table,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


OIDC_NEEDS = {
    "issuer": "https://id.example.org/realms/hpc",
    "client_id": "shopfloor",
    "client_secret_file": "/etc/shopfloor/oidc.secret",
}


class SiteError(Exception):
    """A site file that cannot be used: one line for each thing to mend, each with file and line."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("\n".join(problems))


class Site(Table):
    """Everything that an administrator decides. Without a file: one machine, the local scheduler."""

    site: About = Field(About(), description="What people see of this installation.")
    hub: Hub = Field(Hub(), description="Addresses, ports and files of the hub.")
    scheduler: Scheduler = Field(Scheduler(), description="Who runs the jobs.")
    login: Login = Field(Login(), description="Who may come in, and how.")
    partitions: list[Partition] = Field(
        [], description="Partitions that are offered, in this order; none named: all that are up."
    )
    limits: Limits = Field(
        Limits(),
        description="The site's own limits. People can call sbatch themselves: what must hold is set in Slurm.",
    )
    idle: Idle = Field(Idle(), description="When a server is ended for want of work.")
    clusters: Clusters = Field(
        Clusters(),
        description="Dask clusters. People can call sbatch themselves: what must hold is set in Slurm.",
    )
    kernels: Kernels = Field(
        Kernels(), description="Kernels that are jobs of their own, as their kernelspecs say."
    )
    presets: list[Preset] = Field(
        [],
        description="What one click starts; the first that can be had is the default."
        " None named: Small CPU, One GPU, Whole node.",
    )
    environments: dict[Name, Environment] = Field(
        {},
        description="Software to choose from; the first is the default. None named: the hub's own.",
    )
    groups: list[Group] = Field([], description="People who share a folder.")
    network: Network = Field(Network(), description="For nodes without internet.")

    _base: Path = PrivateAttr(default_factory=Path.cwd)
    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """The file it was read from, absolute; None for the defaults."""
        return self._file

    @property
    def state(self) -> Path:
        return (self._base / self.hub.state).absolute()

    @property
    def passwords_file(self) -> Path:
        return self.state / self.login.passwords

    @property
    def client_secret_file(self) -> Path:
        return (self._base / (self.login.client_secret_file or "")).absolute()

    @property
    def login_type(self) -> str:
        return self.login.type or ("pam" if self.scheduler.type == "slurm" else "passwords")

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"http://{bracketed(self.hub.address)}:{self.hub.port}{self.hub.base_url}"

    @property
    def tls(self) -> bool:
        """Whether what goes between login machine and nodes is encrypted."""
        return self.scheduler.type == "slurm" if self.hub.tls is None else self.hub.tls

    @property
    def internal_scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def hub_scheduler(self) -> dict[str, Any]:
        """The configuration of the scheduler for the hub, which acts for other people."""
        if self.scheduler.type == "local":
            return self.node_scheduler
        return {**self.node_scheduler, "helper": str(self.scheduler.helper)}

    @property
    def node_scheduler(self) -> dict[str, Any]:
        """The configuration of the scheduler for a person on a node, who acts for themself."""
        if self.scheduler.type == "local":
            return {"type": "local", "state": str(self.state)}
        return {
            "type": "slurm",
            "conf": str(self.scheduler.conf),
            "python": str(self.scheduler.python),
            "timeout": self.scheduler.timeout,
        }

    @property
    def extras(self) -> list[Path]:
        """The files of jupyterhub_config.d beside the site file, in the order in which they apply."""
        if self.file is None:
            return []
        return sorted((self.file.parent / "jupyterhub_config.d").glob("*.py"))


def bracketed(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def load(path: str | Path | None) -> Site:
    """Read a site file; the defaults, with the state in the working directory, where there is none.

    Raises :class:`SiteError` with everything that is wrong in it.
    """
    if not path:
        return Site()
    file = Path(path).absolute()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SiteError([f"{path}: the site file cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SiteError([f"{path}: the site file is not UTF-8 text"]) from error
    site = parse(text, str(path))
    site._file, site._base = file, file.parent
    return site


def parse(text: str, source: str = "site.toml") -> Site:
    """The site that a TOML text describes; ``source`` is what its errors call it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError([f"{source}: this is not TOML: {error}"]) from error
    try:
        site = Site.model_validate(data)
    except ValidationError as error:
        found = [(one["loc"], _sentence(one)) for one in error.errors()]
    else:
        found = list(_contradictions(site))
    if found:
        lines = key_lines(text)
        raise SiteError(
            [
                f"{source}, line {line_of(lines, key)}: {dotted(key)}: {sentence}"
                for key, sentence in found
            ]
        )
    return site


def dotted(key: Key) -> str:
    """A key as people write it: ``presets[1].memory``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _sentence(error: Mapping[str, Any]) -> str:
    """What pydantic found, in the words that requests are refused with."""
    key, cause = error["loc"], error.get("ctx", {}).get("error")
    if error["type"] == "extra_forbidden":
        return f"there is no such key{nearest(key[-1], _keys_at(key[:-1]))}"
    if error["type"] == "missing":
        return "is missing"
    if isinstance(cause, Refused):
        expected = cause.limit
    elif isinstance(cause, ValueError):
        expected = str(cause)
    else:
        expected = (
            error["msg"].replace("Input should be ", "").replace("greater than or equal to", "≥")
        )
        expected = expected.replace("less than or equal to", "≤").replace("a valid ", "of type ")
    return f"{shorten(error['input'])} is not possible: {expected}"


def _keys_at(key: Key) -> list[str]:
    """The keys that may stand in the table with this key."""
    model: Any = Site
    for part in key:
        if isinstance(part, int) or not hasattr(model, "model_fields"):
            continue
        if part not in model.model_fields:
            continue
        annotation = model.model_fields[part].annotation
        inner = [one for one in getattr(annotation, "__args__", ()) if _is_table(one)]
        model = inner[-1] if inner else annotation
    return list(getattr(model, "model_fields", ()))


def _is_table(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _contradictions(site: Site) -> Iterator[tuple[Key, str]]:
    """What is wrong between keys that are each right."""
    if site.scheduler.type == "slurm" and site.scheduler.helper is None:
        yield (
            ("scheduler", "helper"),
            "is needed with type 'slurm', such as /usr/local/bin/shopfloor-helper",
        )
    if site.login.type == "oidc":
        for key, example in OIDC_NEEDS.items():
            if not getattr(site.login, key):
                yield ("login", key), f"is needed with type 'oidc', such as {example}"
    for table in ("partitions", "presets", "groups"):
        yield from _repeated(table, [one.name for one in getattr(site, table)])
    for index, preset in enumerate(site.presets):
        for name, known in (
            ("partition", [one.name for one in site.partitions]),
            ("environment", list(site.environments)),
        ):
            value = getattr(preset, name)
            if value and known and value not in known:
                yield (
                    ("presets", index, name),
                    f"{shorten(value)} is not possible: one of {', '.join(known)}{nearest(value, known)}",
                )
    ports = [site.hub.port, site.hub.internal_port, site.hub.proxy_api_port]
    for index, name in ((1, "internal_port"), (2, "proxy_api_port")):
        if ports[index] in ports[:index]:
            yield (
                ("hub", name),
                f"{ports[index]} is not possible: another of the hub's ports is the same",
            )


def _repeated(table: str, names: list[str]) -> Iterator[tuple[Key, str]]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (table, index, "name"), f"{shorten(name)} is not possible: it is there twice"
