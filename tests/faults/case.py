"""A hub on a cluster where things can go wrong, and the people who use it; conftest.py makes it, stock/ another."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.cases import Case
from tests.cluster.cluster import Cluster
from tests.cluster.slurm_conf import Settings
from tests.harness import HubProcess, wait_until

from .commands import Commands
from .person import Person

SHORT = Settings(slurmd_timeout=10, cpus=64, preemption=True)

# Added to a hub's configuration: held before JupyterHub calls the spawner, so before anything is stored of the job.
HOLD_BEFORE_INTENT = """
async def hold_before_intent(spawner):
    import asyncio, pathlib
    moment = pathlib.Path("{directory}/before-intent")
    while moment.exists():
        moment.with_suffix(".held").touch()
        await asyncio.sleep(0.05)

c.Spawner.pre_spawn_hook = hold_before_intent
"""


class Scene:
    """What a fault acts on, whoever's hub it is."""

    hub: HubProcess
    cluster: Cluster
    commands: Commands
    passwords: dict[str, str]
    people: dict[str, Person]
    person_class: type[Person] = Person

    @property
    def orders(self) -> Path:
        """What stub servers are told; not in the homes, which all clusters of this machine share."""
        return self.commands.directory / "orders"

    @property
    def moment(self) -> Path:
        """While this file is there, starts are held before anything of them is stored."""
        return self.commands.directory / "before-intent"

    def person(self, name: str) -> Person:
        """Logged in; the same as long as the hub's database is."""
        if name not in self.people:
            self.people[name] = self.person_class(self.hub, name, self.passwords.get(name, ""))
        return self.people[name]

    def order(self, name: str, what: str) -> None:
        """Tell a person's stub servers what to do, such as ``hold`` or ``eat``."""
        path = self.orders / name
        path.mkdir(parents=True, exist_ok=True)
        (path / what).touch()

    def take_back(self, name: str, what: str) -> None:
        (self.orders / name / what).unlink(missing_ok=True)

    def restart_hub(self) -> None:
        """``kill -9``, and what systemd does then."""
        self.hub.kill_hub()
        self.hub.start_hub()


@dataclass
class Faults(Scene):
    """Everything that a fault test acts on."""

    case: Case
    commands: Commands
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def hub(self) -> HubProcess:
        return self.case.hub

    @property
    def cluster(self) -> Cluster:
        return self.case.cluster

    @property
    def passwords(self) -> dict[str, str]:
        return self.case.passwords

    def job_id(self, name: str, server: str = "") -> str:
        """The id of a server's job as the hub's database has it; empty while it has none."""
        found = self.hub.server(name, server) or {}
        return ((found.get("state") or {}).get("shopfloor") or {}).get("job_id", "")

    def asked(self, name: str) -> str:
        """Ask for a server and wait until its job is submitted; the job's id."""
        self.person(name).start(preset="stub")
        return wait_until(lambda: self.job_id(name), 20, "the job is submitted")

    def port(self, name: str) -> int:
        """The port that a person's server reported; 0 before."""
        return self.hub.server(name)["state"]["shopfloor"]["port"]

    def running(self, name: str, server: str = "", **options: str) -> str:
        """Start a server and wait until it is ready; the id of its job."""
        self.person(name).start(server, **{"preset": "stub", **options})
        self.hub.wait_server(name, server)
        return self.job_id(name, server)
