"""The example site file and its page in docs, written from the models, so that no key is left unexplained."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from shopfloor_jobs.request import FIELDS

from .site import Site

HEAD = """\
The site file: everything that an administrator decides, in TOML.
All keys are commented out and show their default, or an example where they have none.
`shopfloor check --site FILE` holds a file against the scheduler and this machine.
Files in jupyterhub_config.d beside it are read after it, for what has no key here."""

# What a key without a default looks like: by table and key, then by key.
SAMPLES = {
    "presets.name": "gpu",
    "presets.label": "One GPU",
    "presets.gpus": 1,
    "presets.cpus": 8,
    "presets.memory": "32G",
    "presets.time": "4h",
    "presets.gpu_type": "a100",
    "presets.partition": "gpu",
    "presets.environment": "torch",
    "presets.idle": "30m",
    "idle.after": "2h",
    "idle.warning": "10m",
    "clusters.idle": "1h",
    "kernels.idle": "1h",
    "presets.account": "physics",
    "partitions.name": "gpu",
    "partitions.label": "GPU nodes",
    "partitions.time": "1-00:00:00",
    "environments.label": "PyTorch 2",
    "environments.path": "/opt/shopfloor/torch",
    "environments.setup": "module load cuda",
    "groups.name": "team-vision",
    "groups.members": ["alice", "bob"],
    "groups.unix_group": "vision",
    "groups.folder": "/shared/team-vision",
    "scheduler.helper": "/opt/shopfloor/bin/shopfloor-helper",
    "login.type": "pam",
    "login.issuer": "https://id.example.org/realms/hpc",
    "login.client_id": "shopfloor",
    "login.client_secret_file": "/etc/shopfloor/oidc.secret",
    "login.claim_groups": ["hpc-users"],
    "hub.tls": True,
    "cpus": 16,
    "memory": "64G",
    "gpus": 2,
    "nodes": 1,
    "time": "8h",
    "qos": "normal",
    "reservation": "course",
}
HEADERS = {"partitions": "[[partitions]]", "presets": "[[presets]]", "groups": "[[groups]]"}
ENVIRONMENT = "[environments.torch]"


def tables() -> Iterator[tuple[str, str, str, type[BaseModel]]]:
    """Name, header, description and model of each table, in the order of the models."""
    for name, info in Site.model_fields.items():
        header = HEADERS.get(name, ENVIRONMENT if name == "environments" else f"[{name}]")
        yield name, header, str(info.description), _table_model(info.annotation)


def example() -> str:
    """The text of ``site.example.toml``."""
    lines = [_comment(HEAD)]
    for name, header, description, model in tables():
        lines += ["", "", _comment(description), f"# {header}" if header[1] in "[e" else header]
        for key, info in model.model_fields.items():
            lines += ["", _comment(str(info.description)), f"# {key} = {_shown(name, key, info)}"]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The text of ``docs/site-file.md``."""
    parts = [
        "# The site file\n\nWritten by `python -m shopfloor_hub.site_example`; edit the models in"
        " `hub_config/shopfloor_hub/site_tables.py` instead.\n\n" + HEAD
    ]
    for _, header, description, model in tables():
        rows = [
            f"| `{key}` | {_kind(key, info.annotation)} | {_default(info)} | {info.description} |"
            for key, info in model.model_fields.items()
        ]
        parts.append(
            f"## `{header}`\n\n{description}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
            + "\n".join(rows)
        )
    return "\n\n".join(parts) + "\n"


def write(root: Path) -> None:
    """Write both into a checkout."""
    (root / "hub_config" / "site.example.toml").write_text(example())
    (root / "docs" / "site-file.md").write_text(page())


def _comment(text: str) -> str:
    wrapped = [line for part in text.split("\n") for line in textwrap.wrap(part, 98)]
    return "\n".join(f"# {line}" for line in wrapped)


def _shown(table: str, key: str, info: FieldInfo) -> str:
    default = info.default
    if default in (PydanticUndefined, None, "", []) or f"{table}.{key}" in SAMPLES:
        default = SAMPLES.get(f"{table}.{key}", SAMPLES.get(key, default))
    return _toml(default)


def _toml(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)  # of these types, JSON is TOML


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "**needed**"
    return "" if info.default in (None, "", []) else f"`{_toml(info.default)}`"


def _kind(key: str, annotation: Any) -> str:
    """What kind of value a key takes, for a reader."""
    kinds = [one for one in get_args(annotation) if one is not NoneType]
    if get_origin(annotation) is Literal:
        return " or ".join(f'`"{one}"`' for one in kinds)
    if get_origin(annotation) in (Union, UnionType):
        if set(kinds) == {int, str}:
            type_ = FIELDS[key].type if key in FIELDS else "seconds"
            return {"bytes": "size", "seconds": "time", "choice": "name"}.get(type_, "number")
        return _kind(key, kinds[0])
    if get_origin(annotation) is list:
        return "list of names"
    if hasattr(annotation, "__metadata__"):
        return _kind(key, annotation.__origin__)
    return {bool: "true or false", int: "number", Path: "path"}.get(annotation, "text")


def _table_model(annotation: Any) -> type[BaseModel]:
    return next((one for one in get_args(annotation) if _is_model(one)), annotation)


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


if __name__ == "__main__":
    write(Path(__file__).parents[2])
