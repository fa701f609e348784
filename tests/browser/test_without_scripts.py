"""Whoever allows no JavaScript can still sign in, choose a preset, start and stop JupyterLab, on both schedulers."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.cases import Case
from tests.stand_ins import stand_in

from .chromium import window
from .hub_pages import HubPages

pytestmark = pytest.mark.browser


def test_a_preset_starts_a_server_without_javascript(case: Case):
    label, preset = ("One GPU", "one-gpu") if case.gpu_node else ("Small CPU", "small")
    with window(case, f"{case.name}-without-scripts", "bob", java_script=False) as page:
        pages = HubPages(page, case)
        pages.sign_in("bob")
        pages.choose(label)
        server = case.hub.wait_server("bob")
        pages.wait_for_lab("bob")
    assert server["user_options"]["preset"] == preset
    [job] = case.jobs()
    assert job.node == case.gpu_node or case.name == "local"
    stand_in(case, "bob", "kernel")
    with window(case, f"{case.name}-stop-without-scripts", "bob", java_script=False) as page:
        pages = HubPages(page, case)
        pages.sign_in("bob")
        pages.sees_running("Kernel")
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("button", name="Keep the kernel").click()
        expect(page).to_have_url(f"{case.hub.url}/hub/home")
        pages.sees_running("Kernel", only=True)
        page.get_by_role("button", name="Stop Kernel").click()
        expect(page).to_have_url(f"{case.hub.url}/hub/home")
    case.wait_no_jobs()
