"""Rows 27 to 32: what goes wrong with a kernel that is a job, its node and its Lab server, on the real Slurm."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import neighbour
from tests.cluster.cluster import Cluster
from tests.cluster.layout import NODES
from tests.cluster.outages import cut_off, down, hanging
from tests.harness import wait_until
from tests.lab.job_kernels import IPYTHON, at_home, kernelspec
from tests.lab.pages import execute

from .kernel_lab import CPU, GPU, MB, PERSON, START, TRUE_WITHIN, KernelLab, output, text_of

pytestmark = pytest.mark.slurm

NODE_LOST = 100  # seconds after which this Slurm gives a silent node up, and its jobs
WHERE = "import os; print(os.uname().nodename, os.environ['CUDA_VISIBLE_DEVICES'])"
TICKS = """
import time
for number in range({count}):
    print("tick", number, flush=True)
    time.sleep({pause})
print("done")
"""


@pytest.fixture
def lab(fault_cluster: Cluster, software: Path) -> Iterator[KernelLab]:
    with at_home(fault_cluster, PERSON) as environment:
        kernelspec(Path(environment["JUPYTER_PATH"]), "ipython", IPYTHON, "python", {}, metadata={})
        lab = KernelLab(fault_cluster, software, environment)
        yield lab
        lab.close()
        wait_until(lambda: not fault_cluster.jobs(), 60, "Slurm's queue is empty")


@pytest.mark.fault(27, "kernel pending and cancelled")
def test_a_waiting_kernel_says_why_and_is_cancelled(fault_cluster: Cluster, lab: KernelLab):
    blocker = neighbour.hold_gpus(fault_cluster)
    try:
        kernel = lab.begin({**GPU, "gpu_type": "a100"})
        row = lab.until(kernel, lambda row: row["state"] == "pending" and row["reason"], 20, "why")
        assert row["place"] == 1, row
        page = lab.page(kernel)
        execute(page, "print(1)")
        lab.ask("DELETE", f"job-kernels/{kernel}")
        assert lab.ended(kernel)["cause"] == "You cancelled it."
        states = []
        while True:
            opcode, data = page.recv_data()
            if opcode == 8:
                break
            states.append(json.loads(data)["content"].get("execution_state"))
        assert states[-1] == "dead"
        wait_until(lambda: len(fault_cluster.jobs()) == 1, 20, "only the neighbour's job is left")
    finally:
        neighbour.release(fault_cluster, blocker)


@pytest.mark.fault(27, "kernel pending when Lab restarts")
def test_a_waiting_kernel_waits_on_when_lab_is_killed_and_what_is_queued_then_is_run(
    fault_cluster: Cluster, lab: KernelLab
):
    blocker = neighbour.hold_gpus(fault_cluster)
    try:
        kernel = lab.begin({**GPU, "gpu_type": "a100"})
        before = lab.until(kernel, lambda row: row["state"] == "pending", 20, "it waits")
        lab.kill()
        lab.start()
        [session] = lab.ask("GET", "api/sessions")
        assert session["kernel"]["id"] == kernel
        after = lab.until(kernel, lambda row: row["state"] == "pending", 20, "it waits again")
        assert (after["tag"], after["path"]) == (before["tag"], before["path"])
        page = lab.page(kernel)
        asked = execute(page, WHERE)
    finally:
        neighbour.release(fault_cluster, blocker)
    assert output(page, asked).split()[0] == "gpu01"
    page.close()
    assert len(fault_cluster.jobs()) == 1


@pytest.mark.fault(28, "kernel's node lost")
@pytest.mark.fault_long(40)
def test_a_lost_node_is_seen_and_then_named(fault_cluster: Cluster, lab: KernelLab):
    kernel = lab.running(GPU)
    node = lab.run(kernel, WHERE).split()[0]
    with cut_off(fault_cluster, node):
        silent = lab.until(kernel, lambda row: row["silent_since"], TRUE_WITHIN, "it is silent")
        assert silent["state"] == "running", "unknown is not dead"
        over = lab.ended(kernel, NODE_LOST)
        assert node in over["cause"] or "node" in over["cause"].lower(), over
        assert lab.ask("GET", "api/kernels") == []
    wait_until(lambda: not fault_cluster.jobs(), 60, "nothing was asked for again")


@pytest.mark.fault(28, "kernel's time limit")
@pytest.mark.fault_long(100)
def test_at_its_time_limit_a_kernel_ends_with_that_cause(lab: KernelLab):
    kernel = lab.running({**CPU, "time": 60})
    over = lab.ended(kernel, 120)
    assert "time limit" in over["cause"], over
    assert lab.ask("GET", "api/kernels") == []


@pytest.mark.fault(28, "kernel's time limit moved")
@pytest.mark.fault_long(70)
def test_a_time_limit_that_is_moved_is_followed(fault_cluster: Cluster, lab: KernelLab):
    kernel = lab.running(CPU)
    [job] = fault_cluster.jobs()
    before = lab.row(kernel)["ends"]
    update = ["scontrol", "update", f"JobId={job['id']}"]
    fault_cluster.run([*update, "TimeLimit=+60"], check=True)
    lab.until(kernel, lambda row: abs(row["ends"] - before - 3600) < 30, 90, "it ends later")
    fault_cluster.run([*update, "TimeLimit=-60"], check=True)
    lab.until(kernel, lambda row: abs(row["ends"] - before) < 30, 90, "it ends as before")


@pytest.mark.fault(28, "out of memory in a cell")
def test_a_cell_that_takes_too_much_memory_is_told_and_another_kernel_is_there(lab: KernelLab):
    kernel = lab.running({**CPU, "memory": 256 * MB})
    page = lab.page(kernel)
    execute(page, "held = b'x' * (900 * 1024**2)")
    row = lab.until(kernel, lambda row: row["death"], TRUE_WITHIN, "it says why")
    assert row["death"]["cause"] == "ran out of memory: asked 256 MB"
    assert lab.run(kernel, "print('held' in globals())") == "False\n", "another one, in its job"
    page.close()


@pytest.mark.fault(29, "environment without ipykernel")
def test_an_environment_without_ipykernel_says_what_to_install(lab: KernelLab):
    bare = ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    folder = Path(lab.environment["JUPYTER_PATH"])
    kernelspec(folder, "bare", bare, "python", {}, metadata={})
    over = lab.ended(lab.begin(CPU, name="bare"), START)
    assert "ipykernel" in over["cause"] and "pip install" in over["cause"], over
    wait_until(lambda: not lab.cluster.jobs(), 20, "its job has ended")


@pytest.fixture
def no_ports(fault_cluster: Cluster) -> Iterator[None]:
    """Meanwhile nothing of hers gets through from this machine to cpu01; Slurm does."""
    [found] = [one for one in NODES if one.name == "cpu01"]
    rule = ["OUTPUT", "-p", "tcp", "-d", fault_cluster.layout.address(found)]
    rule += ["-m", "owner", "--uid-owner", PERSON]
    subprocess.run(["iptables", "-I", *rule, "-j", "DROP"], check=True)
    yield
    subprocess.run(["iptables", "-D", *rule, "-j", "DROP"], check=True)


@pytest.mark.fault(29, "ports between nodes blocked")
@pytest.mark.usefixtures("no_ports")
def test_ports_that_are_blocked_are_named(lab: KernelLab):
    kernel = lab.begin(CPU)
    row = lab.until(
        kernel, lambda row: "ports" in (row["reason"] or ""), TRUE_WITHIN, "it names the ports"
    )
    assert row["state"] == "starting" and row["node"] == "cpu01"
    lab.ask("DELETE", f"job-kernels/{kernel}")
    wait_until(lambda: not lab.cluster.jobs(), 20, "its job has ended")


@pytest.mark.fault(30, "Lab killed during a running cell")
def test_what_a_cell_prints_while_lab_is_dead_is_there_afterwards(lab: KernelLab):
    kernel = lab.running(CPU)
    page = lab.page(kernel)
    execute(page, "kept = 36\n" + TICKS.format(count=40, pause=0.1), cellId="one")
    while json.loads(page.recv())["content"].get("text") != "tick 1\n":
        pass
    lab.kill()
    lab.start()
    assert lab.run(kernel, "print(kept)") == "36\n", "it comes after the one that ran"
    run = lab.runs(kernel)["one"]
    assert text_of(run) == "".join(f"tick {number}\n" for number in range(40)) + "done\n"
    assert run["state"] == "done"


@pytest.mark.fault(30, "network cut of 30 s")
@pytest.mark.fault_long(45)
def test_what_a_cell_prints_while_the_network_is_cut_is_there_afterwards(
    fault_cluster: Cluster, lab: KernelLab
):
    kernel = lab.running(CPU)
    page = lab.page(kernel)
    execute(page, TICKS.format(count=40, pause=1), cellId="one")
    while json.loads(page.recv())["content"].get("text") != "tick 1\n":
        pass
    with cut_off(fault_cluster, "cpu01"):
        # It is asked after 5 s of quiet; not much longer, for this Slurm gives a node up after some 30 s.
        row = lab.until(
            kernel,
            lambda row: row["silent_since"] and time.time() - row["silent_since"] > 17,
            60,
            "it has been silent for so long",
        )
        assert row["state"] == "running"
        page.close()
    lab.until(kernel, lambda row: not row["silent_since"], 30, "it answers again")
    assert lab.run(kernel, "print('after')") == "after\n"
    run = lab.runs(kernel)["one"]
    assert text_of(run) == "".join(f"tick {number}\n" for number in range(40)) + "done\n"


@pytest.mark.fault(31, "20 kernels at once")
@pytest.mark.fault_long(25)
def test_twenty_kernels_at_once_all_compute(fault_cluster: Cluster, lab: KernelLab):
    small = {**CPU, "memory": 150 * MB}
    kernels = [lab.begin(small, path=f"notebook-{number}.ipynb") for number in range(20)]
    for kernel in kernels:
        lab.until(kernel, lambda row: row["state"] == "running", 180, "it runs")
    printed = {
        lab.run(kernel, "import os; print(os.environ['SHOPFLOOR_TAG'])") for kernel in kernels
    }
    assert len(printed) == 20
    assert len(fault_cluster.jobs()) == 20
    for kernel in kernels:
        lab.ask("DELETE", f"job-kernels/{kernel}")
    wait_until(lambda: not fault_cluster.jobs(), 60, "all have ended")


@pytest.mark.fault(31, "two kernels of one person on one node")
def test_two_kernels_of_one_person_on_one_node_do_not_meet(lab: KernelLab):
    one, other = lab.running(GPU, path="one.ipynb"), lab.running(GPU, path="other.ipynb")
    first, second = lab.run(one, WHERE), lab.run(other, WHERE)
    assert first.split()[0] == second.split()[0] == "gpu01"
    lab.run(one, "kept = 1")
    assert lab.run(other, "print('kept' in globals())") == "False\n"
    lab.ask("DELETE", f"job-kernels/{one}")
    assert lab.run(other, "print(6 * 7)") == "42\n"


@pytest.mark.fault(32, "slurmctld down with a kernel running")
@pytest.mark.parametrize("how", [down, hanging], ids=["refuses", "hangs"])
@pytest.mark.fault_long(30)
def test_while_slurm_is_away_a_kernel_computes_and_obeys(
    fault_cluster: Cluster, lab: KernelLab, how: Any
):
    kernel = lab.running(CPU)
    assert lab.run(kernel, "kept = 36; print(kept)") == "36\n"
    with how(fault_cluster, "slurmctld"):
        page = lab.page(kernel)
        asked = execute(page, "print('begun', flush=True)\nwhile True: pass")
        while json.loads(page.recv())["content"].get("text") != "begun\n":
            pass
        lab.ask("POST", f"api/kernels/{kernel}/interrupt")
        output(page, asked)
        page.close()
        assert lab.run(kernel, "print(kept)") == "36\n"
        lab.ask("POST", f"api/kernels/{kernel}/restart")
        assert lab.run(kernel, "print('kept' in globals())") == "False\n"
        assert lab.row(kernel)["state"] == "running"
    assert lab.until(kernel, lambda row: not row["reason"], TRUE_WITHIN, "Slurm answers again")
    assert lab.run(kernel, "print(1)") == "1\n"
