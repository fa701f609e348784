"""A page that has heard all that a kernel on a node printed is loaded anew: nothing of it changes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.cases import Case

from .chromium import RESULTS
from .lab_pages import LAB_MS, Lab, Notebook
from .lab_visit import visit
from .test_kernel_outputs import reopened
from .test_kernel_story import open_on_a_node

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LIVE = """from ipywidgets import Output
from IPython.display import clear_output, display
out = Output()
display(out)
print("before")
for step in range(3):
    with out:
        clear_output(wait=True)
        print("step", step)
"""
# More than is kept of a kernel, so that of the first ones nothing is.
PLOTS = """import base64, os
from IPython.display import display
for n in range(12):
    display({{"image/png": base64.b64encode(os.urandom(800_000)).decode()}}, raw=True)
print("drawn {time}")
"""
COUNTS = "times = globals().get('times', 0) + 1; print('run', times)"
ASKS = 'name = input("who? ")\nprint("hello", name)'


def test_a_reload_changes_nothing_that_was_heard(local_hub: Case):
    with visit(local_hub, "reload", "alice") as lab:
        page = lab.page
        notebook = open_on_a_node(lab)
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        notebook.save_as("long.ipynb")
        notebook.begin_cell("len?")
        notebook.begin_cell(LIVE)
        for number in range(2):
            notebook.begin_cell(PLOTS.format(time=number))
            notebook.wait_printed(f"drawn {number}", timeout=LAB_MS)
            expect(notebook.busy).to_have_count(0)
        notebook.begin_cell(ASKS)
        page.locator(".jp-Stdin-input").fill("bob")
        page.keyboard.press("Enter")
        notebook.wait_printed("hello bob")
        notebook.save()
        [file] = local_hub.home("alice").rglob("long.ipynb")
        before = outputs(file.read_text())
        assert [len(one) for one in before[:5]] == [1, 2, 13, 13, 2]

        with page.expect_response(re.compile(r"/job-kernels/[^/]+/runs")):
            notebook = reopened(page)
        expect(notebook.panel.get_by_text("hello bob")).to_be_visible()
        notebook.save()
        assert outputs(file.read_text()) == before
        expect(notebook.panel.get_by_text("were left out")).to_have_count(0)
        is_asked_before_it_is_lost(lab, notebook)


def is_asked_before_it_is_lost(lab: Lab, notebook: Notebook) -> None:
    """A notebook is closed without a word on what its kernel printed last, and the kernel stopped."""
    page = lab.page
    notebook.panel.locator(".jp-Cell").last.click()
    notebook.begin_cell(COUNTS)
    notebook.wait_printed("run 1")
    notebook.save()
    # Lab asks once more of the file, and takes what changes meanwhile for saved.
    expect(page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    notebook.select(COUNTS)
    page.keyboard.press("Control+Enter")
    notebook.wait_printed("run 2")
    expect(notebook.busy).to_have_count(0)
    page.locator(".lm-DockPanel-tabBar .lm-mod-current .lm-TabBar-tabCloseIcon").click()
    page.locator(".jp-Dialog").get_by_role("button", name="Discard").click()
    expect(notebook.panel).to_have_count(0)
    row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    row.locator("button[aria-expanded]").click()
    stop = row.get_by_role("button", name=re.compile("^Stop the kernel"))
    stop.click()
    question = page.locator(".jp-Dialog")
    expect(question).to_contain_text("is in no saved notebook yet")
    page.screenshot(path=RESULTS / "kernel-stop.png")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)

    lab.open_file("long.ipynb")
    expect(notebook.panel.get_by_text("run 2", exact=True)).to_be_visible()
    notebook.save()
    expect(page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    page.locator(".lm-DockPanel-tabBar .lm-mod-current .lm-TabBar-tabCloseIcon").click()
    expect(notebook.panel).to_have_count(0)
    lab.jobs()
    stop.click()
    expect(row).to_have_count(0)


def outputs(notebook: str) -> list[list[dict[str, Any]]]:
    cells = json.loads(notebook)["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
