"""Fixtures of the fault tests: a cluster with short clocks, a hub whose commands can be given faults, people."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cases import end_case, slurm_case
from tests.cluster import neighbour
from tests.cluster.cluster import Cluster
from tests.harness import wait_until

from .case import HOLD_BEFORE_INTENT, SHORT, Faults
from .cluster_lab import START, ClusterLab, Start, connected, remove_records
from .commands import Commands

STUB = Path(__file__).with_name("stub_server.py")

SITE = """
[limits]
named_servers = 12

[environments.stub]
path = "{stub}"

[environments.missing]
path = "/nowhere"

[environments.broken]
path = "{broken}"

[[presets]]
name = "stub"
cpus = 1
memory = "100M"
time = "1h"
partition = "cpu"
environment = "stub"

[[presets]]
name = "lab"
cpus = 1
memory = "512M"
time = "1h"
partition = "cpu"
environment = "jupyterlab"
"""

BROKEN = """\
#!/usr/bin/python3 -IS
import os
for number in range(40):
    print("line", number, "of a program that tells too much")
secrets = os.environ["JUPYTERHUB_API_TOKEN"], os.environ["SHOPFLOOR_NONCE"]
print("token={} nonce={}".format(*secrets), flush=True)
import does_not_exist
"""


@pytest.fixture(scope="session")
def fault_cluster() -> Iterator[Cluster]:
    with Cluster(settings=SHORT) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def fault_hub(fault_cluster: Cluster, software: Path) -> Iterator[Faults]:
    directory = fault_cluster.layout.run / f"faults-{os.urandom(4).hex()}"
    commands = Commands(directory, software / "bin" / "shopfloor-helper")
    programs = {"stub": STUB.read_text(), "broken": BROKEN}
    for name, text in programs.items():
        program = directory / name / "bin" / "shopfloor-singleuser"
        program.parent.mkdir(parents=True)
        program.write_text(text)
        program.chmod(0o755)
    case = slurm_case(
        fault_cluster,
        software,
        config=HOLD_BEFORE_INTENT.format(directory=directory),
        extra=SITE.format(stub=directory / "stub", broken=directory / "broken"),
        helper=commands.helper,
        env={"PATH": f"{commands.bin}:{software}/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
    )
    yield Faults(case, commands)
    end_case(case)
    shutil.rmtree(directory)


@pytest.fixture
def faults(fault_hub: Faults) -> Iterator[Faults]:
    """The module's hub; afterwards nobody's server runs and nobody's stub has orders."""
    yield fault_hub
    hub = fault_hub.hub
    if hub.hub.poll() is not None:
        hub.start_hub()
    users = hub.api("GET", "users").json()
    shutil.rmtree(fault_hub.orders, ignore_errors=True)
    with ThreadPoolExecutor(8) as pool:
        for user in users:
            for server in user["servers"]:
                pool.submit(hub.stop_server, user["name"], server)
    fault_hub.case.cancel_all()
    wait_until(
        lambda: not any(user["servers"] for user in hub.api("GET", "users").json()),
        60,
        "no server is left",
        pause=0.3,
    )


@pytest.fixture
def full_cpu_node(faults: Faults) -> Iterator[Callable[[], None]]:
    """Somebody else's job holds all of cpu01; call it to end that job."""
    blocker = neighbour.hold_cpu_node(faults.cluster)

    def free() -> None:
        neighbour.release(faults.cluster, blocker)

    yield free
    free()


@pytest.fixture
def lab(fault_cluster: Cluster, software: Path) -> Iterator[ClusterLab]:
    lab = ClusterLab(fault_cluster, software)
    yield lab
    lab.close()


@pytest.fixture
def start(fault_cluster: Cluster, lab: ClusterLab) -> Iterator[Start]:
    """Starts a cluster and waits for its workers; afterwards nothing of it may be in Slurm's queue."""
    made: list[str] = []

    def begin(workers: int, request: dict[str, Any], ready: int | None = None) -> str:
        made.append(lab.ask("start", workers, request)["id"])
        count = workers if ready is None else ready
        lab.until(made[-1], lambda shown: connected(shown, count), START, f"{count} connected")
        return made[-1]

    yield begin
    if not lab.lives:
        lab.start()
    for one in made:
        if lab.ask("show", one)["state"] != "ended":
            lab.ask("end", one)
    wait_until(lambda: not fault_cluster.jobs(), 60, "Slurm's queue is empty")
    for one in made:
        remove_records(lab.person, one)
