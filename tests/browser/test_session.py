"""The server's own job as a person in Lab sees it, on one machine: the countdown, the warnings, and the idle end."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.cases import Case, end_case, local_case
from tests.harness import wait_until

from .chromium import RESULTS, ROOT, window
from .hub_pages import HubPages
from .lab_pages import Lab, Notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

AFTER, WARNING = 14, 7  # seconds
IN_DOCS = ("session-warning", "session-idle", "session-memory")
SITE = f"""\
[idle]
after = "{AFTER}s"
warning = "{WARNING}s"
[[presets]]
name = "usual"
label = "Usual"
memory = "2G"
time = "2h"
idle = 0
[[presets]]
name = "idle"
label = "Idle"
memory = "2G"
time = "2h"
[[presets]]
name = "minute"
label = "Minute"
memory = "2G"
time = "1m"
idle = 0
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = local_case(tmp_path_factory.mktemp("session"), SITE)
    yield case
    end_case(case)


def shoot(page: Page, name: str) -> None:
    """Leave a picture in the results, and on demand those that the docs show there."""
    page.screenshot(path=RESULTS / f"{name}.png")
    if os.environ.get("SHOPFLOOR_SCREENSHOT") and name in IN_DOCS:
        shutil.copyfile(RESULTS / f"{name}.png", ROOT / "docs" / f"{name}.png")


@contextmanager
def lab_of(hub: Case, person: str, story: str, preset: str) -> Iterator[Lab]:
    """Lab in a server that was started with this preset, and is stopped afterwards; each story is another person's."""
    try:
        with window(hub, story, person) as page:
            pages = HubPages(page, hub)
            pages.sign_in(person)
            pages.choose(preset)
            pages.wait_for_lab(person)
            yield Lab(page)
    finally:
        hub.hub.stop_server(person)
        hub.wait_no_jobs()


def exit_records(hub: Case, person: str) -> list[dict[str, Any]]:
    found = hub.home(person).glob(".local/share/shopfloor/jobs/*/exit-0.json")
    return [json.loads(path.read_text()) for path in found]


def wait_ended(hub: Case, person: str, cause: str) -> None:
    wait_until(
        lambda: [one for one in exit_records(hub, person) if one["cause"] == cause],
        60,
        f"a job's record says that it {cause}",
    )


def unsaved(lab: Lab, notebook: Notebook) -> None:
    """Leave something in its last cell that is in no file."""
    notebook.panel.locator(".jp-Cell.jp-mod-active .cm-content").click()
    lab.page.keyboard.insert_text("answer = 42")
    expect(lab.page.locator(".lm-DockPanel-tabBar .lm-mod-current")).to_have_class(
        re.compile("jp-mod-dirty")
    )


def saved_sources(hub: Case, person: str) -> str:
    return "".join(path.read_text() for path in hub.home(person).glob("*.ipynb"))


def test_time_left_and_use_stand_in_the_status_bar(hub: Case):
    with lab_of(hub, "alice", "session-use", "Usual") as lab:
        item = lab.page.get_by_test_id("shopfloor-session")
        expect(item).to_contain_text(
            re.compile(r"1 h 5[89] min left.*CPU \d\.\d/1.*Memory [\d.]+/2 GB")
        )
        item.focus()
        lab.page.keyboard.press("Enter")
        details = lab.page.get_by_role("dialog", name="Time left and use")
        expect(details).to_contain_text(re.compile(r"Memory[\d.]+ of 2 GB"))
        expect(details).to_contain_text("Closing the tab does not stop it.")
        shoot(lab.page, "session-use")
        lab.page.keyboard.press("Tab")
        expect(details.get_by_role("button", name="Save all")).to_be_focused()
        lab.page.keyboard.press("Escape")
        expect(details).to_have_count(0)
        expect(item).to_be_focused()

        notebook = lab.new_notebook()
        # The runner ends a job of this scheduler above its memory, so stay below.
        notebook.run_cell("held = bytearray(b'x') * (1720 << 20); print('held')")
        high = item.locator('[data-level="high"]')
        expect(high).to_have_text(re.compile(r"^Memory 1\.[89]/2 GB$"), timeout=30_000)
        item.click()
        expect(details).to_contain_text("of 2 GB; above it this server is ended")
        shoot(lab.page, "session-memory")


def test_the_end_is_counted_down_warned_of_once_and_everything_is_saved(hub: Case):
    with lab_of(hub, "bob", "session-minute", "Minute") as lab:
        page = lab.page
        left = page.get_by_test_id("shopfloor-time-left")
        expect(left).to_have_text(re.compile(r"^0:[0-5]\d left$"))
        first = left.inner_text()
        unsaved(lab, lab.new_notebook())
        expect(left).not_to_have_text(first)
        warning = page.locator(".Toastify__toast", has_text="JupyterLab ends at")
        expect(warning).to_have_count(1, timeout=40_000)
        assert warning.get_attribute("role") == "alert" or warning.locator('[role="alert"]').count()
        expect(left).to_have_attribute("data-level", "high")
        save_all = warning.get_by_role("button", name="Save all")
        save_all.hover()  # returns when it no longer moves
        shoot(page, "session-warning")
        save_all.click()
        expect(page.locator(".Toastify__toast", has_text="Saved 1 document.")).to_be_visible()
        assert "answer = 42" in saved_sources(hub, "bob")
        wait_ended(hub, "bob", "reached its time limit of 1 min")


def test_an_idle_server_warns_is_kept_and_is_not_ended_while_a_cell_runs(hub: Case):
    with lab_of(hub, "trainer", "session-idle", "Idle") as lab:
        page = lab.page
        notebook = lab.new_notebook()
        line = page.get_by_test_id("shopfloor-idle")
        expect(line).to_have_text(
            re.compile(
                r"^Nothing has run for \d+ s\. This server ends in 0:0\d to free its place for others\.$"
            ),
            timeout=30_000,
        )
        shoot(page, "session-idle")
        shown = line.inner_text()
        expect(line).not_to_have_text(shown)
        page.get_by_role("button", name="Keep it").click()
        expect(line).to_have_count(0)

        notebook.panel.locator(".jp-Cell.jp-mod-active .cm-content").click()
        page.keyboard.insert_text(f"import time; time.sleep({2 * AFTER}); print('done')")
        page.keyboard.press("Shift+Enter")
        printed = notebook.panel.locator(".jp-OutputArea-output", has_text="done")
        expect(printed.or_(line).first).to_be_visible(timeout=4 * AFTER * 1000)
        expect(printed).to_be_visible()

        unsaved(lab, notebook)
        expect(line).to_be_visible(timeout=30_000)
        ended = page.get_by_text(f"This server ended after {AFTER} s without work")
        expect(ended.first).to_be_attached(timeout=30_000)
        shoot(page, "session-ended")
        assert "answer = 42" in saved_sources(hub, "trainer")
        wait_ended(hub, "trainer", f"ended after {AFTER} s without work")
        page.get_by_role("link", name="Start again").click()
        told = page.get_by_text(re.compile(rf"^Ended at \S+ after {AFTER} s without work\."))

        def told_on_home() -> bool:
            page.goto(f"{hub.hub.url}/hub/home")
            return told.is_visible()

        wait_until(told_on_home, 60, "the hub tells of the end on Home", pause=1)
        shoot(page, "session-home")
