"""The panel *Jobs* in Chromium while a cluster computes: its figures, in words and bars, over one stream of events."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, expect

from tests.cases import Case

from .axe import serious_faults
from .chromium import RESULTS
from .lab_pages import Jobs
from .lab_visit import start_cluster, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# More than a worker of 512 MB keeps in memory, then something that takes a minute.
WORK = """\
from shopfloor_lab.clusters import connect
from distributed import wait
import os, time
client = connect()
held = client.map(lambda n: os.urandom(8_000_000), range(60), pure=False, key="held")
wait(held)
steps = client.map(lambda n: time.sleep(0.3), range(200), key="step")
print(len(held), len(steps))
"""


def test_a_computing_cluster_is_told_in_figures_over_one_stream(local_hub: Case):
    with visit(local_hub, "panel", "alice") as lab:
        page = lab.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        jobs = start_cluster(lab, memory="512 MB")
        gauges = jobs.cluster.get_by_test_id("shopfloor-gauges")
        expect(gauges.get_by_role("meter", name="Memory")).to_be_visible()
        expect(gauges.get_by_role("meter", name="CPU")).to_be_visible()
        expect(gauges.get_by_role("meter", name="GPU")).to_have_count(0)
        expect(jobs.cluster.get_by_test_id("shopfloor-progress")).to_have_count(0)
        expect(jobs.cluster.get_by_test_id("shopfloor-spent")).to_contain_text("CPU-hours")

        assert lab.new_notebook().run_cell(WORK).strip() == "60 200"
        watch_it_compute(page, jobs)
        jobs.unfold_workers(1)
        page.screenshot(path=RESULTS / "panel.png")
        jobs.panel.screenshot(path=RESULTS / "panel-alone.png")
        assert serious_faults(page, ".shopfloor-Jobs") == []
        assert len(streams(asked)) == 1
        assert [one for one in asked if re.search(r"api/clusters(\?.*)?$", one)] == [
            asked_to_start(asked)
        ], "the list was asked for beside the stream"
        lab.in_the_dark()
        jobs.panel.screenshot(path=RESULTS / "panel-dark.png")
        assert serious_faults(page, ".shopfloor-Jobs") == []

        hide_and_show(page, jobs)
        without_a_stream(page, jobs)
        page.get_by_role("button", name="Stop cluster").click()
        page.get_by_role("button", name="Stop it").click()
        ended = jobs.panel.locator('[data-testid="shopfloor-cluster"][data-state="ended"]')
        expect(ended).to_be_visible()
        expect(jobs.panel.get_by_role("log")).to_have_text("flights: Ended: You stopped it.")


def streams(asked: list[str]) -> list[str]:
    return [one for one in asked if "api/clusters/events" in one]


def asked_to_start(asked: list[str]) -> str:
    """The address of the one POST; a GET of the list would be a second one."""
    return next(one for one in asked if re.search(r"api/clusters(\?.*)?$", one))


def watch_it_compute(page: Page, jobs: Jobs) -> None:
    progress = jobs.cluster.get_by_role("progressbar", name="Progress of “flights”")
    expect(progress).to_have_attribute("max", "200")
    line = jobs.cluster.get_by_test_id("shopfloor-progress")
    expect(line).to_contain_text(re.compile(r"\d+ of 200 tasks done, [\d.]+ per second"))
    before = int(progress.get_attribute("value") or 0)
    page.wait_for_function(
        "([bar, before]) => bar.value > before", arg=[progress.element_handle(), before]
    )
    # As a figure, and as a trouble with what helps when it is much.
    told = re.compile(r"[\d.]+ MB of results (were written to|on) disk")
    expect(jobs.cluster.get_by_text(told)).to_have_count(1)


def hide_and_show(page: Page, jobs: Jobs) -> None:
    """Nobody sees the panel: its stream is closed. Seen again, it is current."""
    tab = page.locator('.jp-SideBar [data-id="shopfloor-jobs"]')
    with page.expect_event("requestfailed", is_stream):
        tab.click()
    expect(jobs.panel).not_to_be_visible()
    with page.expect_event("request", is_stream):
        tab.click()
    expect(jobs.cluster).to_be_visible()


def is_stream(request: Request) -> bool:
    return "api/clusters/events" in request.url


def without_a_stream(page: Page, jobs: Jobs) -> None:
    """Something on the way lets no stream through: that is said, and the list is asked for."""
    page.route("**/api/clusters/events*", lambda route: route.abort())
    tab = page.locator('.jp-SideBar [data-id="shopfloor-jobs"]')
    tab.click()
    with page.expect_event(
        "requestfinished", lambda request: re.search(r"api/clusters\?", request.url)
    ):
        tab.click()
    told = jobs.panel.get_by_text("This list is only updated every 15 s now.")
    expect(told).to_be_visible()
    expect(jobs.cluster.get_by_test_id("shopfloor-progress")).to_be_visible()
    page.unroute("**/api/clusters/events*")
    expect(told).to_have_count(0)
