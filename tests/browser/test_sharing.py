"""A cluster in a notebook's cell, and its view in another person's Lab: shown, followed, and taken back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cases import Case, end_case, local_case

from .chromium import RESULTS, SIZE
from .hub_pages import HubPages
from .lab_pages import CLUSTER_MS
from .lab_visit import open_lab, start_cluster, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CELL = "from shopfloor_lab import Cluster\ncluster = Cluster()\ncluster"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    team = '[[groups]]\nname = "vision"\nmembers = ["alice", "bob"]\n'
    made = local_case(tmp_path_factory.mktemp("hub"), extra=team)
    yield made
    end_case(made)


def test_a_team_member_sees_a_cluster_until_it_is_taken_back(case: Case):
    with visit(case, "sharing", "alice") as lab:
        page = lab.page
        jobs = start_cluster(lab)
        notebook = lab.new_notebook()
        notebook.run_cell(CELL)
        shown = notebook.panel.locator(".jp-OutputArea-output").first
        the_cell_follows_and_scales(page, shown)

        jobs.cluster.get_by_role("button", name="Share view…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("People").fill("nobody-here")
        dialog.get_by_role("button", name="Share view").click()
        expect(dialog.get_by_role("alert").filter(has_text="nobody of this name")).to_be_visible()
        dialog.get_by_label("People").fill("")
        dialog.get_by_label("vision").check()
        page.screenshot(path=RESULTS / "sharing-dialog.png")
        dialog.get_by_role("button", name="Share view").click()
        expect(dialog).to_have_count(0)
        seen_by = jobs.cluster.get_by_test_id("shopfloor-seen-by")
        expect(seen_by).to_contain_text("Seen by vision until")

        other = page.context.browser.new_context(viewport=SIZE, reduced_motion="reduce").new_page()
        theirs = open_lab(other, case, "bob").jobs().panel.get_by_test_id("shopfloor-shared")
        expect(theirs).to_be_visible()
        row = theirs.get_by_test_id("shopfloor-shared-cluster")
        row.get_by_role("button", name="flights").press("Enter")
        expect(row.get_by_test_id("shopfloor-shared-state")).to_contain_text("Running on")
        expect(row).to_contain_text("1 connected")
        expect(row).to_contain_text("alice shows it until")
        line = row.get_by_test_id("shopfloor-history").locator("polyline").first
        # Told anew since bob looks, so that alice's server has heard who looked.
        drawn = line.get_attribute("points") or ""
        expect(line).not_to_have_attribute("points", drawn)
        expect(row.get_by_role("button")).to_have_count(1)  # what folds it: nothing can be steered
        assert not theirs.locator("iframe").count()
        other.screenshot(path=RESULTS / "sharing-with-you.png")

        jobs.cluster.get_by_role("button", name="Share view…").click()
        now = dialog.get_by_test_id("shopfloor-share")
        expect(now).to_contain_text("Seen by vision until")
        expect(now).to_contain_text("Looked last: bob at")
        # By keyboard: Lab takes an Enter in a dialog for its default button, which would share it anew.
        now.get_by_role("button", name="Stop sharing").press("Enter")
        expect(now).to_have_count(0)
        expect(dialog.get_by_label("vision")).to_be_focused()
        dialog.get_by_role("button", name="Share view").press("Tab")
        expect(dialog.get_by_label("vision")).to_be_focused()
        expect(theirs).to_have_count(0, timeout=10_000)
        dialog.get_by_role("button", name="Close").click()
        expect(seen_by).to_have_count(0)

        jobs.stop_cluster()
        expect(shown).to_contain_text("Ended: You stopped it.", timeout=20_000)
        HubPages(other, case).stop()


def the_cell_follows_and_scales(page: Page, shown: Locator) -> None:
    expect(shown).to_contain_text("flights: Running on")
    expect(shown).to_contain_text("1 connected")
    shown.get_by_role("spinbutton", name="Workers", exact=True).fill("2")
    shown.get_by_role("button", name="Set").click()
    expect(shown).to_contain_text("Workers: 2 connected", timeout=CLUSTER_MS)
    page.screenshot(path=RESULTS / "cluster-in-a-cell.png")
    shown.get_by_role("spinbutton", name="Workers", exact=True).fill("199")
    shown.get_by_role("button", name="Set").click()
    expect(shown.get_by_role("alert")).to_contain_text("workers: 199 is not possible")
    shown.get_by_role("spinbutton", name="Workers", exact=True).fill("1")
    shown.get_by_role("button", name="Set").click()
    expect(shown).to_contain_text("Workers: 1 connected", timeout=CLUSTER_MS)


def test_a_cell_that_is_cleared_asks_for_nothing_more(case: Case):
    # Another person's, for Lab opens again what was open.
    with visit(case, "cell", "trainer") as lab:
        page = lab.page
        jobs = start_cluster(lab)
        notebook = lab.new_notebook()
        notebook.run_cell(CELL)
        outputs = notebook.panel.locator(".jp-OutputArea-output")
        expect(outputs.first).to_contain_text("1 connected")
        asked = "print('following', cluster._view._following, cluster._view.box._view_count)"
        notebook.run_cell(asked)
        expect(outputs.last).to_contain_text("following True 1")
        notebook.select("from shopfloor_lab import Cluster")
        page.get_by_role("menuitem", name="Edit", exact=True).click()
        page.get_by_role("menuitem", name="Clear Cell Output", exact=True).click()
        expect(outputs).to_have_count(1)
        notebook.select("print('following'")
        again = (
            "import time; deadline = time.monotonic() + 10\n"
            "while cluster._view._following and time.monotonic() < deadline: time.sleep(0.1)\n"
            "print('now', cluster._view._following, cluster._view.box._view_count)"
        )
        page.keyboard.press("b")
        page.keyboard.press("Enter")
        page.keyboard.insert_text(again)
        page.keyboard.press("Shift+Enter")
        expect(outputs.last).to_contain_text("now False 0")
        jobs.stop_cluster()
