"""Fixtures for all tests: the real Slurm, the software installed for its people, and a hub on either scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .cases import Case, end_case, local_case, slurm_case
from .cluster import neighbour
from .software import ensure_software

pytest_plugins = ["tests.cluster.fixtures"]


@pytest.fixture(scope="session")
def software() -> Path:
    """The prefix of the software that every Unix user of the test cluster can run."""
    return ensure_software()


@pytest.fixture(scope="module")
def local_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = local_case(tmp_path_factory.mktemp("hub"))
    yield case
    end_case(case)


@pytest.fixture(scope="module")
def slurm_hub(slurm_cluster, software: Path) -> Iterator[Case]:
    case = slurm_case(slurm_cluster, software)
    yield case
    end_case(case)


@pytest.fixture
def hold_gpus(slurm_hub: Case) -> Iterator[Callable[..., str]]:
    """Let somebody else have all of gpu01's GPUs, or wait for them with "PENDING"; returns the job's id."""
    jobs: list[str] = []

    def hold(until: str = "RUNNING") -> str:
        jobs.append(neighbour.hold_gpus(slurm_hub.cluster, until))
        return jobs[-1]

    yield hold
    for job in jobs:
        neighbour.release(slurm_hub.cluster, job)


@pytest.fixture(scope="module", params=["local", pytest.param("slurm", marks=pytest.mark.slurm)])
def case(request: pytest.FixtureRequest) -> Case:
    """A hub on each scheduler in turn."""
    return request.getfixturevalue(f"{request.param}_hub")
