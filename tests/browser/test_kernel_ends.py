"""A kernel on a node ends: told in the cell that it was computing, and in none that another kernel computes by then."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.cases import Case

from .chromium import RESULTS
from .lab_pages import LAB_MS, Lab, Notebook
from .lab_visit import visit
from .test_kernel_outputs import END_LATER, asked, base_url, begin, leave_file, prompt, reopened
from .test_kernel_story import open_on_a_node, run_here

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DIE = (
    "import os, time\nprint('computing')\ntime.sleep(2)\nos.kill(os.getppid(), 9)\ntime.sleep(100)"
)
# What ends a kernel interrupts its cell first, which may not hear that.
ENDLESS = """import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('on a node')
time.sleep(1000)"""
HERE = """import os, time
print('here')
while not os.path.exists('go-on-here'):
    time.sleep(0.05)
print('done')"""


def test_the_end_of_the_job_is_told_below_the_cell_that_it_was_computing(local_hub: Case):
    with visit(local_hub, "ends", "bob") as lab:
        page = lab.page
        notebook = open_on_a_node(lab)
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        notebook.save_as("ends.ipynb")
        begin(notebook, DIE)
        notebook.wait_printed("computing")
        expect(toolbar).to_have_attribute("data-state", "ended", timeout=LAB_MS)
        first = notebook.panel.locator(".jp-Cell").first
        expect(first.locator(".jp-OutputArea-output")).to_have_count(2)
        expect(first.locator(".jp-OutputArea-output").last).to_contain_text("Ended")
        expect(notebook.busy).to_have_count(0)
        told = page.locator(".Toastify__toast", has_text="The kernel of ends.ipynb has ended.")
        expect(told).to_have_count(1)
        page.screenshot(path=RESULTS / "kernel-ended.png")
        expect(page.get_by_role("dialog", name=re.compile("Error|Kernel"))).to_have_count(0)
        toolbar.get_by_role("button", name="Start again").click()
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        begin(notebook, "print(6 * 7)")
        notebook.wait_printed("42")

        begin(notebook, ENDLESS)
        notebook.wait_printed("on a node")
        notebook.save()
        is_told_why_it_is_not_restarted(lab)
        news = News(page)
        notebook = reopened(page, "ends.ipynb")
        is_stopped_while_it_is_followed(lab, notebook)
        ends_before_another_kernel_has_its_cell(lab, notebook, news)
        cannot_be_started_again_without_its_notebook(lab)


def is_told_why_it_is_not_restarted(lab: Lab) -> None:
    page = lab.page
    refusal = {"message": "The node of this kernel does not answer.", "reason": None}
    page.route(re.compile("/restart"), lambda one: one.fulfill(status=503, json=refusal), times=1)
    rows = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    row = rows.and_(page.locator('[data-state="running"]'))
    row.locator("button[aria-expanded]").click()
    row.get_by_role("button", name="Restart…").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(row).to_contain_text(refusal["message"])


def is_stopped_while_it_is_followed(lab: Lab, notebook: Notebook) -> None:
    """Nobody says why it ended, for a person did it: in a page that did not begin its cell."""
    page = lab.page
    expect(notebook.busy).to_have_count(1)
    row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    row.locator("button[aria-expanded]").click()
    row.get_by_role("button", name=re.compile("^Stop the kernel")).click()
    page.locator(".jp-Dialog").get_by_role("button", name="Stop it").click()
    expect(row).to_have_count(0)
    expect(notebook.busy).to_have_count(0)
    toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
    expect(toolbar.get_by_role("button", name="Here", exact=True)).to_be_visible()
    expect(toolbar.get_by_role("button", name="Run on Small CPU")).to_be_visible()
    expect(notebook.panel.get_by_text("No Kernel")).to_be_visible()
    page.screenshot(path=RESULTS / "kernel-stopped.png")
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def ends_before_another_kernel_has_its_cell(lab: Lab, notebook: Notebook, news: News) -> None:
    """The word of the end comes when the person has moved on."""
    page, base = lab.page, base_url(lab.page)
    toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
    toolbar.get_by_role("button", name="Run on Small CPU").click()
    expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
    begin(notebook, END_LATER.format(file="end-unheard"))
    notebook.wait_printed("begun True")
    begin(notebook, ENDLESS)
    notebook.wait_printed("on a node")
    news.hold()
    leave_file(page, base, "end-unheard")
    expect(notebook.panel.get_by_text("No Kernel")).to_be_visible(timeout=LAB_MS)
    run_here(page, toolbar)
    expect(toolbar.get_by_role("button", name="Here", exact=True)).to_be_visible(timeout=LAB_MS)
    begin(notebook, HERE)
    notebook.wait_printed("here")
    row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    with page.expect_response(re.compile(r"/job-kernels/[^/]+/runs")):
        news.tell()
    expect(row.and_(page.locator('[data-state="ended"]'))).to_have_count(1)
    first = notebook.panel.locator(".jp-Cell:has(.cm-content)").first
    expect(prompt(first)).to_have_text("[*]:")
    leave_file(page, base, "go-on-here")
    notebook.wait_printed("done")
    expect(first.locator(".jp-OutputArea-output")).to_have_text(["here\ndone\n"])
    expect(notebook.busy).to_have_count(0)
    # Of what it printed nothing has a place any more, which the server hears when the notebook is saved.
    with page.expect_response(lambda one: one.request.method == "DELETE" and "/runs" in one.url):
        notebook.save()


def cannot_be_started_again_without_its_notebook(lab: Lab) -> None:
    page = lab.page
    assert asked(page, "DELETE", f"{base_url(page)}api/contents/ends.ipynb").ok
    row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
    row.get_by_role("button", name="Start again…").click()
    told = page.locator(".Toastify__toast", has_text="ends.ipynb is not there any more")
    expect(told).to_have_count(1)


class News:
    """Of a person's kernels, to a page once it is loaded anew; it may be late."""

    def __init__(self, page: Page):
        self._is_held = False
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket(re.compile("/api/events/subscribe"), self._route)
        page.route(re.compile(r"/shopfloor/api/job-kernels(\?|$)"), self._answer)

    def _route(self, socket: WebSocketRoute) -> None:
        def hear(message: str | bytes) -> None:
            if self._is_held:
                self._held.append((socket, message))
            else:
                socket.send(message)

        socket.connect_to_server().on_message(hear)

    def _answer(self, route: Route) -> None:
        if self._is_held and route.request.method == "GET":
            route.abort()
        else:
            route.continue_()

    def hold(self) -> None:
        self._is_held = True

    def tell(self) -> None:
        self._is_held = False
        for socket, message in self._held:
            socket.send(message)
        self._held.clear()
