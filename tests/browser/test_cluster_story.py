"""A Dask cluster as one person lives it: waited for, scaled, watched, found again after Lab was killed, stopped."""

from __future__ import annotations

import os
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case
from tests.cluster.neighbour import hold_gpus, release
from tests.harness import wait_until

from .chromium import RESULTS, window
from .hub_pages import HubPages
from .lab_pages import Jobs, Lab, Notebook
from .leftovers import forget_earlier_visits, processes_of
from .plot_pages import pane, wait_for_tasks

pytestmark = [pytest.mark.browser, pytest.mark.timeout(480)]

# No other test opens Lab as him.
PERSON = "frank"
NAME, FILE = "pixels", "pixels.ipynb"
KEEP = """\
import time
from shopfloor_lab.clusters import connect
client = connect()
client.publish_dataset(kept=client.submit(sum, range(1000)))
print("kept", client.get_dataset("kept").result())
"""
GPUS = """\
import os
print("sees", sorted(set(client.run(lambda: os.environ.get("CUDA_VISIBLE_DEVICES")).values())))
"""
WORK = """\
print("worked", sum(client.gather(client.map(lambda n: time.sleep(0.5) or n, range(60)))))
"""
FIND = """\
from shopfloor_lab.clusters import connect
client = connect()
print("found", client.get_dataset("kept").result())
"""


@pytest.mark.slurm
def test_on_slurm_with_gpu_workers(slurm_hub: Case):
    cluster = slurm_hub.cluster
    forget_earlier_visits(slurm_hub, PERSON)
    holding = hold_gpus(cluster)
    try:
        with window(slurm_hub, "cluster-slurm", PERSON) as page:
            pages, lab = open_lab(page, slurm_hub, PERSON, "Small CPU")
            notebook = lab.new_notebook()
            jobs = lab.jobs()
            jobs.start_cluster(
                NAME, 1, Hardware="gpu", GPUs="1", GPU_type="a100", CPUs="1", Memory="1 GB"
            )
            jobs.wait_waiting()
            page.screenshot(path=RESULTS / "cluster-waiting.png")
            release(cluster, holding)
            jobs.wait_connected(1)
            notebook.begin_cell(KEEP)
            notebook.wait_printed("kept 499500")
            notebook.begin_cell(GPUS)
            # Slurm counts from 0 within the GPUs that a job's cgroup lets it see.
            notebook.wait_printed("sees ['0']")
            live_with_it(page, jobs, notebook)
            kill_lab(slurm_hub, PERSON)
            pages, lab = open_lab(page, slurm_hub, PERSON, "Small CPU", again=True)
            find_it_and_stop(page, lab, pages)
    finally:
        release(cluster, holding)
    slurm_hub.wait_no_jobs()
    wait_until(lambda: not processes_of(slurm_hub, PERSON), 15, "no process of his is left")


def test_on_one_machine(local_hub: Case):
    with window(local_hub, "cluster-local", "bob") as page:
        pages, lab = open_lab(page, local_hub, "bob", "Small CPU")
        notebook = lab.new_notebook()
        jobs = lab.jobs()
        jobs.start_cluster(NAME, 1, CPUs="1", Memory="1 GB")
        jobs.wait_connected(1)
        notebook.begin_cell(KEEP)
        notebook.wait_printed("kept 499500")
        live_with_it(page, jobs, notebook)
        kill_lab(local_hub, "bob")
        pages, lab = open_lab(page, local_hub, "bob", "Small CPU", again=True)
        find_it_and_stop(page, lab, pages)
    local_hub.wait_no_jobs()
    wait_until(lambda: not processes_of(local_hub, "bob"), 15, "no process of his is left")


def open_lab(
    page: Page, case: Case, person: str, preset: str, again: bool = False
) -> tuple[HubPages, Lab]:
    """Sign in and start a server; ``again`` from nothing, as on another computer."""
    pages = HubPages(page, case)
    if again:
        page.context.clear_cookies()
        wait_until(
            lambda: not case.hub.server(person), 60, "the hub has seen that the server ended"
        )
    pages.sign_in(person)
    pages.choose(preset)
    pages.wait_for_lab(person)
    lab = Lab(page, f"{NAME}: Task stream" if again else "")
    if again:
        lab.shown_notebook(FILE)
    return pages, lab


def live_with_it(page: Page, jobs: Jobs, notebook: Notebook) -> None:
    """Up and down by hand; then the work decides, and is watched."""
    # Before the plot comes: Lab writes its layout down when a pane comes or goes, not at a new name.
    notebook.save_as(FILE)
    jobs.scale("Add")
    jobs.wait_connected(2)
    jobs.scale("Remove")
    jobs.wait_connected(1)
    jobs.follow_the_work(1, 2)
    jobs.cluster.get_by_role("button", name="Plots").click()
    page.get_by_role("menuitem", name="Task stream", exact=True).click()
    frame = pane(page, f"Task stream of {NAME}")
    notebook.begin_cell(WORK)
    jobs.wait_connected(2)
    notebook.wait_printed("worked 1770")
    wait_for_tasks(frame)
    page.screenshot(path=RESULTS / "cluster-plot.png")
    notebook.bring_forward(FILE)
    notebook.save()


def servers(case: Case, person: str) -> list[int]:
    """The processes of a person's Lab servers."""
    lines = processes_of(case, person)
    found = [line for line in lines if "bin/shopfloor-singleuser" in line and " -IS " not in line]
    return [int(line.split()[0]) for line in found]


def kill_lab(case: Case, person: str) -> None:
    """As its machine would for lack of memory: at once, without a word."""
    found = servers(case, person)
    assert found
    for process in found:
        os.kill(process, signal.SIGKILL)


def find_it_and_stop(page: Page, lab: Lab, pages: HubPages) -> None:
    jobs = lab.jobs()
    expect(jobs.cluster).to_have_attribute("data-state", "running")
    expect(jobs.cluster).to_contain_text(NAME)
    page.get_by_role("button", name="New Launcher").first.click()
    notebook = lab.new_notebook()
    notebook.begin_cell(FIND)
    notebook.wait_printed("found 499500")
    page.screenshot(path=RESULTS / "cluster-found.png")
    jobs.stop_cluster()
    pages.stop()
