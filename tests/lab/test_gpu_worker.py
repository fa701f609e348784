"""Which command a worker with a GPU runs: dask-cuda's where that is installed.

The one here is a stand-in that says what it was given, for there is no GPU to run the real one on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from shopfloor_jobs.request import Request
from shopfloor_lab.clusters.command import ON_A_GPU, worker_command

STAND_IN = """\
import sys

def worker():
    print("dask-cuda:", sys.argv[1:])
"""
BROKEN = "import libcuda_of_another_driver\n"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", ON_A_GPU, *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.fixture
def dask_cuda(tmp_path: Path) -> Path:
    """Where dask-cuda's command line would lie."""
    (tmp_path / "dask_cuda").mkdir()
    (tmp_path / "dask_cuda" / "__init__.py").touch()
    return tmp_path / "dask_cuda" / "cli.py"


def test_only_a_worker_with_a_gpu_may_be_dask_cudas() -> None:
    for gpus, module in ((0, "distributed.cli.dask_worker"), (1, ON_A_GPU)):
        request = Request(cpus=1, gpus=gpus)
        for address in ("tls://10.0.0.1:1", None):
            assert module in worker_command(address, ["worker-1"], request, Path("/jobs/x"))


def test_dask_cuda_is_given_what_dask_would_be(tmp_path: Path, dask_cuda: Path) -> None:
    dask_cuda.write_text(STAND_IN)
    done = run(tmp_path, "tls://10.0.0.1:1", "--name", "worker-1")
    assert done.stdout == "dask-cuda: ['tls://10.0.0.1:1', '--name', 'worker-1']\n"


def test_without_it_dasks_own_command_runs_and_says_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert "--death-timeout" in done.stdout and not done.stderr


def test_one_that_cannot_be_used_is_named_and_dasks_own_runs(
    tmp_path: Path, dask_cuda: Path
) -> None:
    dask_cuda.write_text(BROKEN)
    done = run(tmp_path, "--help")
    assert "--death-timeout" in done.stdout
    assert "cannot be used" in done.stderr and "libcuda_of_another_driver" in done.stderr
