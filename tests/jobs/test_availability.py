"""What is free, what would fit, and what else could be taken, by value."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shopfloor_jobs.availability import alternatives, fits_now, free, room
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Description, NodeInfo
from shopfloor_jobs.slurm_text import describe, parse_estimate

GB = 1024**3

A100 = NodeInfo("gpu01", ("gpu",), 16, 64 * GB, {"a100": 4}, 16, 64 * GB, {"a100": 4})
L40 = NodeInfo("gpu02", ("gpu",), 16, 64 * GB, {"l40": 2}, 16, 64 * GB, {"l40": 2})
CPU = NodeInfo("cpu01", ("cpu",), 32, 64 * GB, {}, 32, 64 * GB)
ONE_A100 = Request(cpus=4, memory=16 * GB, gpus=1, gpu_type="a100", partition="gpu")


def machine(*nodes: NodeInfo) -> Description:
    return Description("slurm", "22.05", (), {}, nodes)


def full(node: NodeInfo) -> NodeInfo:
    return replace(node, free_gpus=dict.fromkeys(node.gpus, 0))


OFFER = Offer(
    person="alice",
    site="Site",
    scheduler={"type": "slurm"},
    partitions=(
        Partition("gpu", "", {"cpus": 16, "memory": 64 * GB, "gpus": 4}, {"a100": 4, "l40": 2}),
        Partition("cpu", "", {"cpus": 32, "memory": 64 * GB, "gpus": 0}),
    ),
    presets=(Preset("small", "Small CPU", {"cpus": 1}),),
)


def test_free_gpus_are_counted_by_type_and_nodes_that_take_no_jobs_have_none():
    broken = replace(A100, name="gpu03", usable=False)
    found = free(machine(A100, broken, full(L40), CPU), "gpu")
    assert found.gpus == {"a100": (4, 8), "l40": (0, 2)}
    assert found.nodes == (2, 3)
    assert found.cpus == (32, 48)


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, 1),
        ({"gpus": 5}, 0),
        ({"gpu_type": ""}, 2),
        ({"gpu_type": "", "gpus": 3}, 1),
        ({"cpus": 17}, 0),
        ({"memory": 65 * GB}, 0),
        ({"partition": "cpu"}, 0),
        ({"partition": "cpu", "gpus": 0, "gpu_type": ""}, 1),
    ],
)
def test_a_request_fits_where_one_node_has_all_of_it(change: dict, fits: int):
    assert fits_now(machine(A100, L40, CPU), replace(ONE_A100, **change)) == fits


def test_room_counts_how_often_it_fits():
    assert room(machine(A100, L40), ONE_A100) == 4
    assert room(machine(A100, L40), replace(ONE_A100, gpu_type="")) == 6
    assert room(machine(A100, L40), replace(ONE_A100, memory=40 * GB)) == 1
    assert room(machine(A100, replace(A100, name="b")), replace(ONE_A100, nodes=2)) == 1
    assert room(machine(full(A100)), ONE_A100) == 0


def test_what_is_free_now_is_offered_instead_and_nothing_where_nothing_is_missing():
    busy = machine(full(A100), L40, CPU)
    found = alternatives(OFFER, busy, ONE_A100)
    assert found[0] == replace(ONE_A100, gpu_type="l40")
    assert all(fits_now(busy, one) for one in found)
    assert alternatives(OFFER, machine(A100, L40, CPU), ONE_A100) == []
    assert alternatives(OFFER, machine(full(A100), full(L40)), ONE_A100) == []


def test_slurms_nodes_are_read_with_what_is_used_of_them():
    nodes = (
        "NodeName=gpu01 CPUAlloc=6 CPUEfctv=16 CPUTot=16 Gres=gpu:a100:4 GresUsed=gpu:a100:3(IDX:0-2)"
        " NodeAddr=10.0.0.5 RealMemory=5000 AllocMem=2000 State=MIXED Partitions=gpu,all OS=Linux 6 x\n"
        "NodeName=gpu02 CPUAlloc=0 CPUTot=8 Gres=gpu:l40:2 GresUsed=gpu:l40:0 RealMemory=100"
        " AllocMem=0 State=IDLE+DRAIN Partitions=gpu\n"
    )
    first, second = describe("", nodes, "slurm", "22.05").nodes
    assert (first.free_cpus, first.free_memory, first.free_gpus) == (
        10,
        3000 * 1024**2,
        {"a100": 1},
    )
    assert first.usable
    assert not second.usable


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        ("IDLE", True),
        ("MIXED", True),
        ("ALLOCATED", True),
        ("IDLE+CLOUD", True),
        ("DOWN*", False),
        ("IDLE*", False),
        ("MIXED+DRAIN", False),
        ("IDLE+MAINTENANCE", False),
        ("IDLE+RESERVED", False),
        ("ALLOCATED+NOT_RESPONDING", False),
    ],
)
def test_a_nodes_state_says_whether_it_takes_jobs(state: str, usable: bool):
    [node] = describe("", f"NodeName=a CPUTot=1 RealMemory=1 State={state}", "s", "v").nodes
    assert node.usable is usable


def test_the_expected_start_is_read_or_refused():
    said = (
        "sbatch: Job 7 to start at 1763900000 using 4 processors on nodes gpu01 in partition gpu\n"
    )
    assert parse_estimate(said) == 1763900000
    with pytest.raises(ValueError, match="test-only"):
        parse_estimate("sbatch: warning only")
