"""Dask's plots as panes of Lab, on one machine: opened by keyboard, drawn with data, found again, and over in words."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case

from .chromium import RESULTS, ROOT
from .lab_pages import LAB_MS, Jobs
from .lab_visit import start_cluster, visit
from .plot_pages import PIXELS, pane, wait_for_tasks

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WORK = """\
from shopfloor_lab.clusters import connect
import time
client = connect()
print(sum(client.gather(client.map(lambda n: time.sleep(0.05) or n, range(60)))))
"""
# What a script in a plot may not do, though it comes from the same address as Lab.
REACH = """async () => {
  const refused = [];
  for (const [what, attempt] of Object.entries({
    cookies: () => document.cookie,
    lab: () => window.parent.document.title,
    storage: () => localStorage.length
  })) {
    try { attempt(); } catch (error) { refused.push(what); }
  }
  const api = new URL('../../../../session', location.href);
  try { await fetch(api, {credentials: 'include'}); } catch (error) { refused.push('api'); }
  return [window.origin, ...refused];
}"""


def test_a_plot_opens_beside_the_notebook_and_is_found_again(local_hub: Case):
    with visit(local_hub, "plots", "alice") as lab:
        page = lab.page
        jobs = start_cluster(lab, workers=2)
        notebook = lab.new_notebook()
        open_by_keyboard(page, jobs)
        frame = pane(page, "Task stream of flights")
        assert frame.evaluate(REACH) == ["null", "cookies", "lab", "storage", "api"]
        assert notebook.run_cell(WORK).strip() == "1770"
        wait_for_tasks(frame)
        shoot(page, "plots")

        for title in (
            "Progress",
            "Table of workers",
            "Memory of each worker",
            "CPU of each worker",
        ):
            jobs.cluster.get_by_role("button", name="Plots").click()
            page.get_by_role("menuitem", name=title, exact=True).click()
            pane(page, f"{title} of flights").wait_for_function(f"() => ({PIXELS})() >= 0")
            page.screenshot(path=RESULTS / f"plots-{title.split()[0].lower()}.png")

        lab.in_the_dark()
        wait_for_no_words(page)
        page.screenshot(path=RESULTS / "plots-dark.png")

        page.reload()
        page.get_by_role("tab", name="flights: Task stream").click(timeout=LAB_MS)
        pane(page, "Task stream of flights")

        lab.jobs().stop_cluster()
        told = page.locator(".shopfloor-Plot:visible").get_by_role("status").first
        expect(told).to_contain_text("You stopped it.")
        assert not page.locator(".shopfloor-Plot:visible iframe").count()
        page.screenshot(path=RESULTS / "plots-ended.png")


def open_by_keyboard(page: Page, jobs: Jobs) -> None:
    button = jobs.cluster.get_by_role("button", name="Plots")
    button.focus()
    page.keyboard.press("Enter")
    menu = page.get_by_role("menu")
    expect(menu).to_be_visible()
    expect(menu.get_by_role("menuitem")).to_have_count(12)
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    page.keyboard.press("Enter")  # the first one, which is active


def wait_for_no_words(page: Page) -> None:
    expect(page.locator(".shopfloor-Plot:visible:not(.shopfloor-mod-shown)")).to_have_count(0)


def shoot(page: Page, name: str) -> None:
    page.screenshot(path=RESULTS / f"{name}.png")
    if os.environ.get("SHOPFLOOR_SCREENSHOT"):
        shutil.copyfile(RESULTS / f"{name}.png", ROOT / "docs" / f"{name}.png")
