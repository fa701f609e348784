"""A cluster that ends soon, in Chromium: told where its panel is not seen, and kept with one click where it can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.cases import Case, end_case, local_case

from .chromium import RESULTS
from .lab_visit import start_cluster, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# Seconds. A server looks each 30 s for clusters that it did not know of, then each twentieth of AFTER.
AFTER, WARNING = 40, 20
TOLD_MS = 60_000
SITE = f"""\
[clusters]
idle = "{AFTER}s"
[idle]
after = 0
warning = "{WARNING}s"
"""
TOLD = "“flights” computes nothing, and ends at"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    made = local_case(tmp_path_factory.mktemp("hub"), extra=SITE)
    yield made
    end_case(made)


@pytest.fixture
def never_idle(tmp_path: Path) -> Iterator[Case]:
    made = local_case(tmp_path, extra="[clusters]\nidle = 0\n[idle]\nafter = 0\n")
    yield made
    end_case(made)


def test_who_does_not_see_the_panel_is_told_once_and_keeps_the_cluster(case: Case):
    with visit(case, "idle-notice", "alice") as lab:
        page = lab.page
        patched: list[str | None] = []
        page.on(
            "request",
            lambda one: patched.append(one.post_data) if one.method == "PATCH" else None,
        )
        jobs = start_cluster(lab)
        toast = page.locator(".Toastify__toast", has_text=TOLD)
        row = jobs.cluster.get_by_text("It computes nothing, and ends at")
        expect(row).to_be_visible(timeout=TOLD_MS)
        expect(toast).to_have_count(0)  # the row says it
        page.locator('.jp-SideBar [data-id="shopfloor-jobs"]').click()
        expect(jobs.panel).not_to_be_visible()

        expect(toast).to_be_visible()
        keep = toast.get_by_role("button", name="Keep it")
        keep.hover()  # where it has come to rest
        page.screenshot(path=RESULTS / "idle-notice.png")
        keep.click()
        expect(toast).to_have_count(0)
        assert patched == ['{"keep":true}']

        # The next warning is another one; it goes when the cluster ends.
        expect(toast).to_be_visible(timeout=TOLD_MS)
        expect(toast).to_have_count(0, timeout=TOLD_MS)
        lab.jobs()
        expect(jobs.cluster).to_contain_text(f"Ended after {AFTER} s without work")
        expect(toast).to_have_count(0)


def test_a_cluster_whose_time_is_nearly_up_is_told_of_until_it_has_ended(never_idle: Case):
    with visit(never_idle, "end-notice", "alice") as lab:
        page = lab.page
        jobs = lab.jobs()
        jobs.start_cluster("short", 1, Time_limit="1 min", CPUs="1", Memory="1 GB")
        toast = page.locator(".Toastify__toast", has_text="“short” reaches its time limit at")
        expect(toast).to_be_visible(timeout=TOLD_MS)
        toast.hover()
        page.screenshot(path=RESULTS / "end-notice.png")
        expect(jobs.cluster).to_contain_text("reached its time limit", timeout=TOLD_MS)
        expect(toast).to_have_count(0)
