"""The form that starts a Dask cluster, in Chromium: software held against the notebook's, outlook, script, presets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, expect

from tests.cases import Case, end_case, local_case
from tests.lab.kernel_parts import install, make_environment, spec

from .axe import serious_faults
from .chromium import RESULTS, window
from .hub_pages import HubPages
from .lab_pages import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SITE = """\
[idle]
after = 0
[[presets]]
name = "small"
label = "Small"
cpus = 1
memory = "1G"
time = "2h"
"""


# As on a busy machine: the next frame comes before React has drawn what it was told to. A frame that is asked for
# within a frame is a real one.
FRAMES_COME_FIRST = """() => {
  const frame = window.requestAnimationFrame.bind(window);
  let within = false;
  window.requestAnimationFrame = run => {
    if (within) return frame(run);
    queueMicrotask(() => {
      within = true;
      try { run(performance.now()); } finally { within = false; }
    });
    return 0;
  };
}"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = local_case(tmp_path_factory.mktemp("form"), SITE)
    made = tmp_path_factory.mktemp("environments")
    data = case.home("alice") / ".local" / "share" / "jupyter"
    install(data, "other", spec(make_environment(made / "o", pandas="2.3.3"), label="Other"))
    unlike = make_environment(made / "u", distributed="2025.1.0")
    install(data, "unlike", spec(unlike, label="Unlike"))
    yield case
    end_case(case)


@contextmanager
def form(hub: Case, person: str, story: str) -> Iterator[tuple[Lab, Locator]]:
    """The form, opened beside a notebook with Python 3; each story is another person's, for Lab restores its tabs."""
    try:
        with window(hub, story, person) as page:
            pages = HubPages(page, hub)
            pages.sign_in(person)
            pages.choose("Small")
            pages.wait_for_lab(person)
            lab = Lab(page)
            lab.new_notebook()
            lab.jobs().ask_for_cluster()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_be_visible()
            page.evaluate(FRAMES_COME_FIRST)
            yield lab, dialog
    finally:
        hub.hub.stop_server(person)
        hub.cancel_all()
        hub.wait_no_jobs()


def test_a_cluster_is_asked_for_with_all_that_there_is_to_know(hub: Case):
    with form(hub, "alice", "cluster-form") as (lab, dialog):
        page = lab.page
        software = dialog.get_by_test_id("shopfloor-software")
        expect(software).to_contain_text(re.compile(r"Python 3\.\d+\.\d+, dask 20\d\d"))
        expect(software).not_to_contain_text("Versions differ")
        outlook = dialog.get_by_test_id("shopfloor-outlook")
        expect(outlook).to_contain_text("The first worker can start now.")
        expect(dialog.get_by_test_id("shopfloor-preset-small")).to_contain_text("free now")

        kernel = dialog.get_by_label("Software")
        kernel.select_option("other")
        expect(software).to_contain_text("Versions differ, which mostly works. pandas: ")
        expect(software).to_contain_text("2.3.3 on the workers (“Other”)")
        kernel.select_option("unlike")
        expect(software).to_contain_text("They cannot read each other's messages. distributed: ")
        dialog.get_by_role("button", name="Start cluster").click()
        expect(kernel).to_have_attribute("aria-invalid", "true")
        expect(kernel).to_be_focused()
        expect(dialog.locator("#shopfloor-problem-kernel")).to_contain_text("2025.1.0")
        kernel.select_option("other")
        expect(kernel).to_have_attribute("aria-invalid", "false")

        dialog.get_by_text("What is submitted").click()
        script = dialog.get_by_test_id("shopfloor-script")
        expect(script).to_contain_text("distributed.cli.dask_worker")
        expect(script).to_contain_text("shopfloor_lab.clusters.controller")
        expect(script).to_contain_text("--nthreads 1")
        page.screenshot(path=RESULTS / "cluster-form.png")
        found = serious_faults(page, ".jp-Dialog")
        assert found == [], json.dumps(found, indent=1)
        dialog.get_by_text("What is submitted").click()

        dialog.get_by_label("Name (optional)").fill("mine")
        dialog.get_by_label(re.compile(r"^Workers \(1.128\)")).fill("1")
        dialog.get_by_role("button", name="Start cluster").click()
        expect(dialog).to_have_count(0)
        jobs = lab.jobs()
        jobs.wait_connected(1)
        jobs.stop_cluster()


def test_a_preset_of_ones_own_is_saved_by_keyboard_chosen_and_deleted(hub: Case):
    with form(hub, "bob", "cluster-presets") as (lab, dialog):
        keyboard = lab.page.keyboard
        dialog.get_by_test_id("shopfloor-preset-custom").click()
        dialog.get_by_label(re.compile("^Memory")).fill("1500 MB")
        name = dialog.get_by_label("Keep these values as a preset")
        name.fill("a/b")
        keyboard.press("Enter")
        expect(dialog.locator("#shopfloor-problem-presetName")).to_contain_text("1 to 40 letters")
        name.fill("Bigger")
        keyboard.press("Tab")
        expect(dialog.get_by_role("button", name="Save as preset")).to_be_focused()
        keyboard.press("Enter")
        card = dialog.get_by_test_id("shopfloor-preset-own:Bigger")
        expect(card.get_by_role("radio")).to_be_checked()
        expect(card).to_contain_text("1 CPU, 1.5 GB for 2 h")
        delete = dialog.get_by_role("button", name="Delete the preset “Bigger”")
        delete.focus()
        keyboard.press("Enter")
        expect(card).to_have_count(0)
        expect(dialog).to_be_visible()
        keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(lab.jobs().cluster).to_have_count(0)
