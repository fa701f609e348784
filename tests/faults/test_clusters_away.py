"""Rows 24 and 32: a Dask cluster while the hub or Slurm is away, or the kernel that used it started again."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_jobs.job import new_tag
from shopfloor_spawners.authorities import Authorities

from tests.cluster.cluster import Cluster
from tests.cluster.outages import down, hanging
from tests.harness import wait_until

from .case import Faults
from .cluster_lab import (
    CONTROLLER,
    CPU,
    KEEPS_A_RESULT,
    PERSON,
    START,
    STILL_THERE,
    TRUE_WITHIN,
    ClusterLab,
    Start,
    connected,
    kill_worker,
    processes,
    row,
    states,
)

pytestmark = pytest.mark.slurm

COMPUTES = "answer = client.submit(pow, 6, 3, pure=False).result(timeout=30)"
# What a kernel leaves that is ended in the middle: a client that never said goodbye.
KERNEL = """\
import os, sys
from shopfloor_lab.clusters import connect
client = connect()
client.publish_dataset(kept=client.submit(pow, 6, 2))
print(client.get_dataset("kept").result(timeout=30), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def of_the_hub(faults: Faults, lab: ClusterLab) -> Iterator[Faults]:
    """The Lab is one that this hub started: it has a token and a certificate."""
    hub, folder = faults.hub, Path(f"~{PERSON}").expanduser() / f"hub-{os.urandom(4).hex()}"
    account = pwd.getpwnam(PERSON)
    folder.mkdir(mode=0o700)
    made = Authorities(hub.directory / ".shopfloor" / "tls")
    files = made.for_client(new_tag("cluster"), 3600)
    for name, text in files.items():
        (folder / name).write_text(text)
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    lab.restart(
        JUPYTERHUB_API_URL=f"https://{hub.address}:{hub.internal_port}/hub/api",
        JUPYTERHUB_API_TOKEN=hub.add_user(PERSON),
        **{name: str(folder / name) for name in files},
    )
    yield faults
    shutil.rmtree(folder)


@pytest.mark.fault(24, "hub down")
@pytest.mark.fault_long(25)
def test_while_the_hub_is_down_a_cluster_computes_grows_and_is_seen(
    of_the_hub: Faults, lab: ClusterLab, start: Start
):
    made = start(1, CPU)
    [controller] = [one for one in processes(made, CONTROLLER) if "-IS" not in one.cmdline()]
    assert controller.environ()["JUPYTERHUB_API_URL"], "it asks the hub"
    assert lab.ask("run", KEEPS_A_RESULT) == 36
    of_the_hub.hub.kill_hub()
    shown = lab.ask("show", made)
    assert (shown["state"], shown["workers"]["connected"]) == ("running", 1)
    lab.ask("scale", made, 2)
    lab.until(made, lambda shown: shown["workers"]["connected"] == 2, START, "another connects")
    assert lab.ask("run", STILL_THERE) == 36
    of_the_hub.hub.start_hub()
    lab.until(made, lambda shown: not shown["reason"], TRUE_WITHIN, "the hub tells again")
    kill_worker(made, "worker-1")
    over = lab.until(
        made, lambda shown: states(shown).get("worker-1") == "ended", TRUE_WITHIN, "it has ended"
    )
    assert "SIGKILL" in row(over, "worker-1")["reason"]
    lab.until(made, lambda shown: connected(shown, 2), START, "another one is connected")


@pytest.mark.fault(24, "the kernel killed and started again")
def test_what_a_killed_kernel_published_is_there_for_the_next_one(lab: ClusterLab, start: Start):
    made = start(1, CPU)
    kernel = lab.python(KERNEL)
    assert kernel.stdout.readline() == "36\n"
    kernel.kill()
    kernel.wait(10)
    assert lab.ask("run", STILL_THERE) == 36
    shown = lab.ask("show", made)
    assert (shown["state"], shown["workers"]["connected"]) == ("running", 1)


@pytest.mark.fault(32, "slurmctld down with a cluster running")
@pytest.mark.parametrize("how", [down, hanging], ids=["refuses", "hangs"])
@pytest.mark.fault_long(30)
def test_while_slurm_is_away_a_cluster_computes_and_what_was_asked_for_comes_afterwards(
    fault_cluster: Cluster, lab: ClusterLab, start: Start, how
):
    made = start(1, CPU)
    assert lab.ask("run", KEEPS_A_RESULT) == 36
    with how(fault_cluster, "slurmctld"):
        lab.ask("scale", made, 2)
        told = lab.until(
            made,
            lambda shown: "does not answer" in (shown["reason"] or ""),
            40,  # a command that hangs is given up after 15 s
            "the panel says that Slurm is silent",
        )
        assert told["state"] == "running" and states(told)["worker-1"] == "connected"
        assert lab.ask("run", STILL_THERE) == 36
        assert lab.ask("run", COMPUTES) == 216
    lab.until(made, lambda shown: connected(shown, 2), START, "the second one comes")
    lab.until(made, lambda shown: not shown["reason"], 30, "all is said to be well")
    wait_until(lambda: len(fault_cluster.jobs()) == 3, 30, "nothing was submitted twice")
