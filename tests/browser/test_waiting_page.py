"""The waiting page on a real Slurm: reason, place, cancel, change, being told, and a hub that goes away meanwhile."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case
from tests.harness import wait_until

from .chromium import window
from .hub_pages import CLOCK, HubPages
from .pictures import picture

pytestmark = [pytest.mark.browser, pytest.mark.slurm]

PERSON = "grace"
SLURM_MS = 60_000  # Slurm looks at its queue when it has time

# What the page asks the browser to show; the browser itself shows nothing without a desktop.
RECORD_NOTIFICATIONS = """
window.Notification = class extends window.Notification {
  constructor(title, options) {
    super(title, options);
    const told = JSON.parse(localStorage.getItem("told") ?? "[]");
    localStorage.setItem("told", JSON.stringify([...told, title]));
  }
};
"""


@pytest.fixture
def page(slurm_hub: Case) -> Iterator[Page]:
    with window(slurm_hub, "waiting", PERSON) as page:
        page.context.grant_permissions(["notifications"], origin=slurm_hub.hub.url)
        page.add_init_script(RECORD_NOTIFICATIONS)
        HubPages(page, slurm_hub).sign_in(PERSON)
        yield page


@pytest.fixture(autouse=True)
def nothing_left(slurm_hub: Case) -> Iterator[None]:
    yield
    slurm_hub.hub.stop_server(PERSON)
    slurm_hub.wait_no_jobs()


def her_jobs(case: Case) -> list[str]:
    return [job["id"] for job in case.cluster.jobs() if job["user"] == PERSON]


def ask_for_a_gpu(page: Page, case: Case) -> None:
    HubPages(page, case).choose("One GPU")
    expect(page.locator("#waiting-sentence")).to_have_text("Waiting for a free A100")


def test_the_reason_changes_from_priority_to_resources_to_running(
    slurm_hub: Case, page: Page, hold_gpus
):
    running, before = hold_gpus(), hold_gpus("PENDING")
    ask_for_a_gpu(page, slurm_hub)
    why, place = page.locator("#waiting-why"), page.locator('[data-fact="place"]')
    expect(why).to_have_text("Others are before it.", timeout=SLURM_MS)
    expect(place).to_have_text("Place 2")
    expect(page.locator('[data-fact="asked"]')).to_have_text(re.compile(rf"^asked {CLOCK}$"))
    expect(page.locator('[data-fact="elapsed"]')).to_be_visible()
    expect(page.get_by_text("You may close this page.")).to_be_visible()
    # Slurm estimates a start where it knows when the jobs before end: here 30 min and again 30 min.
    expect(page.locator('[data-fact="expected"]')).to_be_visible(timeout=SLURM_MS)
    picture(page, "waiting")
    slurm_hub.cluster.run(["scancel", before], check=True)
    expect(why).to_have_text("What it needs is in use.", timeout=SLURM_MS)
    expect(place).to_have_text("Place 1")
    assert page.title().startswith("Place 1 · Waiting for a free A100")
    page.get_by_text("Details").click()
    expect(page.locator("#waiting-log")).to_contain_text("Resources")
    # Being told is asked for by a click, and comes when it is ready.
    tell = page.get_by_role("button", name="Tell me when it starts")
    tell.click()
    expect(page.get_by_role("button", name="You will be told when it starts")).to_be_visible()
    slurm_hub.cluster.run(["scancel", running], check=True)
    HubPages(page, slurm_hub).wait_for_lab(PERSON)
    told = page.evaluate("localStorage.getItem('told')")
    assert told == '["JupyterLab is ready"]'


def test_cancel_while_it_waits(slurm_hub: Case, page: Page, hold_gpus):
    hold_gpus()
    ask_for_a_gpu(page, slurm_hub)
    assert len(her_jobs(slurm_hub)) == 1
    page.get_by_role("button", name="Cancel").click()
    ended = page.get_by_role("region", name="Ended today")
    expect(ended.get_by_role("listitem").first).to_contain_text("You cancelled it at")
    assert her_jobs(slurm_hub) == []
    picture(page, "cancelled")


def test_change_asks_again_and_nothing_runs_twice(slurm_hub: Case, page: Page, hold_gpus):
    hold_gpus()
    ask_for_a_gpu(page, slurm_hub)
    [first] = her_jobs(slurm_hub)
    page.get_by_role("button", name="Change…").click()
    expect(page.get_by_label("One GPU", exact=True)).to_be_checked()
    assert her_jobs(slurm_hub) == []
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#waiting-sentence")).to_have_text("Waiting for a free A100")
    [second] = her_jobs(slurm_hub)
    assert second != first


def test_one_click_takes_what_is_free_now_and_nothing_runs_twice(
    slurm_hub: Case, page: Page, hold_gpus
):
    hold_gpus()
    ask_for_a_gpu(page, slurm_hub)
    switch = page.get_by_role(
        "button", name=re.compile(r"^1 L40, 2 CPUs, 3 GB .* is free now: switch$")
    )

    def offered() -> bool:
        # What the hub knows of free hardware may be 10 s old.
        page.reload()
        page.wait_for_timeout(1500)
        return switch.is_visible()

    wait_until(offered, 75, "the L40 is offered")
    picture(page, "waiting-switch")
    [before] = her_jobs(slurm_hub)
    switch.click()
    wait_until(
        lambda: her_jobs(slurm_hub) not in ([], [before]), 60, "another job of hers is there"
    )
    slurm_hub.hub.wait_server(PERSON)
    hers = [job for job in slurm_hub.cluster.jobs() if job["user"] == PERSON]
    assert [job["nodes"] for job in hers] == ["gpu02"]


def test_a_page_says_when_the_hub_is_away_and_goes_on_when_it_is_back(
    slurm_hub: Case, page: Page, hold_gpus
):
    hold_gpus()
    ask_for_a_gpu(page, slurm_hub)
    [job] = her_jobs(slurm_hub)
    slurm_hub.hub.kill_hub()
    lost = page.locator("#waiting-lost")
    expect(lost).to_be_visible()
    expect(lost).to_have_text(re.compile(rf"is lost \(since {CLOCK}\)\. Your job goes on"))
    picture(page, "waiting-lost")
    slurm_hub.hub.start_hub()
    expect(lost).to_be_hidden(timeout=SLURM_MS)
    expect(page.locator("#waiting-sentence")).to_have_text(
        "Waiting for a free A100", timeout=SLURM_MS
    )
    expect(page.locator('[data-fact="place"]')).to_have_text("Place 1", timeout=SLURM_MS)
    assert her_jobs(slurm_hub) == [job]


def test_a_page_says_since_when_slurm_does_not_answer(slurm_hub: Case, page: Page, hold_gpus):
    hold_gpus()
    ask_for_a_gpu(page, slurm_hub)
    place, trouble = page.locator('[data-fact="place"]'), page.locator("#waiting-trouble")
    expect(place).to_have_text("Place 1", timeout=SLURM_MS)
    controller = int((slurm_hub.cluster.layout.run / "pid" / "slurmctld.slurm").read_text())
    os.kill(controller, signal.SIGSTOP)
    try:
        expect(trouble).to_be_visible(timeout=SLURM_MS)
        expect(trouble).to_have_text(
            re.compile(rf"Slurm does not answer \(since {CLOCK}\)\. Your job goes on")
        )
        # What was known before is still there.
        expect(place).to_have_text("Place 1")
        picture(page, "waiting-trouble")
    finally:
        os.kill(controller, signal.SIGCONT)
    expect(trouble).to_be_hidden(timeout=SLURM_MS)
