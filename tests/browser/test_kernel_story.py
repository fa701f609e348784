"""Notebooks on compute nodes, in Chromium: chosen in the launcher, moved there and back, there after a reload."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cases import Case

from .axe import serious_faults
from .chromium import RESULTS
from .lab_pages import LAB_MS, Lab, Notebook
from .lab_visit import visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

CATEGORY = "Notebook on a compute node"


def test_a_notebook_runs_on_a_node_and_comes_back(local_hub: Case):
    with visit(local_hub, "kernels", "alice") as lab:
        page = lab.page
        notebook = open_on_a_node(lab)
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        expect(toolbar).to_contain_text(re.compile(r".+ · .+ left"))
        page.screenshot(path=RESULTS / "kernel-running.png")
        assert serious_faults(page, ".shopfloor-Kernel") == []
        notebook.run_cell("kept = 'still here'; print(kept)")
        notebook.save_as("node.ipynb")

        page.reload()
        lab = Lab(page, restored="node.ipynb")
        toolbar = page.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        notebook = Notebook(page, page.locator(".jp-NotebookPanel:visible"))
        notebook.panel.locator(".jp-Cell").last.click()
        notebook.begin_cell("print(kept * 2)")
        notebook.wait_printed("still herestill here")

        panel = lab.jobs().panel
        row = panel.get_by_test_id("shopfloor-job-kernel")
        expect(row.get_by_test_id("shopfloor-state")).to_contain_text("Running on")
        row.get_by_role("button", name="node.ipynb").click()
        expect(row.get_by_role("button", name="Interrupt")).to_be_enabled()
        panel.get_by_role("button", name="JupyterLab").click()
        page.screenshot(path=RESULTS / "kernel-panel.png")
        assert serious_faults(page, ".shopfloor-Jobs") == []
        lab.in_the_dark()
        page.screenshot(path=RESULTS / "kernel-dark.png")
        assert serious_faults(page, ".shopfloor-Jobs") == []
        assert serious_faults(page, ".shopfloor-Kernel") == []

        run_here(page, toolbar)
        expect(row).to_have_count(0)
        expect(toolbar.get_by_role("button", name="Here", exact=True)).to_be_visible()
        expect(toolbar.get_by_role("button", name=re.compile("^Run on"))).to_have_count(0)
        page.screenshot(path=RESULTS / "kernel-here.png")
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Run on a Compute Node…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_test_id("shopfloor-outlook")).to_contain_text("It can start now.")
        page.screenshot(path=RESULTS / "kernel-dialog.png")
        assert serious_faults(page, ".jp-Dialog") == []
        dialog.get_by_role("button", name="Start the kernel").click()
        expect(dialog).to_have_count(0)
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        page.screenshot(path=RESULTS / "kernel-again.png")
        notebook.save()
        stop_kernel(lab)


def test_what_a_notebook_of_somebody_else_asks_for_is_seen_before_it_is_asked(local_hub: Case):
    request = {"cpus": 2, "memory": 700 * 1024**2, "environment": "hidden"}
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "shopfloor": {"kernel": {"request": request}},
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": metadata}
    with visit(local_hub, "kernel-foreign", "bob") as lab:
        page = lab.page
        (local_hub.home("bob") / "foreign.ipynb").write_text(json.dumps(notebook))
        asked: list[str] = []
        page.on(
            "request",
            lambda one: (
                asked.append(one.url)
                if one.method == "POST" and one.url.endswith("/job-kernels")
                else None
            ),
        )
        lab.open_file("foreign.ipynb")
        page.get_by_test_id("shopfloor-kernel").get_by_role(
            "button", name="Run on a compute node…"
        ).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Memory")).to_have_value("700 MB")
        page.screenshot(path=RESULTS / "kernel-foreign.png")
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_have_count(0)
        assert asked == []


def test_after_its_job_a_notebook_is_still_in_its_own_language(local_hub: Case):
    with visit(local_hub, "kernel-language", "trainer") as lab:
        page = lab.page
        notebook = open_on_a_node(lab, "R")
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        notebook.begin_cell("cat(6 * 7)")
        notebook.wait_printed("42")
        notebook.save_as("language.ipynb")
        stop_kernel(lab)
        expect(notebook.panel.get_by_text("No Kernel")).to_be_visible()
        notebook.panel.locator(".jp-Cell").last.click()
        notebook.begin_cell("cat(paste('still', R.version$language))")
        notebook.wait_printed("still R")
        expect(toolbar.get_by_role("button", name="Here", exact=True)).to_be_visible()
        notebook.save()
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
        expect(notebook.panel.get_by_text("No Kernel")).to_be_visible()


def open_on_a_node(lab: Lab, environment: str = "Python 3 (ipykernel)") -> Notebook:
    lab.new_launcher()
    cards = lab.page.locator(f'.jp-LauncherCard[data-category="{CATEGORY}"]')
    card = cards.filter(has=lab.page.get_by_text(environment, exact=True))
    expect(card).to_be_visible()
    lab.page.screenshot(path=RESULTS / "kernel-launcher.png")
    card.click()
    dialog = lab.page.get_by_role("dialog")
    expect(dialog.get_by_text("New notebook on a compute node")).to_be_visible()
    expect(dialog.get_by_test_id("shopfloor-outlook")).to_contain_text("It can start now.")
    lab.page.screenshot(path=RESULTS / "kernel-new.png")
    dialog.get_by_role("button", name="Start the kernel").click()
    expect(dialog).to_have_count(0)
    return Notebook(lab.page, lab.page.locator(".jp-NotebookPanel:visible"))


def run_here(page: Page, toolbar: Locator) -> None:
    toolbar.get_by_role("button", name="Change…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_test_id("shopfloor-preset-here").click()
    dialog.get_by_role("button", name="Start the kernel").click()
    expect(dialog).to_have_count(0)


def stop_kernel(lab: Lab) -> None:
    """In the panel; asks nothing, for it computes nothing."""
    row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    living = row.and_(lab.page.locator('[data-state="running"]'))
    living.locator("button[aria-expanded]").click()
    living.get_by_role("button", name=re.compile("^Stop the kernel")).click()
    expect(living).to_have_count(0)
