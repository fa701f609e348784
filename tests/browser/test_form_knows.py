"""The start form on a real Slurm: what is free, what it costs, when it starts, and what starts now instead."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case

from .chromium import window
from .hub_pages import CLOCK, HubPages
from .pictures import picture

pytestmark = [pytest.mark.browser, pytest.mark.slurm]


@pytest.fixture
def page(slurm_hub: Case) -> Iterator[Page]:
    with window(slurm_hub, "form-knows", "erin") as page:
        HubPages(page, slurm_hub).sign_in("erin")
        yield page


def form(page: Page, case: Case, query: str = "") -> None:
    page.goto(f"{case.hub.url}/hub/spawn/erin{query}")


def test_a_free_machine_is_told_with_cost_and_starts_now(slurm_hub: Case, page: Page):
    form(page, slurm_hub)
    page.get_by_label("One GPU", exact=True).check()
    outlook = page.locator("#outlook")
    expect(outlook).to_contain_text("Starts now.")
    expect(outlook).to_contain_text(
        re.compile(r"Costs \d+ of the 200 GPU-hours that vision has left\.")
    )
    expect(page.get_by_text("Project vision: 200 of 200 GPU-hours left")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Free now: .*A100 4 of 4, L40 2 of 2"))).to_be_visible()
    expect(page.get_by_text(re.compile("^[1-9] free now$")).first).to_be_visible()
    picture(page, "form", whole=True)


def test_what_is_busy_says_when_and_one_click_takes_what_is_free(
    slurm_hub: Case, hold_gpus, page: Page
):
    hold_gpus()
    form(page, slurm_hub, "?gpus=1&gpu_type=a100&cpus=2&memory=1+GB&partition=gpu")
    outlook = page.locator("#outlook")
    expect(outlook).to_contain_text(re.compile(rf"Starts about {CLOCK}, as things stand\."))
    take = page.get_by_role("button", name=re.compile("L40.* is free now: take that"))
    expect(take).to_be_visible()
    # What the page said before may be 45 s old, and must not stand beside a start in half an hour.
    expect(page.get_by_text(re.compile("Free now: .*A100 0 of 4, L40 2 of 2"))).to_be_visible()
    card = page.locator(".sf-card").filter(has=page.get_by_label("One GPU", exact=True))
    # An estimate that is half a minute old does not know yet when.
    expect(card.locator(".sf-room")).to_have_text(re.compile(rf"^(none free now|about {CLOCK})$"))
    picture(page, "form-busy", whole=True)
    take.click()
    expect(page.locator("#field-gpu_type")).to_have_value("l40")
    expect(outlook).to_contain_text("Starts now.")


def test_a_page_that_nobody_touches_asks_the_scheduler_nothing_more(slurm_hub: Case, page: Page):
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "outlook" in one.url else None)
    form(page, slurm_hub)
    expect(page.locator("#outlook")).to_contain_text("Starts")
    # Cards of which nothing is free ask as well, one after the other.
    page.wait_for_load_state("networkidle")
    before = len(asked)
    page.wait_for_timeout(3000)
    assert len(asked) == before >= 1
