"""The tables of the site file as typed models, every key with its help; site.py reads a file into them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model
from shopfloor_jobs.offer import CUSTOM, LIMITED
from shopfloor_jobs.request import FIELDS


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("an absolute path such as /usr/bin/python3")
    return path


def _base_url(value: str) -> str:
    if not value.startswith("/") or not value.isprintable() or " " in value:
        raise ValueError("a path such as / or /shopfloor/")
    return value.rstrip("/") + "/"


def _issuer(value: str) -> str:
    parts = urlsplit(value)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if value and not (parts.hostname and (parts.scheme == "https" or local)):
        raise ValueError("an https URL such as https://id.example.org/realms/hpc")
    return value


def _name(value: str) -> str:
    return str(FIELDS["environment"].parse(value))


def _preset_name(value: str) -> str:
    if value == CUSTOM:
        raise ValueError(f"another name, for {CUSTOM!r} stands for no preset")
    return _name(value)


def _seconds(value: Any) -> Any:
    # As times are read in a request, but that of a job is at least a minute, and 0 is one here.
    return replace(FIELDS["time"], minimum=0).parse(value)


AnyPath = Annotated[Path, Field(strict=False)]
AbsolutePath = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int | str, BeforeValidator(_seconds)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_name)]
PresetName = Annotated[str, Field(min_length=1), AfterValidator(_preset_name)]


class Table(BaseModel):
    """A table of the site file: no unknown keys, no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _requested(names: tuple[str, ...], prefix: str) -> dict[str, Any]:
    """Keys that hold values of a request; how they are read stands in the table of fields alone."""
    return {
        name: (
            Annotated[int | str | None, BeforeValidator(FIELDS[name].parse)],
            Field(default=None, description=prefix + FIELDS[name].help),
        )
        for name in names
    }


class About(Table):
    name: str = Field("Shopfloor", min_length=1, description="What people call this machine.")
    support: str = Field(
        "", description="Where people find help: a mail address or a URL; shown on the pages."
    )


class Hub(Table):
    user: Name = Field(
        "shopfloor",
        description="Unprivileged user that the hub runs as on a cluster; `shopfloor up` changes to it when root"
        " starts it. Not used with the local scheduler.",
    )
    address: str = Field(
        "127.0.0.1",
        description="Address that browsers reach. Other than loopback only behind TLS, for passwords cross it.",
    )
    port: Port = Field(8000, description="Port that browsers reach.")
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        "/", description="Path under which everything lies, for a shared web server."
    )
    state: AnyPath = Field(
        Path(".shopfloor"),
        description="Directory (0700) of database, cookie secret, certificates and proxy token; relative to this"
        " file.",
    )
    internal_address: str = Field(
        "127.0.0.1",
        description="Address of the hub that compute nodes reach; with Slurm that of this machine on their network.",
    )
    internal_port: Port = Field(8081, description="Port of the hub that compute nodes reach.")
    proxy_api_port: Port = Field(
        8001, description="Port on loopback where the hub tells the proxy its routes."
    )
    tls: bool | None = Field(
        None,
        description="Encrypts everything between this machine and the nodes, with certificates on both sides. When"
        " absent: true with Slurm, false with the local scheduler, where all of it stays on loopback. Changed only"
        " while no server runs.",
    )
    database: str = Field(
        "",
        description="URL of the hub's database, such as postgresql:///shopfloor; empty: SQLite in the state"
        " directory, which is enough for some hundred people. A password is better kept out of it: peer"
        " authentication on the machine needs none, and ~/.pgpass of the hub's user (0600) is read.",
    )

    log_format: Literal["text", "json"] = Field(
        "text",
        description='How the hub writes its log: "text", or "json" with one object a line. Both name the tag, owner'
        " and id of a job.",
    )


class Scheduler(Table):
    type: Literal["local", "slurm"] = Field(
        "local", description='Who runs the jobs: this machine ("local") or "slurm".'
    )
    conf: AbsolutePath = Field(
        Path("/etc/slurm/slurm.conf"),
        description="Slurm's configuration, the same path on all nodes.",
    )
    helper: AbsolutePath | None = Field(
        None,
        description="The command named in sudoers that submits, cancels and reads as the person; needed with Slurm.",
    )
    python: AbsolutePath = Field(
        Path("/usr/bin/python3"),
        description="Python on the compute nodes that runs the job's runner; the system's is enough.",
    )
    timeout: Annotated[int, Field(ge=1)] = Field(
        30, description="Seconds after which a command of Slurm's counts as not answered."
    )


