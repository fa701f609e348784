"""A notebook on a GPU as one person lives it: Lab on a CPU slot, its kernel on a node, killed Lab, idle GPU given back.

The GPUs are fakes that a file tells how busy they are, where NVIDIA's library would (tests/lab/agent_orders.py).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cases import Case, end_case, local_case, slurm_case
from tests.cluster.neighbour import hold_gpus, release
from tests.harness import wait_until
from tests.lab.agent_orders import FileGpus

from .chromium import RESULTS, window
from .hub_pages import HubPages
from .lab_pages import LAB_MS, Lab, Notebook
from .leftovers import forget_earlier_visits
from .test_cluster_story import kill_lab
from .test_kernel_story import CATEGORY

pytestmark = [pytest.mark.browser, pytest.mark.timeout(480)]

PERSON = "frank"  # no other test opens Lab as him, but the story of clusters
FILE = "train.ipynb"
RULE = '\n[idle]\nwarning = "20s"\n\n[kernels]\nidle = "60s"\n'
ENDED_MS = 100_000
WHERE = """\
import os
print("on", os.uname().nodename, os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["SHOPFLOOR_TAG"])
"""
KEEP = """\
import os, shopfloor
kept = 36
@shopfloor.before_end
def save():
    with open(os.path.expanduser("~/released"), "w") as file:
        file.write(str(kept))
print("kept in", os.environ["SHOPFLOOR_TAG"])
"""
LINES = 40
TICKS = f"""\
import time
for number in range({LINES}):
    print("tick", number, end=";")
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def gpus() -> Iterator[FileGpus]:
    folder = Path(tempfile.mkdtemp(prefix=".gpus-", dir="/opt"))
    folder.chmod(0o755)
    yield FileGpus(folder / "nvidia", count=4)
    shutil.rmtree(folder)


@pytest.mark.slurm
def test_on_slurm(slurm_cluster, software: Path, gpus: FileGpus):
    config = f'c.Spawner.environment.update({{"PYTHONPATH": "{gpus.folder}"}})\n'
    case = slurm_case(slurm_cluster, software, config=config, extra=RULE)
    try:
        forget_earlier_visits(case, PERSON)
        gpus.compute(90)
        with window(case, "gpu-slurm", PERSON) as page:
            lab = visit(page, case, PERSON)
            notebook = wait_for_it(page, case, lab)
            where = printed(notebook, WHERE, "on gpu01 0 shopfloor-kernel-")
            live_with_it(page, lab, notebook, where.split()[-1])
            lab, notebook = lab_is_killed(page, case, PERSON, notebook)
            gpus.compute(0)
            it_is_given_back(page, case, PERSON, lab, notebook, "without GPU work")
        case.wait_no_jobs()
    finally:
        end_case(case)


def test_on_one_machine(tmp_path_factory: pytest.TempPathFactory):
    case = local_case(tmp_path_factory.mktemp("hub"), extra=RULE)
    try:
        with window(case, "gpu-local", "alice") as page:
            lab = visit(page, case, "alice")
            notebook = begin(lab, "Small CPU")
            where = printed(notebook, WHERE, "shopfloor-kernel-")
            live_with_it(page, lab, notebook, where.split()[-1])
            lab, notebook = lab_is_killed(page, case, "alice", notebook)
            it_is_given_back(page, case, "alice", lab, notebook, "without work")
        case.wait_no_jobs()
    finally:
        end_case(case)


def visit(page: Page, case: Case, person: str, restored: str = "") -> Lab:
    pages = HubPages(page, case)
    pages.sign_in(person)
    pages.choose("Small CPU")
    pages.wait_for_lab(person)
    return Lab(page, restored=restored)


def wait_for_it(page: Page, case: Case, lab: Lab) -> Notebook:
    """While somebody else has all GPUs: cancelled, asked for again; a cell that is queued meanwhile is run."""
    toolbar = page.get_by_test_id("shopfloor-kernel")
    holding = hold_gpus(case.cluster)
    try:
        ask(lab, "One GPU")
        expect(toolbar).to_have_attribute("data-state", "pending", timeout=LAB_MS)
        expect(toolbar).to_contain_text(re.compile("Waiting: .+ · place 1"))
        page.screenshot(path=RESULTS / "gpu-waiting.png")
        toolbar.get_by_role("button", name="Cancel").click()
        expect(toolbar).to_have_attribute("data-state", "ended")
        expect(toolbar).to_contain_text("You cancelled it")
        page.screenshot(path=RESULTS / "gpu-cancelled.png")
        expect(page.locator(".jp-Dialog")).to_have_count(0)
        toolbar.get_by_role("button", name="Start again").click()
        expect(toolbar).to_have_attribute("data-state", "pending", timeout=LAB_MS)
        notebook = Notebook(page, page.locator(".jp-NotebookPanel:visible"))
        notebook.begin_cell("print(6 * 7)")
        expect(notebook.busy).to_have_count(1)
    finally:
        release(case.cluster, holding)
    notebook.wait_printed("42")
    return ready(page)


