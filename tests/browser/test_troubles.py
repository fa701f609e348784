"""What goes wrong on a cluster, as a person reads it in *Jobs*, on one machine: told, explained, and gone again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.cases import Case

from .chromium import RESULTS
from .lab_visit import start_cluster, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# More than a worker of 512 MB holds.
WORK = """\
from shopfloor_lab.clusters import connect
client = connect()
kept = client.map(lambda n: bytes(60_000_000), range(10))
print(sum(client.gather(client.map(len, kept))))
"""


def test_results_on_disk_are_told_below_the_cluster_and_a_page_explains_them(local_hub: Case):
    with visit(local_hub, "troubles", "alice") as lab:
        page = lab.page
        jobs = start_cluster(lab, name="small", memory="512 MB")
        told = jobs.cluster.get_by_test_id("shopfloor-trouble")
        expect(told).to_have_count(0)
        notebook = lab.new_notebook()
        assert notebook.run_cell(WORK).strip() == "600000000"
        spilling = told.and_(page.locator('[data-kind="spilling"]'))
        expect(spilling).to_contain_text("worker-1 keeps")
        expect(spilling).to_contain_text("of results on disk, for lack of memory. Nothing is lost")
        page.screenshot(path=RESULTS / "troubles.png")

        more = spilling.get_by_role("button", name="Why, and what helps: worker-1 keeps")
        more.focus()
        page.keyboard.press("Enter")
        page.get_by_role("tab", name="When a Dask cluster has trouble").wait_for()
        section = page.get_by_role("heading", name="Results are written to disk")
        expect(section).to_be_in_viewport()
        page.screenshot(path=RESULTS / "troubles-page.png")

        notebook.panel.click()
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
        expect(told).to_have_count(0, timeout=60_000)
        lab.jobs().stop_cluster()
