"""axe-core finds no serious fault on the pages, light and dark: login, home, form, waiting and ended."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.cases import Case

from .axe import faults
from .chromium import window
from .hub_pages import HubPages

pytestmark = pytest.mark.browser


@pytest.mark.slurm
def test_no_page_has_a_serious_fault(slurm_hub: Case, hold_gpus):
    hub = slurm_hub.hub
    hold_gpus()
    found: dict[str, list[list[str]]] = {}
    with window(slurm_hub, "accessible", "ivan") as page:
        pages = HubPages(page, slurm_hub)
        page.goto(f"{hub.url}/hub/login")
        found["login"] = faults(page)
        pages.sign_in("ivan")
        found["home"] = faults(page)
        page.get_by_role("link", name="Change…").click()
        page.get_by_label("Custom", exact=True).check()
        found["form"] = faults(page)
        page.goto(f"{hub.url}/hub/home")
        pages.choose("One GPU")
        expect(page.locator('[data-fact="place"]')).to_be_visible()
        page.get_by_text("Details").click()
        found["waiting"] = faults(page)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("You cancelled it at")).to_be_visible()
        page.get_by_text("Its last lines", exact=True).click()
        found["home with an end"] = faults(page)
        page.goto(f"{hub.url}/hub/spawn-pending/ivan")
        expect(page.locator("#ended-sentence")).to_be_visible()
        page.get_by_text("Its last lines", exact=True).click()
        found["ended"] = faults(page)
    assert {name: one for name, one in found.items() if one} == {}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        ("() => { document.querySelector('#username_input').removeAttribute('id'); }", "label"),
        ("() => { document.querySelector('h1').style.color = '#ddd'; }", "color-contrast"),
    ],
)
def test_a_fault_would_be_found(local_hub: Case, spoil: str, fault: str):
    with window(local_hub, "accessible-spoilt", "alice") as page:
        page.goto(f"{local_hub.hub.url}/hub/login")
        page.evaluate(spoil)
        assert fault in [one[2] for one in faults(page)]
