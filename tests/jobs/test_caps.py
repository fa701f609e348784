"""What may be had at once: read from what Slurm prints, and held against a request."""

from __future__ import annotations

import pytest
from shopfloor_jobs.caps import Cap, tightest
from shopfloor_jobs.request import Request
from shopfloor_jobs.slurm_accounts import parse
from shopfloor_jobs.slurm_caps import of_qos

GB = 1024**3
GPU = Request(cpus=4, memory=16 * GB, gpus=1)


def association(account: str, user: str, parent: str, *limits: str, default: str = "No") -> str:
    return (
        f"ClusterName=c Account={account} UserName={user} Partition= Priority=0 ParentAccount={parent} Lft=1"
        f" DefAssoc={default} {' '.join(limits)} MaxJobsAccrue= MinPrioThresh=\n"
    )


# As Slurm 22.05 prints them: what is in use stands behind each limit, N is none, memory is in MB.
ASSOCIATIONS = "".join(
    [
        association("root", "", "", "GrpJobs=N(4)", "GrpTRES=cpu=N(9),mem=N(9),gres/gpu=N(4)"),
        association("vision", "", "root(1)", "GrpJobs=N(2)", "GrpTRES=cpu=64(9),gres/gpu=8(2)"),
        association(
            "vision",
            "alice(1001)",
            "",
            "GrpJobs=N(1)",
            "GrpTRES=cpu=N(1),mem=131072(100),gres/gpu=N(0)",
            "MaxJobs=5(1)",
            default="Yes",
        ),
        association("climate", "", "root(1)", "GrpTRES=gres/gpu=1(0)"),
        association("climate", "alice(1001)", ""),
    ]
)
ALLOWED = "vision|alice|normal,short|normal\nclimate|alice|normal|\n"
QOS = "normal||||\nshort|cpu=100|7|cpu=8,gres/gpu=2,mem=1.5T|3\n"
CAPS = [cap for one in parse(ASSOCIATIONS, ALLOWED, "", "", QOS).of("alice") for cap in one.caps]


def test_limits_of_person_project_and_qos_are_read_and_nothing_else():
    assert [(cap.kind, cap.most, cap.account, cap.qos) for cap in CAPS] == [
        ("memory", 128 * GB, "vision", ""),
        ("jobs", 5, "vision", ""),
        ("cpus", 64, "vision", ""),
        ("gpus", 8, "vision", ""),
        ("cpus", 100, "vision", "short"),
        ("jobs", 7, "vision", "short"),
        ("cpus", 8, "vision", "short"),
        ("gpus", 2, "vision", "short"),
        ("memory", 1536 * GB, "vision", "short"),
        ("jobs", 3, "vision", "short"),
        ("gpus", 1, "climate", ""),
    ]
    assert of_qos("nonsense\n") == {}


@pytest.mark.parametrize(
    ("request_", "beside", "count", "words"),
    [
        # 128 GB hold 8 of 16 GB; 5 jobs is less.
        (GPU, None, 5, "You, in project vision, may have 5 jobs at once"),
        (GPU, Request(cpus=1, memory=GB), 4, "You, in project vision, may have 5 jobs at once"),
        (
            Request(memory=100 * GB),
            None,
            1,
            "You, in project vision, may have 128 GB of memory at once",
        ),
        (Request(qos="short", gpus=1), None, 2, "You, with QOS short, may have 2 GPUs at once"),
        (
            Request(account="vision", qos="normal", cpus=1),
            None,
            5,
            "You, in project vision, may have 5 jobs at once",
        ),
        (Request(account="climate", gpus=1), None, 1, "Project climate may have 1 GPU at once"),
        (Request(cpus=32, nodes=3, memory=GB), None, 0, "Project vision may have 64 CPUs at once"),
    ],
)
def test_the_tightest_one_counts_and_says_whose_it_is(request_, beside, count, words):
    found, cap = tightest(CAPS, request_, beside)
    assert (found, str(cap)) == (count, words)


def test_what_limits_nothing_that_is_asked_for_says_nothing():
    assert tightest(CAPS, Request(account="climate")) is None
    assert tightest([], GPU) is None
    assert Cap(**Cap("gpus", 1, "You").to_json()) == Cap("gpus", 1, "You")
