"""Rows 21 to 26: what goes wrong with a Dask cluster, its workers and what holds them, on the real Slurm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_jobs.certificates import expires
from shopfloor_jobs.directory import directory_of
from shopfloor_jobs.slurm import Slurm
from shopfloor_lab.clusters.replacing import MOST

from tests.cluster import neighbour
from tests.cluster.cluster import Cluster
from tests.cluster.outages import cut_off
from tests.harness import wait_until

from . import homes
from .case import SHORT
from .cluster_lab import (
    CONTROLLER,
    CPU,
    GPU,
    KEEPS_A_RESULT,
    PERSON,
    START,
    STILL_THERE,
    TRUE_WITHIN,
    ClusterLab,
    Shown,
    Start,
    connected,
    kill_worker,
    processes,
    row,
    states,
)
from .test_refused import partition

pytestmark = pytest.mark.slurm

SILENT_WITHIN = 45  # seconds after which a lost node is shown as not answering
NODE_LOST = 90  # seconds after which this Slurm gives a silent node up, and its jobs
BROKEN = """\
import sys
if "distributed.cli.dask_worker" in sys.orig_argv:
    sys.exit("the driver is too old for this software")
"""
SHORT_LIVED = """\
import sys
if "shopfloor_lab.clusters.controller" in sys.orig_argv:
    from shopfloor_lab.clusters import security
    security.BEYOND = -570
