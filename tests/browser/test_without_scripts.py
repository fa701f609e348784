"""Whoever allows no JavaScript can still sign in, choose a preset and start JupyterLab, on both schedulers."""

from __future__ import annotations

import pytest

from tests.cases import Case

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
    case.hub.stop_server("bob")
    case.wait_no_jobs()
