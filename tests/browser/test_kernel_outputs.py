"""What a kernel on a node prints while no page hears it is there afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from playwright.sync_api import APIResponse, Locator, Page, WebSocketRoute, expect

from tests.cases import Case
from tests.harness import wait_until

from .chromium import RESULTS
from .lab_pages import LAB_MS, Lab, Notebook
from .lab_visit import visit
from .test_kernel_story import open_on_a_node, stop_kernel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

LINES = 24
PRINT = (
    f"import time\nfor n in range({LINES}):\n    print('line', n, end=';')\n    time.sleep(0.5)\nn"
)
# As a job ends by whatever rule: not by the person, so that what it printed stays.
END_LATER = """import os, subprocess
wait = 'while [ ! -e %s ]; do sleep 0.1; done; kill %d' % ({file!r}, os.getppid())
print('begun', subprocess.Popen(['sh', '-c', wait]).pid > 0)"""
ASK = """import os, time
def wait_for(file):
    while not os.path.exists(file):
        time.sleep(0.05)
print('begun')
wait_for('go-on')
print('meanwhile')
wait_for('ask')
print('a question:')
who = input('who? ')
print('It is', who)
print('It was', input('and before? '))"""
HERE = "import time\nprint('begun')\ntime.sleep(2)\nprint('only here')"
ALL = "".join(f"line {n};" for n in range(LINES))
# A connection of another session's: Jupyter then throws away what it kept for the one that is cut.
FORGET_BUFFER = """kernel => new Promise(done => {
  const {baseUrl} = JSON.parse(document.getElementById('jupyter-config-data').textContent);
  const base = location.origin.replace('http', 'ws') + baseUrl;
  const other = new WebSocket(`${base}api/kernels/${kernel}/channels?session_id=other&free=1`);
  other.onmessage = () => { other.close(); done(); };
})"""

RECORDED = """async ([kernel, text]) => {
  const {baseUrl} = JSON.parse(document.getElementById('jupyter-config-data').textContent);
  const token = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
  const answer = await fetch(
    `${baseUrl}shopfloor/api/job-kernels/${kernel}/runs`, {headers: {'X-XSRFToken': token}}
  );
  const {runs} = await answer.json();
  return runs.some(run => JSON.stringify(run).includes(text));
}"""


def test_what_was_printed_meanwhile_is_there(local_hub: Case):
    with visit(local_hub, "outputs", "alice") as lab:
        page = lab.page
        notebook = open_on_a_node(lab)
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        notebook.save_as("long.ipynb")

        cut = Cut(page)
        notebook = reopened(page)  # whose websockets can be cut
        begin(notebook)
        notebook.wait_printed("line 2;")
        notebook.save()
        notebook = reopened(page)
        expect_all(notebook)

        begin(notebook)
        notebook.wait_printed("line 2;")
        cut.begin()
        page.evaluate(FORGET_BUFFER, cut.kernel)
        recorded(page, cut.kernel, "line 8;")
        cut.end()
        expect_all(notebook)

        begin(notebook)
        notebook.wait_printed("line 2;")
        cut.begin()
        page.evaluate(FORGET_BUFFER, cut.kernel)
        recorded(page, cut.kernel, '"state":"done"')
        cut.end()
        expect_all(notebook)

        notebook.save()
        is_not_put_into_a_copy(lab, notebook, cut)
        asks_after_a_cut(page, notebook, cut)
        notebook.save()
        ends_before_the_cut_is_known(page, notebook, cut)
        notebook.save()


def is_not_put_into_a_copy(lab: Lab, notebook: Notebook, cut: Cut) -> None:
    """One that has the same kernel, and cells with the same ids."""
    page = lab.page
    base = base_url(page)
    answer = asked(page, "POST", f"{base}api/contents", {"copy_from": "long.ipynb"})
    name = answer.json()["name"]
    session = {"path": name, "name": name, "type": "notebook", "kernel": {"id": cut.kernel}}
    assert asked(page, "POST", f"{base}api/sessions", session).ok
    copy = lab.open_file(name)
    expect_all(copy)
    tabs = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab")
    tabs.filter(has_text="long.ipynb").click()
    begin(notebook, HERE)
    notebook.wait_printed("begun")
    cut.begin()
    page.evaluate(FORGET_BUFFER, cut.kernel)
    recorded(page, cut.kernel, "only here")
    looks: list[str] = []
    page.on("response", lambda one: looks.append(one.url) if "/runs" in one.url else None)
    cut.end()
    notebook.wait_printed("only here")
    expect(notebook.busy).to_have_count(0)
    while len(looks) < 2:  # one of either notebook
        page.wait_for_timeout(100)
    tabs.filter(has_text=name).click()
    expect_all(copy)
    tabs.filter(has_text="long.ipynb").click()


def asks_after_a_cut(page: Page, notebook: Notebook, cut: Cut) -> None:
    base = base_url(page)
    begin(notebook, ASK)
    notebook.wait_printed("begun")
    cut.begin()
    leave_file(page, base, "go-on")
    recorded(page, cut.kernel, "begun\\nmeanwhile\\n")
    cut.end()
    notebook.wait_printed("meanwhile")  # which the page has from the record
    leave_file(page, base, "ask")
    asks = notebook.panel.locator(".jp-Stdin")
    expect(asks).to_contain_text("who?", timeout=20_000)
    notebook.wait_printed("a question:")
    asks.locator("input").fill("Ada")
    asks.locator("input").press("Enter")
    again = asks.filter(has_text="and before?")
    expect(again).to_be_visible(timeout=20_000)
    notebook.wait_printed("It is Ada")
    again.locator("input").fill("Grace")
    again.locator("input").press("Enter")
    notebook.wait_printed("It was Grace")
    expect(notebook.busy).to_have_count(0)
    expect(asks).to_have_count(0)


def ends_before_the_cut_is_known(page: Page, notebook: Notebook, cut: Cut) -> None:
    """As for a laptop that wakes: the word of the end is there before its own websocket knows that it is cut."""
    base = base_url(page)
    begin(notebook, END_LATER.format(file="end-unheard"))
    notebook.wait_printed("begun True")
    begin(notebook)
    notebook.wait_printed("line 2;")
    cut.is_deaf = True
    until(
        page,
        f"{base}shopfloor/api/job-kernels/{cut.kernel}/runs",
        f'"text/plain": "{LINES - 1}"',
    )
    leave_file(page, base, "end-unheard")
    toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
    expect(toolbar).to_have_attribute("data-state", "ended", timeout=LAB_MS)
    expect_all(notebook)


def test_what_a_kernel_printed_that_ended_while_no_page_was_open_is_there(local_hub: Case):
    with visit(local_hub, "ended-unseen", "trainer") as lab:
        page = lab.page
        notebook = open_on_a_node(lab)
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        notebook.save_as("long.ipynb")
        cut = Cut(page)
        notebook = reopened(page)
        begin(notebook, END_LATER.format(file="end-unseen"))
        notebook.wait_printed("begun True")
        begin(notebook)
        notebook.wait_printed("line 2;")
        notebook.save()

        address, base = page.url, base_url(page)
        page.goto("about:blank")
        kernels = f"{base}shopfloor/api/job-kernels"
        until(page, f"{kernels}/{cut.kernel}/runs", f'"text/plain": "{LINES - 1}"')
        leave_file(page, base, "end-unseen")
        until(page, kernels, '"state": "ended"')
        page.goto(address)
        lab = Lab(page, restored="long.ipynb")
        notebook = Notebook(page, page.locator(".jp-NotebookPanel:visible"))
        expect_all(notebook)

        # Before it is saved, what is recorded is the only copy; the notebook has another job meanwhile.
        row = lab.jobs().panel.get_by_test_id("shopfloor-job-kernel")
        ended = row.and_(page.locator('[data-state="ended"]'))
        page.screenshot(path=RESULTS / "kernel-ended-unseen.png")
        ended.get_by_role("button", name=re.compile("^Remove")).click()
        question = page.locator(".jp-Dialog")
        expect(question).to_contain_text("is in no saved notebook yet")
        page.screenshot(path=RESULTS / "kernel-remove.png")
        question.get_by_role("button", name="Cancel").click()
        expect(question).to_have_count(0)
        toolbar = notebook.panel.get_by_test_id("shopfloor-kernel")
        toolbar.get_by_role("button", name="Run on Small CPU").click()
        expect(toolbar).to_have_attribute("data-state", "running", timeout=LAB_MS)
        expect(ended).to_have_count(1)
        page.on("dialog", lambda dialog: dialog.accept())  # that it is not saved
        page.reload()
        lab = Lab(page, restored="long.ipynb")
        notebook = Notebook(page, page.locator(".jp-NotebookPanel:visible"))
        expect_all(notebook)
        # What stands in the file is less; a save without the rest would be the end of that.
        lab.command("Reload Notebook from Disk")
        old = notebook.panel.locator(".jp-Cell").first.element_handle()
        question.get_by_role("button", name="Reload").click()
        expect(question).to_have_count(0)
        # Until the file is read, the cells are those from before, which show everything too.
        page.wait_for_function("cell => !cell.isConnected", arg=old)
        expect_all(notebook)
        lab.jobs()  # where Lab did not write down yet that it was open
        expect(ended).to_have_count(1)
        notebook.save()
        expect(ended).to_have_count(0)
        expect_all(notebook)
        stop_kernel(lab)


def recorded(page: Page, kernel: str, text: str) -> None:
    """Wait until the kernel's job has noted this, whoever hears it."""
    page.wait_for_function(RECORDED, arg=[kernel, text], polling=250)