"""
# So many of each worker's that dask looks twice a second only whether they were given away.
EACH_KEEPS_RESULTS = """\
from distributed import wait
held = [
    client.submit(bytes, 1000, workers=[worker], allow_other_workers=True, pure=False)
    for worker in client.scheduler_info()["workers"]
    for _ in range(250)
]
wait(held, timeout=30)
client.publish_dataset(held=held)
answer = len(set(client.who_has(held).values()))
"""
ALL_ARE_KEPT = "answer = sum(map(len, client.gather(client.get_dataset('held'))))"


@pytest.fixture
def own_python() -> Iterator[Path]:
    """A folder in her home for what her Python shall import first."""
    folder = Path(f"~{PERSON}").expanduser() / f"python-{os.urandom(4).hex()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.fault(21, "worker killed")
def test_a_killed_worker_is_told_and_replaced(lab: ClusterLab, start: Start):
    made = start(2, CPU)
    assert lab.ask("run", KEEPS_A_RESULT) == 36
    kill_worker(made, "worker-1")
    over = lab.until(
        made, lambda shown: states(shown).get("worker-1") == "ended", TRUE_WITHIN, "it has ended"
    )
    assert "SIGKILL" in row(over, "worker-1")["reason"]
    lab.until(made, lambda shown: connected(shown, 2), START, "another one is connected")
    assert lab.ask("run", STILL_THERE) == 36


@pytest.mark.fault(21, "worker killed, again and again")
def test_a_worker_that_is_killed_each_time_is_given_up(lab: ClusterLab, start: Start):
    made = start(1, CPU)
    for number in range(1, MOST + 1):
        name = f"worker-{number}"
        lab.until(made, lambda shown: connected(shown, 1), START, f"{name} is connected")
        kill_worker(made, name)
        lab.until(
            made,
            lambda shown, name=name: states(shown).get(name) == "ended",
            TRUE_WITHIN,
            f"{name} has ended",
        )
    shown = lab.until(made, lambda shown: shown["reason"], TRUE_WITHIN, "it says that it stops")
    assert f"and {MOST - 1} before it ended" in shown["reason"]
    assert list(states(shown).values()) == ["ended"] * MOST
    lab.ask("scale", made, 1)
    lab.until(made, lambda shown: connected(shown, 1), START, "asked anew, it is tried anew")


@pytest.mark.fault(21, "worker out of memory")
def test_a_worker_that_takes_too_much_memory_says_so(lab: ClusterLab, start: Start):
    made = start(1, CPU)
    lab.send(
        "run", "client.submit(lambda: len(b'x' * (900 * 1024**2)), pure=False); client.gather([])"
    )
    told = lab.until(
        made,
        lambda shown: "memory" in (row(shown, "worker-1")["reason"] or ""),
        30,
        "the row says that memory ran out",
    )
    assert told["state"] == "running"
    lab.until(
        made, lambda shown: shown["workers"]["connected"] == 1, START, "it is connected again"
    )


@pytest.mark.fault(21, "worker's node lost")
@pytest.mark.fault_long(40)
def test_a_lost_node_is_seen_before_slurm_sees_it_and_its_worker_replaced(
    fault_cluster: Cluster, lab: ClusterLab, start: Start
):
    made = start(1, GPU)
    shown = lab.ask("show", made)
    node = row(shown, "worker-1")["node"]
    with cut_off(fault_cluster, node):
        lost = lab.until(
            made,
            lambda shown: states(shown)["worker-1"] == "lost",
            SILENT_WITHIN,
            "it is shown as not answering",
        )
        assert row(lost, "worker-1")["since"]
        replaced = lab.until(
            made, lambda shown: shown["workers"]["connected"] == 1, NODE_LOST, "another connects"
        )
        assert row(replaced, "worker-2")["node"] != node
        assert "node" in row(replaced, "worker-1")["reason"]
    idle = ["sinfo", "--noheader", f"--nodes={node}", "--format=%T"]
    wait_until(
        lambda: fault_cluster.run(idle).stdout.strip() in ("idle", "mixed"), 60, "it is back"
    )


@pytest.mark.fault(22, "worker never starts")
@pytest.mark.parametrize("later", [True, False], ids=["", "asked for with the cluster"])
def test_workers_that_cannot_start_are_failed_rows_with_their_last_words(
    lab: ClusterLab, start: Start, own_python: Path, later: bool
):
    (own_python / "sitecustomize.py").write_text(BROKEN)
    lab.restart(PYTHONPATH=str(own_python))
    made = start(0 if later else 2, CPU, ready=0)
    if later:
        lab.ask("scale", made, 2)
    were_connected: list[Shown] = []

    def given_up(shown: Shown) -> bool:
        if shown["workers"]["connected"]:
            were_connected.append(shown)
        over = set(states(shown).values()) == {"failed"}
        return over and "did not start" in (shown["reason"] or "")

    shown = lab.until(made, given_up, START, "it is given up")
    assert were_connected == []
    assert MOST <= len(shown["workers"]["rows"]) <= MOST + 1
    assert all("the driver is too old" in one["log"] for one in shown["workers"]["rows"])


@pytest.mark.fault(22, "sbatch refused for workers")
def test_a_refused_worker_is_an_error_within_seconds(
    fault_cluster: Cluster, lab: ClusterLab, start: Start
):
    made = start(1, CPU)
    with partition("State=INACTIVE", "State=UP")(fault_cluster):
        lab.ask("scale", made, 3)
        shown = lab.until(
            made,
            lambda shown: list(states(shown).values()).count("failed") == 2 and shown["reason"],
            TRUE_WITHIN,
            "both are refused",
        )
        for name in ("worker-2", "worker-3"):
            assert "partition" in row(shown, name)["reason"].lower()
        assert "was refused" in shown["reason"]
        assert states(shown)["worker-1"] == "connected"
    lab.ask("scale", made, 2)
    lab.until(made, lambda shown: connected(shown, 2), START, "asked anew, it is had")


@pytest.mark.fault(23, "the cluster's job killed")
@pytest.mark.parametrize("waiting", [False, True], ids=["", "while workers wait"])
def test_a_killed_controller_takes_its_workers_along(
    fault_cluster: Cluster, lab: ClusterLab, start: Start, waiting: bool
):
    made = begin_with_waiting(lab, start) if waiting else start(2, GPU)
    [controller] = [one for one in processes(made, CONTROLLER) if "-IS" not in one.cmdline()]
    controller.kill()
    ended = lab.until(
        made, lambda shown: shown["state"] == "ended", TRUE_WITHIN, "Lab sees that it ended"
    )
    assert "signal 9" in ended["cause"]
    wait_until(lambda: not fault_cluster.jobs(), 60, "running and waiting workers are gone")


def begin_with_waiting(lab: ClusterLab, start: Start) -> str:
    """A cluster of which some workers wait for a GPU."""
    made = start(1, {**GPU, "gpu_type": "a100"})
    lab.ask("scale", made, 6)
    lab.until(
        made, lambda shown: list(states(shown).values()).count("pending") >= 1, 30, "some wait"
    )
    return made


@pytest.mark.fault(23, "the cluster's walltime")
@pytest.mark.fault_long(100)
def test_at_its_walltime_the_cluster_says_so_and_its_workers_are_gone(
    fault_cluster: Cluster, lab: ClusterLab, start: Start
):
    made = start(1, {**CPU, "time": 60})
    ended = lab.until(made, lambda shown: shown["state"] == "ended", 120, "it has ended")
    assert "time" in ended["cause"].lower()
    wait_until(lambda: not fault_cluster.jobs(), 60, "its workers are gone")


@pytest.mark.fault(24, "Lab killed and started again")
def test_a_cluster_and_its_result_are_there_after_lab_was_killed(lab: ClusterLab, start: Start):
    made = start(1, CPU)
    assert lab.ask("run", KEEPS_A_RESULT) == 36
    lab.restart()
    shown = lab.ask("show", made)
    assert (shown["state"], shown["workers"]["connected"]) == ("running", 1)
    assert lab.ask("run", STILL_THERE) == 36
    lab.ask("scale", made, 0)
    lab.until(made, lambda shown: connected(shown, 0), START, "it can be steered")


@pytest.mark.fault(25, "disk full under the connection file")
@pytest.mark.fault_long(25)
def test_a_cluster_that_cannot_note_how_it_is_reached_names_the_full_home(
    fault_cluster: Cluster, software: Path
):
    # Nodes see what was mounted when they started: these need to be new.
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(homes.small("heidi", "4m"))
        cluster = stack.enter_context(Cluster(settings=SHORT))
        lab = stack.enter_context(contextlib.closing(ClusterLab(cluster, software, "heidi")))
        blocker = neighbour.hold_cpu_node(cluster)
        made = lab.ask("start", 1, CPU)["id"]
        lab.until(made, lambda shown: shown["state"] == "pending", START, "it waits")
        homes.fill(home / "filler")
        neighbour.release(cluster, blocker)
        ended = lab.until(made, lambda shown: shown["state"] == "ended", START, "it has ended")
        assert f"home directory {home} is full: remove something" in ended["cause"]
        (home / "filler").unlink()
        assert lab.ask("show", made)["cause"] == ended["cause"]
        again = lab.ask("start", 1, CPU)["id"]
        lab.until(again, lambda shown: connected(shown, 1), START, "with room again, one starts")
        lab.restart()
        assert lab.ask("show", made)["cause"] == ended["cause"], "it was noted"
        lab.ask("end", again)
        wait_until(lambda: not cluster.jobs(), 60, "Slurm's queue is empty")


@pytest.mark.fault(25, "certificate expired")
@pytest.mark.fault_long(50)
def test_an_expired_certificate_is_named_and_what_to_do(
    lab: ClusterLab, start: Start, own_python: Path
):
    (own_python / "sitecustomize.py").write_text(SHORT_LIVED)
    lab.restart(PYTHONPATH=str(own_python))
    made = start(1, {**CPU, "time": 600})
    assert lab.ask("run", KEEPS_A_RESULT) == 36
    home = Path(f"~{PERSON}").expanduser()
    certificate = directory_of(home, made) / "tls" / "client.pem"
    until = expires(certificate.read_text())
    wait_until(lambda: time.time() > until, 60, "it is expired")
    assert lab.ask("show", made)["reason"] is None, "who is connected stays connected"
    lab.restart()
    shown = lab.ask("show", made)
    assert "expired" in (shown["reason"] or ""), shown
    assert shown["state"] == "running" and "start another one" in shown["reason"]
    with pytest.raises(AssertionError, match="certificate expired"):
        lab.ask("run", STILL_THERE)


@pytest.mark.fault(26, "two tabs scale at once")
def test_of_two_labs_that_scale_at_once_the_last_wins_for_both(
    fault_cluster: Cluster, software: Path, lab: ClusterLab, start: Start
):
    made = start(1, CPU)
    other = ClusterLab(fault_cluster, software)
    try:
        asked = [one.send("scale", made, count) for one, count in ((lab, 3), (other, 2))]
        for one in asked:
            one.result(30)
        wanted = lab.ask("show", made)["workers"]["wanted"]
        assert wanted in (2, 3)
        for one in (lab, other):
            one.until(made, lambda shown: connected(shown, wanted), START, f"{wanted} connected")
    finally:
        other.close()


@pytest.mark.fault(26, "scaled while results leave")
@pytest.mark.parametrize("counts", [(1, 3), (3, 1)], ids=["up after down", "down after up"])
def test_an_order_while_the_one_before_is_carried_out_wins(
    fault_cluster: Cluster, software: Path, lab: ClusterLab, start: Start, counts: tuple[int, int]
):
    made = start(2, CPU)
    assert lab.ask("run", EACH_KEEPS_RESULTS) == 2
    other = ClusterLab(fault_cluster, software)
    try:
        first, last = counts
        lab.ask("scale", made, first)
        assert other.ask("scale", made, last)["workers"]["wanted"] == last
        for one in (lab, other):
            one.until(made, lambda shown: connected(shown, last), START, f"{last} are connected")
        assert lab.ask("run", ALL_ARE_KEPT) == 2 * 250 * 1000
    finally:
        other.close()


@pytest.mark.fault(26, "100 scale requests in a second")
def test_of_a_hundred_scale_requests_the_last_is_done_and_few_are_submitted(
    fault_cluster: Cluster, lab: ClusterLab, start: Start
):
    made = start(1, CPU)
    counts = [*(number % 2 * 3 for number in range(99)), 2]
    asked = [lab.send("scale", made, count) for count in counts]
    for one in asked:
        one.result(30)
    assert lab.ask("show", made)["workers"]["wanted"] == 2
    lab.until(made, lambda shown: connected(shown, 2), START, "2 are connected")
    wait_until(lambda: len(fault_cluster.jobs()) == 3, 30, "the cluster and two workers are left")
    seen = asyncio.run(Slurm(conf=fault_cluster.state["slurm_conf"]).look())
    arrays = {one.id.partition("_")[0] for one in seen if one.tag.startswith("shopfloor-worker")}
    assert len(arrays) < 30
