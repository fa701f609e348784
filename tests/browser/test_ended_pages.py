"""How servers end on a real Slurm, as Home and their own page tell it, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case, end_case, slurm_case
from tests.harness import wait_until

from .chromium import window
from .hub_pages import CLOCK, HubPages
from .pictures import picture

pytestmark = [pytest.mark.browser, pytest.mark.slurm]

PERSON = "heidi"
END_MS = 60_000

# Software that prints what must not be read by others, and then fails.
BROKEN = """
c.ShopfloorSpawner.make_command = lambda request: ["/bin/bash", "-c",
    "echo JUPYTERHUB_API_TOKEN=$JUPYTERHUB_API_TOKEN; exec /usr/bin/python3 -c 'import no_such_module'"]
"""


@pytest.fixture
def page(slurm_hub: Case) -> Iterator[Page]:
    with window(slurm_hub, "ended", PERSON) as page:
        HubPages(page, slurm_hub).sign_in(PERSON)
        yield page
    slurm_hub.hub.stop_server(PERSON)
    for job in her_jobs(slurm_hub):
        slurm_hub.cluster.wait_for_job(job)


def her_jobs(case: Case) -> list[str]:
    return [job["id"] for job in case.cluster.jobs() if job["user"] == PERSON]


def ready(case: Case, options: dict[str, Any]) -> str:
    """Start her server; returns the id of its job once it is ready."""
    case.hub.start_server(PERSON, options)
    case.hub.wait_server(PERSON)
    [job] = her_jobs(case)
    return job


def own_page(page: Page, case: Case, sentence: str) -> None:
    """Her server's page, once it tells its end."""
    wait_until(lambda: case.hub.server(PERSON) is None, END_MS / 1000, "her server has ended")
    page.goto(f"{case.hub.url}/hub/spawn-pending/{PERSON}")
    expect(page.locator("#ended-sentence")).to_have_text(re.compile(sentence))


def home_says(page: Page, case: Case, sentence: str) -> None:
    page.goto(f"{case.hub.url}/hub/home")
    row = page.get_by_role("region", name="Ended today").get_by_role("listitem").first
    expect(row).to_contain_text(re.compile(sentence))
    expect(row.get_by_role("link", name="Try again")).to_be_visible()


def test_out_of_memory(slurm_hub: Case, page: Page):
    slurm_hub.hub.start_server(PERSON, {"preset": "small-cpu", "memory": "64M"})
    sentence = rf"Ran out of memory at {CLOCK}: asked 64 MB, used all of it\."
    own_page(page, slurm_hub, sentence)
    expect(page.get_by_role("button", name="Start again with 128 MB")).to_be_visible()
    picture(page, "ended")
    home_says(page, slurm_hub, sentence)
    picture(page, "home-ended")
    page.get_by_role("link", name="Try again").first.click()
    expect(page.get_by_label(re.compile("^Memory"))).to_have_value("128 MB")


def test_cancelled_from_outside(slurm_hub: Case, page: Page):
    job = ready(slurm_hub, {"preset": "small-cpu"})
    slurm_hub.cluster.run(["scancel", job], check=True)
    own_page(page, slurm_hub, rf"^Cancelled at {CLOCK} outside Shopfloor\.$")
    expect(page.get_by_text("Your saved files are safe.")).to_be_visible()
    picture(page, "ended-outside")
    home_says(page, slurm_hub, "outside Shopfloor")


def test_a_lost_node(slurm_hub: Case, page: Page):
    job = ready(slurm_hub, {"preset": "small-cpu"})
    [node] = [one["nodes"] for one in slurm_hub.cluster.jobs() if one["id"] == job]
    # A node that answers again is taken back by Slurm itself (ReturnToService).
    down = ["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test"]
    slurm_hub.cluster.run(down, check=True)
    own_page(page, slurm_hub, rf"^{node} stopped answering at {CLOCK}\.$")
    expect(page.get_by_text("What was only in the memory of a notebook is gone.")).to_be_visible()
    picture(page, "ended-node")
    resume = ["scontrol", "update", f"NodeName={node}", "State=RESUME"]
    slurm_hub.cluster.run(resume)


@pytest.mark.fault_long(120)
def test_the_time_limit(slurm_hub: Case, page: Page):
    ready(slurm_hub, {"preset": "small-cpu", "time": "1m"})
    wait_until(lambda: slurm_hub.hub.server(PERSON) is None, 180, "the limit ended it", pause=1)
    own_page(page, slurm_hub, rf"^Ended at its time limit of 1 min, at {CLOCK}\.$")
    expect(page.get_by_role("button", name="Start again with 2 min")).to_be_visible()
    picture(page, "ended-limit")


@pytest.fixture
def cpu_nodes_for_others(slurm_hub: Case) -> Iterator[None]:
    """An administrator closes a partition to her project, which the offer does not know."""
    update = ["scontrol", "update", "PartitionName=cpu"]
    slurm_hub.cluster.run([*update, "AllowAccounts=vision"], check=True)
    yield
    slurm_hub.cluster.run([*update, "AllowAccounts=ALL"], check=True)


def test_a_submission_that_slurm_refuses(slurm_hub: Case, page: Page, cpu_nodes_for_others: None):
    HubPages(page, slurm_hub).open_the_default()
    # On the form when Slurm answers within a second, else on her server's page.
    expect(page.get_by_text("Invalid account").first).to_be_visible()
    home_says(page, slurm_hub, rf"Not started at {CLOCK}\. Project: Invalid account")
    row = page.get_by_role("region", name="Ended today").get_by_role("listitem").first
    expect(row).to_contain_text("ask your administrator to add you to one in Slurm")
    picture(page, "ended-refused")


def test_broken_software_shows_its_last_lines_without_secrets(slurm_cluster: Any, software: Path):
    case = slurm_case(slurm_cluster, software, config=BROKEN)
    try:
        with window(case, "ended-broken", PERSON) as page:
            HubPages(page, case).sign_in(PERSON)
            HubPages(page, case).open_the_default()
            told = page.get_by_text(re.compile(rf"The software could not be started at {CLOCK}"))
            expect(told.first).to_be_visible(timeout=END_MS)
            page.goto(f"{case.hub.url}/hub/spawn-pending/{PERSON}")
            page.get_by_text("Its last lines", exact=True).click()
            log = page.locator(".sf-details pre")
            expect(log).to_contain_text("No module named 'no_such_module'")
            expect(log).to_contain_text("JUPYTERHUB_API_TOKEN=…")
            picture(page, "ended-software")
            with page.expect_download() as download:
                page.get_by_role("link", name="Download").click()
            assert re.fullmatch(
                r"shopfloor-server-[0-9a-f]{16}\.zip", download.value.suggested_filename
            )
    finally:
        end_case(case)