def base_url(page: Page) -> str:
    """Of the person's server, from a page of Lab's."""
    base = page.evaluate(
        "JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl"
    )
    return urljoin(page.url, base)


def asked(page: Page, method: str, url: str, body: object = None) -> APIResponse:
    """Of the person's server, from whichever page."""
    [token] = {
        one["value"]
        for one in page.context.cookies(url)
        if one["name"] == "_xsrf" and "/user/" in one["path"]
    }
    return page.context.request.fetch(
        url, method=method, data=body, headers={"X-XSRFToken": token, "Sec-Fetch-Mode": "cors"}
    )


def until(page: Page, url: str, text: str) -> None:
    """Ask the person's server until its answer holds this text."""
    wait_until(lambda: text in asked(page, "GET", url).text(), 60, f"{text} at {url}")


def leave_file(page: Page, base: str, name: str) -> None:
    """Where the notebooks are, and the kernel that waits for it."""
    body = {"type": "file", "format": "text", "content": ""}
    answer = asked(page, "PUT", f"{base}api/contents/{name}", body)
    assert answer.ok, answer.text()


class Cut:
    """Between a page, once it is loaded anew, and its kernels."""

    def __init__(self, page: Page):
        self.kernel = ""
        self.is_deaf = False  # it hears nothing, and does not know
        self._is_cut = False
        self._close: list[Callable[[], None]] = []
        page.route_web_socket(re.compile(r"/channels\?(?!.*free)"), self._route)

    def _route(self, socket: WebSocketRoute) -> None:
        self.kernel = socket.url.split("/kernels/")[1].split("/")[0]
        if self._is_cut:
            socket.close(code=4001)
            return
        server = socket.connect_to_server()

        def hear(message: str | bytes) -> None:
            if not self.is_deaf:
                socket.send(message)

        def hang_up(code: int | None, reason: str | None) -> None:
            if not self.is_deaf:
                socket.close(code=code, reason=reason)

        server.on_message(hear)
        server.on_close(hang_up)

        def close() -> None:
            server.close()
            socket.close(code=4001)

        self._close.append(close)

    def begin(self) -> None:
        self._is_cut = True
        for close in self._close:
            close()
        self._close.clear()

    def end(self) -> None:
        self._is_cut = False


