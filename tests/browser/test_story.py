"""The main job as one person lives it in a real browser: from the login page to a trained model, on both schedulers."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case
from tests.cluster.cluster import Cluster
from tests.cluster.layout import NODES
from tests.harness import wait_until
from tests.lab.reference import BOOSTING_TOLERANCE, reference

from .chromium import RESULTS, ROOT, window
from .hub_pages import HubPages
from .lab_pages import Lab
from .leftovers import forget_earlier_visits, processes_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# No other test opens Lab as her.
PERSON = "judy"
TRAIN = "02-train-on-it.ipynb"
TOLERANCE = {"average": 1e-6, "median": 1e-6, "linear": 1e-6, "boosting": BOOSTING_TOLERANCE}

# What the kernel finds: which of the node's GPUs it can open. A device node without a driver behind
# it answers ENXIO to whoever may open it, and EPERM to whom the job's cgroup keeps out.
LOOK_AROUND = """\
import errno, json, os, socket
from pathlib import Path
def may_open(device):
    try:
        os.close(os.open(device, os.O_RDWR))
    except OSError as error:
        return error.errno != errno.EPERM
    return True
print(json.dumps({
    "host": socket.gethostname(),
    "home": str(Path.home()),
    "uid": os.getuid(),
    "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "may_open": [may_open(device) for device in DEVICES],
}))
"""


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return reference()


def test_on_one_machine_with_small_cpu(local_hub: Case, expected: dict[str, Any]):
    with window(local_hub, "local", "alice") as page:
        pages = HubPages(page, local_hub)
        pages.sign_in("alice")
        pages.open_the_default()
        pages.wait_for_lab("alice")
        lab = Lab(page)
        found = look_around(lab, [])
        assert found["home"] == str(local_hub.home("alice"))
        prepare_and_train(page, lab, "local", {"CPUs": "1", "Memory": "1 GB"})
        assert processes_of(local_hub, "alice")
        pages.stop()
    leaves_nothing(local_hub, "alice")
    assert_as_in_one_process(local_hub, "alice", expected)


@pytest.mark.slurm
def test_on_slurm_with_one_gpu(slurm_hub: Case, expected: dict[str, Any]):
    cluster, layout = slurm_hub.cluster, slurm_hub.cluster.layout
    forget_earlier_visits(slurm_hub, PERSON)
    [node] = [node for node in NODES if node.name == slurm_hub.gpu_node]
    # The first GPU goes to bob, so that hers is not the one that anybody would get by default.
    hold = [
        "sbatch",
        "--parsable",
        "--partition=gpu",
        "--gpus=a100:1",
        "--mem=50",
        "--output=/dev/null",
    ]
    other = cluster.run([*hold, "--wrap=exec sleep 600"], user="bob", check=True).stdout.strip()
    wait_until(lambda: cluster.job_state(other) == "RUNNING", 30, "bob has a GPU")
    with window(slurm_hub, "slurm", PERSON) as page:
        pages = HubPages(page, slurm_hub)
        pages.sign_in(PERSON)
        pages.choose("One GPU")
        pages.wait_for_lab(PERSON)
        lab = Lab(page)
        [server] = [job["id"] for job in cluster.jobs() if job["user"] == PERSON]
        found = look_around(lab, [str(device) for device in layout.gpu_devices(node)])
        granted = granted_gpus(cluster, server)
        assert (found["host"], found["uid"]) == (node.name, pwd.getpwnam(PERSON).pw_uid)
        assert len(granted) == 1 and granted != granted_gpus(cluster, other)
        assert {n for n, open_to_her in enumerate(found["may_open"]) if open_to_her} == granted
        # Slurm counts from 0 within the GPUs that a job's cgroup lets it see.
        assert found["visible"] == "0"
        prepare_and_train(page, lab, "slurm", {"CPUs": "1", "Memory": "1 GB", "Hardware": "cpu"})
        assert processes_of(slurm_hub, PERSON)
        pages.stop()
    cluster.run(["scancel", other], check=True)
    leaves_nothing(slurm_hub, PERSON)
    assert_as_in_one_process(slurm_hub, PERSON, expected)


def granted_gpus(cluster: Cluster, job: str) -> set[int]:
    """Which of its node's GPUs Slurm gave the job."""
    shown = cluster.run(["scontrol", "show", "job", "-d", job], check=True).stdout
    [indices] = re.findall(r"GRES=gpu:a100:1\(IDX:([\d,-]+)\)", shown)
    return {int(index) for index in indices.split(",")}


def look_around(lab: Lab, devices: list[str]) -> dict[str, Any]:
    """What the kernel of a new notebook says about where it runs."""
    notebook = lab.new_notebook()
    printed = notebook.run_cell(f"DEVICES = {devices!r}\n{LOOK_AROUND}")
    notebook.close_unsaved()
    return json.loads(printed)


def prepare_and_train(page: Page, lab: Lab, story: str, worker: dict[str, str]) -> None:
    """Both examples, on a cluster of two workers that is started, used and stopped in the panel."""
    prepare = lab.open_examples()
    jobs = lab.jobs()
    jobs.start_cluster("flights", workers=2, **worker)
    jobs.wait_connected(2)
    prepare.select("client = connect()")
    jobs.use_in_notebook()
    expect(prepare.panel.get_by_text("Cluster flights: 2 workers")).to_be_visible()
    prepare.run_all()
    prepare.save()
    jobs.unfold_workers(2)
    prepare.show("def draw(airport)", output=True)
    page.screenshot(path=RESULTS / f"{story}-lab.png")
    if story == "slurm" and os.environ.get("SHOPFLOOR_SCREENSHOT"):
        shutil.copyfile(RESULTS / f"{story}-lab.png", ROOT / "docs" / "lab.png")
    jobs.follow_the_work(2, 3)
    prepare.show("This notebook runs on", output=True)
    page.screenshot(path=RESULTS / f"{story}-connected.png")
    train = lab.open_file(TRAIN)
    lab.jobs().use_in_notebook()
    train.run_all()
    page.screenshot(path=RESULTS / f"{story}-train.png")
    train.save()
    lab.jobs().stop_cluster()


def leaves_nothing(case: Case, person: str) -> None:
    """No job, no process, and no error in the hub's log."""
    case.wait_no_jobs()
    wait_until(lambda: not processes_of(case, person), 15, f"no process of {person}'s is left")
    complaints = re.findall(r"^(?:\[[EC] .*|Traceback.*)$", case.hub.log.read_text(), re.MULTILINE)
    assert complaints == []


def assert_as_in_one_process(case: Case, person: str, expected: dict[str, Any]) -> None:
    data = case.home(person) / "shopfloor-data" / "flights"
    summary = json.loads((data / "summary.json").read_text())
    assert summary["prepare"] == expected["prepare"]
    assert summary["train"]["rows"] == expected["train"]["rows"]
    errors = summary["train"]["test_errors"]
    assert errors.keys() == TOLERANCE.keys()
    for model, tolerance in TOLERANCE.items():
        alone = expected["train"]["test_errors"][model]
        assert errors[model] == pytest.approx(alone, rel=tolerance), model
    assert errors["boosting"]["rmse"] < errors["linear"]["rmse"] < errors["average"]["rmse"]