class Login(Table):
    type: Literal["pam", "oidc", "passwords"] | None = Field(
        None,
        description='How people log in: "pam" (their Unix account), "oidc" (OpenID Connect) or "passwords"'
        " (generated ones in a file). When absent: passwords with the local scheduler, pam with Slurm.",
    )
    service: Name = Field("login", description="PAM service, a file in /etc/pam.d.")
    allowed_groups: list[Name] = Field(
        [],
        description="Unix groups whose members may log in through PAM; empty: everybody with an account.",
    )
    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        "",
        description='The provider of login type "oidc"; what it is reached by is read from it at each start.',
    )
    client_id: str = Field(
        "",
        description="What the provider knows this hub by. Its callback there is …/hub/oauth_callback.",
    )
    client_secret_file: AnyPath | None = Field(
        None,
        description="File (0600, the hub user's) with the secret that the provider gave; relative to this file.",
    )
    scopes: list[str] = Field(
        ["openid", "profile"], description="What the hub asks the provider for, by scope."
    )
    username_claim: str = Field(
        "preferred_username",
        min_length=1,
        description="The claim that is the Unix account's name; one that people cannot choose themselves.",
    )
    groups_claim: str = Field(
        "groups",
        min_length=1,
        description="The claim that lists a person's groups; dots lead into objects, as in realm_access.roles.",
    )
    claim_groups: list[str] = Field(
        [],
        description="Groups in that claim whose members may log in; empty: everybody whom the provider lets in.",
    )
    passwords: AnyPath = Field(
        Path("passwords.json"),
        description='The file of login type "passwords": a JSON object of names and passwords, mode 0600;'
        " relative to the state directory.",
    )
    admins: list[Name] = Field([], description="People who administrate the hub.")


class _PartitionBase(Table):
    name: Name = Field(description="Slurm's name of the partition.")
    label: str = Field("", description="What people read instead of the name.")


Partition = create_model(
    "Partition",
    __base__=_PartitionBase,
    **_requested(LIMITED, "Most for one job here, when less than Slurm's. "),
)


class _LimitsBase(Table):
    named_servers: int = Field(
        5, ge=0, description="Named servers that one person may have besides the usual one."
    )


Limits = create_model("Limits", __base__=_LimitsBase, **_requested(LIMITED, "Most for one job. "))


class Idle(Table):
    after: Seconds | None = Field(
        None,
        description="A server in which nothing worked for this time is ended; 0: never. Open pages are not work; a"
        " running cell, a busy program, a Dask cluster that computes, a saved file and a person's hand are. When"
        " absent: 2 h with Slurm, never with the local scheduler.",
    )
    warning: Seconds = Field(
        600,
        description="People see a countdown, and can keep the server, for this time before; at most half of `after`.",
    )


class Clusters(Table):
    workers: int = Field(128, ge=1, le=1000, description="Most workers of one Dask cluster.")
    at_once: int = Field(
        5, ge=1, description="Dask clusters that one person may have at the same time."
    )
    idle: Seconds | None = Field(
        None,
        description="A Dask cluster that computed nothing for this time is ended, after a warning as in `[idle]`; 0:"
        " never. Results that it only holds are not work. When absent: as `after` in `[idle]`.",
    )
    beside_lab: bool = Field(
        False,
        description="A Dask cluster's scheduler is a job of its own, and outlives Lab. `true` where compute nodes may"
        " not submit jobs, but those where Lab runs may: it runs beside the person's Lab server then, and ends with"
        " it. Its CPU and 1 GB of memory come from that server's job.",
    )


class Kernels(Table):
    idle: Seconds | None = Field(
        None,
        description="A kernel with a job of its own that did not work for this time is ended, after a warning as in"
        " `[idle]`; 0: never. Work is a running cell, a person's hand, and what its GPUs compute (its programs, where"
        " it has none); what it only holds in their memory is not. When absent: as `after` in `[idle]`.",
    )


class _PresetBase(Table):
    name: PresetName = Field(description="Short name, as it stands in links: `?preset=gpu`.")
    label: str = Field("", description="What people read: “One GPU”.")
    whole: bool = Field(
        False,
        description="Takes all CPUs, memory and GPUs of the partition's largest node where no value is given.",
    )
    idle: Seconds | None = Field(
        None,
        description="In place of `after` in `[idle]` for servers started with this preset, and of `idle` in `[kernels]`"
        " for kernels. It holds for the preset as it is: with any other value, and in a preset of a person's own, the"
        " site's rule does.",
    )


Preset = create_model("Preset", __base__=_PresetBase, **_requested(tuple(FIELDS), ""))


class Environment(Table):
    label: str = Field("", description="What people read instead of the name.")
    path: AbsolutePath = Field(
        description="Prefix of the software on the nodes; its bin/shopfloor-singleuser is what runs."
    )
    setup: str = Field(
        "",
        description="Lines of bash that run before it as the person, such as `module load cuda`.",
    )


class Group(Table):
    name: Name = Field(description="Name of the group.")
    members: list[Name] = Field([], description="The people in it.")
    unix_group: Name | None = Field(
        None, description="A Unix group whose members are in it too; looked up at each start."
    )
    folder: AbsolutePath | None = Field(
        None,
        description="Directory on the nodes that its members find as Shared/<name> in Lab's files.",
    )


class Network(Table):
    http_proxy: str = Field(
        "", description="Proxy for http on the nodes, such as http://proxy:3128."
    )
    https_proxy: str = Field("", description="Proxy for https on the nodes.")
    no_proxy: str = Field(
        "", description="Hosts reached without the proxy, by commas; the hub is always among them."
    )
    pip_index_url: str = Field(
        "", description="Mirror of Python packages that pip uses on the nodes."
    )
