"""New notebooks begin connected to the cluster that runs, where the person chose that in the palette; in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cases import Case
from tests.harness import wait_until

from .chromium import RESULTS
from .lab_pages import LAB_MS, Lab
from .lab_visit import start_cluster, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CHOICE = "Connect New Notebooks to the Running Dask Cluster"
CONNECTED = "Cluster flights: 1 workers"


def test_a_new_notebook_is_connected_once_that_is_chosen_and_one_that_was_open_never(
    local_hub: Case,
):
    with visit(local_hub, "auto-connect", "bob") as lab:
        page = lab.page
        start_cluster(lab)
        plain = lab.new_notebook()
        assert plain.run_cell("print(6 * 6)").strip() == "36"
        expect(plain.panel.get_by_text("shopfloor_lab")).to_have_count(0)

        lab.command(CHOICE)
        lab.command("New Launcher")
        new = lab.new_notebook()
        expect(new.panel.get_by_text(CONNECTED)).to_be_visible()
        new.begin_cell("print('answer', client.submit(pow, 6, 2).result())")
        new.wait_printed("answer 36")
        page.screenshot(path=RESULTS / "auto-connect.png")

        # What Lab opens again is not new.
        page.reload()
        lab = Lab(page, "Untitled")
        for name in ("Untitled.ipynb", "Untitled1.ipynb"):
            brought_to_front(page, name)
            lab.shown_notebook(name)  # until its kernel is there, which would be connected
            shown = brought_to_front(page, name)
            expect(shown.get_by_text(CONNECTED)).to_have_count(0)

        # The choice is the person's, not the page's; without earlier tabs, which Lab brings to the front late.
        page.goto(f"{page.url.partition('/lab')[0]}/lab?reset")
        lab = Lab(page)
        again = lab.new_notebook()
        expect(again.panel.get_by_text(CONNECTED)).to_be_visible()
        lab.jobs().stop_cluster()


def brought_to_front(page: Page, name: str) -> Locator:
    """A notebook with its cell, which Lab draws once it is in front; late after a reload it has another one there."""
    tab = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=name)
    panel = page.locator(f"[aria-labelledby='{tab.get_attribute('id')}']")

    def is_there() -> bool:
        if "lm-mod-current" not in (tab.get_attribute("class") or ""):
            tab.click()
        return panel.locator(".jp-CodeCell").count() == 1

    wait_until(is_there, LAB_MS / 1000, f"the cell of {name} is there")
    return panel
