"""Home with everything that a person has running on a real Slurm: it follows by itself, and stops what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from shopfloor_jobs.job import kind_of

from tests.cases import Case
from tests.cluster import neighbour
from tests.stand_ins import stand_in

from .axe import faults
from .chromium import window
from .hub_pages import CLOCK, HubPages
from .pictures import picture

pytestmark = [pytest.mark.browser, pytest.mark.slurm]

PERSON = "ivan"
SLURM_MS = 60_000  # Slurm looks at its queue when it has time
GPU = ["--partition=gpu", "--gres=gpu:a100:1"]
RUNS = rf"Running on \w+ · ends {CLOCK}"


@pytest.fixture
def page(slurm_hub: Case) -> Iterator[Page]:
    with window(slurm_hub, "home-jobs", PERSON) as page:
        HubPages(page, slurm_hub).sign_in(PERSON)
        yield page
    slurm_hub.hub.stop_server(PERSON)
    slurm_hub.cancel_all()


def row(page: Page, words: str) -> Locator:
    running = page.get_by_role("region", name="Running")
    return running.get_by_role("listitem").filter(has_text=re.compile(words, re.DOTALL))


def press(page: Page, button: Locator) -> None:
    """As whoever has no mouse does."""
    button.focus()
    page.keyboard.press("Enter")


def test_what_runs_is_in_one_list_that_follows_by_itself(
    slurm_hub: Case, page: Page, hold_gpus: Callable[..., str]
):
    hold = hold_gpus()
    stand_in(slurm_hub, PERSON, "kernel")
    waiting = stand_in(slurm_hub, PERSON, "kernel", more=GPU)
    cluster = stand_in(slurm_hub, PERSON, "cluster")
    stand_in(slurm_hub, PERSON, "worker", cluster=cluster, count=2)
    slurm_hub.hub.start_server(PERSON, {"preset": "small-cpu", "memory": "512M"})
    slurm_hub.hub.wait_server(PERSON)
    page.goto(f"{slurm_hub.hub.url}/hub/home")
    expect(row(page, f"JupyterLab.*{RUNS} · 1 CPU")).to_be_visible(timeout=SLURM_MS)
    expect(row(page, f"Kernel.*{RUNS}")).to_be_visible(timeout=SLURM_MS)
    expect(row(page, r"Kernel.*Waiting: .* · place \d+")).to_be_visible(timeout=SLURM_MS)
    expect(row(page, f"Dask cluster.*2 workers · {RUNS}")).to_be_visible(timeout=SLURM_MS)
    picture(page, "home-running", whole=True)
    assert faults(page) == []
    page.evaluate("window.sameAsBefore = true")

    stop = page.locator(f"#stop-{waiting}")
    stop.focus()
    neighbour.release(slurm_hub.cluster, hold)
    expect(row(page, f"Kernel.*{RUNS}")).to_have_count(2, timeout=SLURM_MS)
    expect(stop).to_be_focused()
    expect(row(page, f"Kernel.*{RUNS}")).to_have_count(2)
    assert page.evaluate("window.sameAsBefore")

    press(page, stop)
    expect(row(page, "Kernel")).to_have_count(1, timeout=SLURM_MS)
    press(page, page.get_by_role("button", name="Stop Dask cluster"))
    expect(row(page, "Dask")).to_have_count(0, timeout=SLURM_MS)
    assert kinds(slurm_hub) == ["kernel", "server"]


def test_stopping_a_server_asks_about_its_kernels(slurm_hub: Case, page: Page):
    for _ in range(2):
        stand_in(slurm_hub, PERSON, "kernel")
    slurm_hub.hub.start_server(PERSON, {"preset": "small-cpu", "memory": "512M"})
    slurm_hub.hub.wait_server(PERSON)
    page.goto(f"{slurm_hub.hub.url}/hub/home")
    expect(row(page, f"Kernel.*{RUNS}")).to_have_count(2, timeout=SLURM_MS)
    press(page, page.get_by_role("button", name="Stop", exact=True))
    asked = "2 kernels run on as jobs of their own, and keep what is in their memory."
    expect(page.get_by_text(asked)).to_be_visible()
    picture(page, "stop")
    assert faults(page) == []
    press(page, page.get_by_role("link", name="Cancel"))
    expect(row(page, "JupyterLab")).to_contain_text("Running on")
    press(page, page.get_by_role("button", name="Stop", exact=True))
    press(page, page.get_by_role("button", name="Keep the kernels"))
    expect(page.get_by_role("button", name="Open JupyterLab")).to_be_visible(timeout=SLURM_MS)
    expect(row(page, f"Kernel.*{RUNS}")).to_have_count(2)


def kinds(case: Case) -> list[str]:
    """Of her jobs that Slurm has, in alphabetical order."""
    listed = case.cluster.run(["squeue", "--noheader", f"--user={PERSON}", "--format=%j"])
    return sorted(kind_of(name) for name in listed.stdout.split())