def reopened(page: Page, name: str = "long.ipynb") -> Notebook:
    page.reload()
    Lab(page, restored=name)
    expect(page.get_by_test_id("shopfloor-kernel")).to_have_attribute(
        "data-state", "running", timeout=LAB_MS
    )
    return Notebook(page, page.locator(".jp-NotebookPanel:visible"))


def begin(notebook: Notebook, source: str = PRINT) -> None:
    """In the first cell, which is run again. Lab may leave an empty one before it that nobody sees when it loads."""
    first = notebook.panel.locator(".jp-Cell:has(.cm-content)").first
    first.locator(".cm-content").click()
    notebook.page.keyboard.press("Control+a")
    notebook.page.keyboard.insert_text(source)
    notebook.page.keyboard.press("Control+Enter")


def expect_all(notebook: Notebook) -> None:
    """Each line once, the result, and a number in the prompt."""
    first = notebook.panel.locator(".jp-Cell").first
    outputs = first.locator(".jp-OutputArea-output")
    expect(outputs).to_have_text([ALL, str(LINES - 1)], timeout=60_000)
    expect(notebook.busy).to_have_count(0)
    expect(prompt(first)).to_have_text(re.compile(r"\[\d+\]:"))


def prompt(cell: Locator) -> Locator:
    return cell.locator(".jp-InputPrompt")
