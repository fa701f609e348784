"""A Chromium window for one story; what it showed, and the hub's last lines, stay behind when the story fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error, Page, expect, sync_playwright

from tests.cases import Case

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "test-results"
EXECUTABLE = "/usr/bin/chromium"
WAIT_MS = 30_000
SIZE = {"width": 1400, "height": 900}
# Root has no sandbox; the rest keeps a browser that is not asked from talking to its makers.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def window(case: Case, story: str, person: str, java_script: bool = True) -> Iterator[Page]:
    """A page of 1400 by 900 pixels; waits and clicks fail after 30 s unless they say otherwise.

    While it is open, Playwright's event loop runs in this thread: nothing may call `asyncio.run`.
    """
    RESULTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        context = browser.new_context(
            viewport=SIZE, java_script_enabled=java_script, reduced_motion="reduce"
        )
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page = context.new_page()
        console: list[str] = []
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: console.append(f"uncaught: {error}"))
        try:
            yield page
        except BaseException:
            _keep(page, case, story, person, console)
            raise
        finally:
            browser.close()


def _keep(page: Page, case: Case, story: str, person: str, console: list[str]) -> None:
    log = case.hub.log.read_text(errors="replace").splitlines()
    logs = ["== hub", *log[-200:], "== browser", f"at {page.url}", *console[-100:]]
    for output in sorted(case.home(person).glob(".local/share/shopfloor/jobs/*/output-*.log")):
        logs += [f"== {output}", *output.read_text(errors="replace").splitlines()[-100:]]
    (RESULTS / f"{story}-failed.log").write_text("\n".join(logs) + "\n")
    try:
        page.screenshot(path=RESULTS / f"{story}-failed.png")
    except Error as error:  # a page that hangs must not hide why the story failed
        (RESULTS / f"{story}-failed.log").open("a").write(f"no screenshot: {error}\n")