def begin(lab: Lab, preset: str) -> Notebook:
    """From the launcher, with this preset's hardware."""
    ask(lab, preset)
    return ready(lab.page)


def ask(lab: Lab, preset: str) -> None:
    lab.new_launcher()
    lab.page.locator(f'.jp-LauncherCard[data-category="{CATEGORY}"]').first.click()
    dialog = lab.page.get_by_role("dialog")
    dialog.get_by_text(preset, exact=True).click()
    lab.page.screenshot(path=RESULTS / "gpu-dialog.png")
    dialog.get_by_role("button", name="Start the kernel").click()
    expect(dialog).to_have_count(0)


def ready(page: Page) -> Notebook:
    expect(page.get_by_test_id("shopfloor-kernel")).to_have_attribute(
        "data-state", "running", timeout=LAB_MS
    )
    return Notebook(page, page.locator(".jp-NotebookPanel:visible"))


def printed(notebook: Notebook, source: str, text: str) -> str:
    """What a cell prints that holds this text."""
    notebook.begin_cell(source)
    notebook.wait_printed(text)
    found = notebook.panel.locator(".jp-OutputArea-output", has_text=text)
    return found.last.inner_text().strip()


def row_of(lab: Lab) -> Locator:
    row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    expect(row).to_have_count(1)
    return row


def live_with_it(page: Page, lab: Lab, notebook: Notebook, tag: str) -> None:
    """Interrupted and started again from the panel, in the same job."""
    notebook.save_as(FILE)
    row = row_of(lab)
    row.locator("button[aria-expanded]").first.click()
    notebook.begin_cell("print('begun', flush=True)\nwhile True: pass")
    notebook.wait_printed("begun")
    row.get_by_role("button", name="Interrupt").click()
    notebook.wait_printed("KeyboardInterrupt")
    row.get_by_role("button", name="Restart…").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    assert printed(notebook, KEEP, "kept in").split()[-1] == tag
    page.screenshot(path=RESULTS / "gpu-panel.png")


def lab_is_killed(page: Page, case: Case, person: str, notebook: Notebook) -> tuple[Lab, Notebook]:
    """While a cell runs; the next Lab, in a browser that knows nothing, has the kernel and all of the cell's output."""
    notebook.begin_cell(TICKS)
    notebook.wait_printed("tick 2;")
    notebook.save()
    kill_lab(case, person)
    page.context.clear_cookies()
    wait_until(lambda: not case.hub.server(person), 60, "the hub has seen that the server ended")
    lab = visit(page, case, person, restored=FILE)
    notebook = ready(page)
    every = "".join(f"tick {number};" for number in range(LINES))
    cell = notebook.panel.locator(".jp-Cell", has_text="tick").last
    expect(cell.locator(".jp-OutputArea-output")).to_have_text([every], timeout=LAB_MS)
    expect(notebook.busy).to_have_count(0)
    page.screenshot(path=RESULTS / "gpu-found.png")
    notebook.panel.locator(".jp-Cell").last.click()
    printed(notebook, "print('still', kept)", "still 36")
    notebook.save()
    return lab, notebook


def it_is_given_back(
    page: Page, case: Case, person: str, lab: Lab, notebook: Notebook, why: str
) -> None:
    """Warned, then ended after what the notebook wanted done; the end is told with its cause."""
    row = row_of(lab)
    expect(row).to_contain_text("computes nothing", timeout=ENDED_MS)
    expect(page.get_by_test_id("shopfloor-kernel")).to_contain_text("Keep it")
    page.screenshot(path=RESULTS / "gpu-idle.png")
    home = page.context.new_page()
    home.goto(f"{case.hub.url}/hub/home")
    warned = home.locator('li.sf-server[data-state="running"]', has_text=FILE)
    expect(warned).to_contain_text(re.compile("computes nothing, and ends at"))
    home.screenshot(path=RESULTS / "gpu-home.png")
    home.close()
    expect(row).to_have_attribute("data-state", "ended", timeout=ENDED_MS)
    expect(row.get_by_test_id("shopfloor-state")).to_have_text(f"Ended after 1 min {why}")
    expect(page.get_by_test_id("shopfloor-kernel")).to_have_attribute("data-state", "ended")
    page.screenshot(path=RESULTS / "gpu-released.png")
    saved = case.home(person) / "released"
    assert saved.read_text() == "36"
    saved.unlink()
    row.get_by_role("button", name=re.compile("^Remove")).click()
    expect(row).to_have_count(0)
    HubPages(page, case).stop()
