"""An idle GPU of a kernel's job on the real Slurm: given back after what the notebook wants done before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.offer import KernelTerms

from tests.cluster.cluster import Cluster

from .agent_orders import FileGpus
from .job_kernels import at_home

pytestmark = pytest.mark.slurm

PERSON = "grace"
# What she does in a notebook; then she goes for lunch.
NOTEBOOK = """
import asyncio, json, time
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="ipython-gpu", startup_timeout=60)
client.execute_interactive('''
import os, shopfloor
@shopfloor.before_end
def save():
    with open(os.path.expanduser("~/saved"), "w") as file:
        file.write(os.environ["CUDA_VISIBLE_DEVICES"])
''', timeout=30)
deadline = time.monotonic() + 90
why = ""
# The kernel is gone before its job is, which says why.
while (manager.is_alive() or not why) and time.monotonic() < deadline:
    time.sleep(0.5)
    why = asyncio.run(manager.provisioner.why())
print(json.dumps(why))
manager.shutdown_kernel(now=True)
"""


def test_a_gpu_on_which_nothing_computes_is_given_back(slurm_cluster: Cluster, software: Path):
    terms = KernelTerms(idle=Rule(6, 3))
    with at_home(slurm_cluster, PERSON, kernels=terms) as environment:
        gpus = FileGpus(Path(environment["JUPYTER_PATH"]) / "nvidia", count=4)
        path = os.pathsep.join((str(gpus.folder), environment["PYTHONPATH"]))
        done = slurm_cluster.run(
            [software / "bin/python", "-c", NOTEBOOK],
            PERSON,
            environment={**environment, "PYTHONPATH": path},
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == "ended after 6 s without GPU work"
        saved = slurm_cluster.run(["sh", "-c", "cat ~/saved; rm ~/saved"], PERSON)
        assert saved.stdout in ("0", "1", "2", "3")
