"""The fixture with which any test gets the real Slurm; tests/conftest.py names it as a plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cluster import Cluster


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Cluster]:
    """One cluster for the whole test run; a machine that cannot run it fails, it never skips."""
    with Cluster() as cluster:
        yield cluster
