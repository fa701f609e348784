"""What a person does in JupyterLab: open notebooks, run them to the end, start and use a cluster in *Jobs*."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Locator, Page, Response, TimeoutError, expect

from tests.harness import wait_until

LAB_MS = 60_000
CLUSTER_MS = 60_000
NOTEBOOK_MS = 240_000
PALETTES, PALETTE_MS = 5, 10_000  # how often it is opened, and how long each step of it may take

# Cells out of view have a guessed height until they were seen, so one scroll may miss.
AT_THE_TOP = """part => {
  const top = part.closest('.jp-WindowedPanel-outer').getBoundingClientRect().top;
  const there = Math.abs(part.getBoundingClientRect().top - top) < 5;
  if (!there) part.scrollIntoView({block: 'start'});
  return there;
}"""
NEW_NOTEBOOK = """earlier => [...document.querySelectorAll('.jp-NotebookPanel')]
  .find(one => one.offsetParent && !earlier.includes(one.id))?.id"""


class Lab:
    def __init__(self, page: Page, restored: str = ""):
        """``restored`` is the title of what Lab opens again; otherwise the launcher comes last."""
        self.page = page
        last = (
            page.locator(".lm-TabBar-tab", has_text=restored)
            if restored
            else page.locator(".jp-Launcher")
        )
        expect(last.first).to_be_visible(timeout=LAB_MS)
        # What was open before is there again, so that whatever comes from now on was asked for.
        expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=LAB_MS)
        # jupyter_server answers 404 to who lists a folder in the moment in which a file there gets another name
        # (FileContentsManager._dir_model), and Lab lists it every ten seconds. It finds the folder the next time.
        page.add_locator_handler(
            page.locator(".jp-Dialog", has_text="Directory not found"),
            lambda dialog: dialog.get_by_role("button", name="Close").click(),
        )
        # JupyterHub's own, over our words of the same: sooner or later, as the page happens to ask a server that ended.
        page.add_locator_handler(
            page.locator(".jp-Dialog", has_text="Server unavailable or unreachable"),
            lambda dialog: dialog.get_by_role("button", name="Dismiss").click(),
        )

    def new_notebook(self) -> Notebook:
        """From the launcher: the one that was not there before, for a restored one may lie there until it is."""
        earlier = self.page.locator(".jp-NotebookPanel").evaluate_all(
            "all => all.map(one => one.id)"
        )
        self.page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
        new = self.page.wait_for_function(NEW_NOTEBOOK, arg=earlier)
        return self._ready_notebook(new.json_value())

    def open_examples(self) -> Notebook:
        """The launcher's card; opens the first example beside the list of the others."""
        self.new_launcher()
        self.page.locator('.jp-LauncherCard[title*="example"]:visible').click()
        return self.shown_notebook("01-prepare-data-at-scale.ipynb")

    def open_file(self, name: str) -> Notebook:
        """One beside the files that the browser on the left shows."""
        if not self.page.locator("#filebrowser").is_visible():
            self.page.locator('.jp-SideBar [data-id="filebrowser"]').click()
        self.page.locator(f'.jp-DirListing-item:has-text("{name}")').dblclick()
        return self.shown_notebook(name)

    def new_launcher(self) -> None:
        if not self.page.locator(".jp-Launcher:visible").count():
            self.page.locator('[data-command="launcher:create"]:visible').first.click()

    def shown_notebook(self, name: str = "") -> Notebook:
        if name:
            tab = self.page.locator(".lm-DockPanel-tabBar .lm-mod-current", has_text=name)
            expect(tab).to_be_visible()
        panel = self.page.locator(".jp-NotebookPanel:visible")
        expect(panel).to_have_count(1)
        return self._ready_notebook(panel.get_attribute("id"))

    def _ready_notebook(self, identity: str | None) -> Notebook:
        """By the status bar, for a toolbar without room for the kernel's name lays it behind "…".

        Some time after a page was loaded Lab brings the tab to the front that was there before: it is chosen again.
        """
        panel = self.page.locator(f"#{identity}")
        tab = self.page.locator(f"#{panel.get_attribute('aria-labelledby')}")
        label = tab.locator(".lm-TabBar-tabLabel")
        label.click()
        kernel = self.page.get_by_title(f"Change kernel for {label.inner_text()}", exact=True)

        def is_idle() -> bool:
            if "lm-mod-current" not in (tab.get_attribute("class") or ""):
                label.click()
            return any(re.match(r"Python 3 .* Idle$", text) for text in kernel.all_inner_texts())

        wait_until(is_idle, LAB_MS / 1000, f"the kernel of {label.inner_text()} is idle")
        return Notebook(self.page, panel)

    def command(self, label: str) -> None:
        """Carry out a command through the palette.

        That closes when something else has the focus, which a notebook takes that is still being opened.
        """
        page = self.page
        asked = page.get_by_role("textbox", name="Command Palette Section").or_(
            page.locator(".lm-CommandPalette-input")
        )
        shown = page.locator(".lm-CommandPalette-itemLabel", has_text=re.compile(f"{label}$"))
        for _ in range(PALETTES):
            with suppress(TimeoutError):
                page.get_by_role("menuitem", name="View", exact=True).click(timeout=PALETTE_MS)
                page.get_by_role("menuitem", name="Activate Command Palette").click(
                    timeout=PALETTE_MS
                )
                asked.first.fill(label, timeout=PALETTE_MS)
                shown.first.click(timeout=PALETTE_MS)
                return
        raise AssertionError(f"The palette closed {PALETTES} times before {label!r} was clicked")

    def in_the_dark(self) -> None:
        page = self.page
        self.command("JupyterLab Dark")
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)

    def jobs(self) -> Jobs:
        """The side panel *Jobs*, opened if it is not."""
        panel = self.page.get_by_role("region", name="Jobs")
        if not panel.is_visible():
            self.page.locator('.jp-SideBar [data-id="shopfloor-jobs"]').click()
        expect(panel).to_be_visible()
        return Jobs(self.page, panel)


def is_saved(answer: Response) -> bool:
    return answer.request.method == "PUT" and "/api/contents/" in answer.url and answer.ok


class Notebook:
    def __init__(self, page: Page, panel: Locator):
        self.page, self.panel = page, panel
        self.busy = panel.locator(".jp-InputPrompt", has_text="[*]")

    def run_cell(self, source: str) -> str:
        """Write into the active, empty cell and run it; what it printed."""
        self.panel.locator(".jp-Cell.jp-mod-active .cm-content").click()
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        printed = self.panel.locator(".jp-OutputArea-output").first
        expect(printed).to_be_visible()
        expect(self.busy).to_have_count(0)
        return printed.inner_text()

    def begin_cell(self, source: str) -> None:
        """As :meth:`run_cell`, in the last cell, and not waited for."""
        self.panel.locator(".jp-Cell.jp-mod-active .cm-content").click()
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")

    def wait_printed(self, text: str, timeout: float = CLUSTER_MS) -> None:
        printed = self.panel.locator(".jp-OutputArea-output", has_text=text)
        expect(printed.first).to_be_visible(timeout=timeout)

    def run_all(self) -> None:
        """Returns when every cell has run; an error on the way fails here, with its text."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.wait_ran()

    def wait_ran(self) -> None:
        last = self.panel.locator(".jp-CodeCell .jp-InputPrompt").last
        error = self.panel.locator('[data-mime-type="application/vnd.jupyter.stderr"]')
        traceback = self.panel.locator(
            '[data-mime-type="application/vnd.jupyter.error"], .jp-RenderedText[data-mime-type*="error"]'
        )
        done = re.compile(r"\[\d+\]")
        expect(last.filter(has_text=done).or_(traceback).first).to_be_attached(timeout=NOTEBOOK_MS)
        assert not traceback.count(), traceback.first.inner_text()
        expect(self.busy).to_have_count(0)
        assert not error.count(), error.first.inner_text()

    def bring_forward(self, name: str) -> None:
        """Where another pane lies before it."""
        self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=name).click()
        self.panel.locator(".jp-Cell .jp-InputPrompt").last.click()

    def save_as(self, name: str) -> None:
        """The first time, when Lab asks for a name."""
        self.panel.locator(".jp-Cell .jp-InputPrompt").last.click()
        self.page.keyboard.press("Control+s")
        dialog = self.page.locator(".jp-Dialog")
        dialog.locator("input").first.fill(name)
        dialog.locator(".jp-mod-accept").click()
        expect(dialog).to_have_count(0)
        tab = self.page.locator(".lm-DockPanel-tabBar .lm-mod-current", has_text=name)
        expect(tab).to_be_visible()

    def save(self) -> None:
        """Returns when the server has it: a cell that prints marks the tab as changed again at once.

        By the button, for where keys go after a prompt or a click elsewhere is Lab's affair.
        """
        with self.page.expect_response(is_saved):
            self.panel.get_by_role("button", name="Save and create checkpoint").click()

    def close_unsaved(self) -> None:
        """End its kernel and close its tab."""
        self.page.get_by_role("menuitem", name="File", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("^Close and Shut Down Notebook")).click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(self.panel).to_have_count(0)

    def select(self, cell: str) -> None:
        """Make the cell that holds this text the active one."""
        found = self.panel.locator(".jp-Cell", has_text=cell).first
        found.locator(".jp-InputPrompt, .jp-MarkdownOutput").first.click()
        expect(found).to_have_class(re.compile("jp-mod-active"))

    def show(self, text: str, output: bool = False) -> None:
        """Scroll until the cell that holds this text, or its output, stands at the top."""
        found = self.panel.locator(".jp-Cell", has_text=text).first
        if output:
            found = found.locator(".jp-Cell-outputWrapper")
        self.page.wait_for_function(AT_THE_TOP, arg=found.element_handle(), polling=200)


class Jobs:
    def __init__(self, page: Page, panel: Locator):
        self.page, self.panel = page, panel
        self.cluster = panel.get_by_test_id("shopfloor-cluster")

    def ask_for_cluster(self) -> None:
        """The panel's button, and what it offers."""
        self.panel.get_by_role("button", name="New job").click()
        self.page.get_by_role("menuitem", name="Dask Cluster…").click()

    def start_cluster(self, name: str, workers: int, **fields: str) -> None:
        """*New Dask cluster* with custom hardware: labels of fields without their limits, and values."""
        self.ask_for_cluster()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label(re.compile("^Name")).fill(name)
        dialog.get_by_label(re.compile(r"^Workers \(")).fill(str(workers))
        dialog.get_by_test_id("shopfloor-preset-custom").click()
        for label, value in fields.items():
            field = dialog.get_by_label(re.compile(f"^{label.replace('_', ' ')}"))
            if field.evaluate("node => node.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        dialog.get_by_role("button", name="Start cluster").click()
        expect(dialog).to_have_count(0)

    def wait_connected(self, workers: int) -> None:
        line = self.cluster.get_by_test_id("shopfloor-workers")
        expect(line).to_contain_text(f"{workers} connected", timeout=CLUSTER_MS)

    def wait_waiting(self) -> None:
        """Until the workers' line says that one of them waits for what others use."""
        line = self.cluster.get_by_test_id("shopfloor-workers")
        expect(line).to_contain_text(re.compile("1 waiting: .*(in use|are before it|busy)"))

    def scale(self, change: str, times: int = 1) -> None:
        """Add or Remove a worker, so many times."""
        for _ in range(times):
            self.cluster.get_by_role("button", name=f"{change} worker").click()

    def unfold_workers(self, workers: int) -> None:
        self.cluster.get_by_test_id("shopfloor-workers").get_by_role("button").click()
        rows = self.cluster.get_by_role("list", name="Workers", exact=True).get_by_role("listitem")
        expect(rows).to_have_count(workers)

    def follow_the_work(self, fewest: int, most: int) -> None:
        """As many workers as needed, from a keyboard; first a range that cannot be."""
        self.cluster.get_by_role("button", name="As many as needed…").press("Enter")
        lowest, highest = (
            self.cluster.get_by_label(f"{one} workers") for one in ("Fewest", "Most")
        )
        highest.fill(str(most))
        lowest.fill(str(most + 1))
        lowest.press("Enter")
        expect(self.cluster.get_by_text(f"Most workers: at least {most + 1}.")).to_be_visible()
        lowest.fill(str(fewest))
        done = self.cluster.get_by_role("button", name="Set")
        expect(done).to_be_in_viewport(ratio=1)
        done.press("Enter")
        shown = f"{fewest} to {most}, as needed"
        # The form is gone, and the focus where it was opened from.
        expect(self.cluster.get_by_role("button", name=shown)).to_be_focused()

    def use_in_notebook(self) -> None:
        self.cluster.get_by_role("button", name="Use in notebook").click()

    def stop_cluster(self) -> None:
        """Stop it, and take what ended off the list."""
        self.cluster.get_by_role("button", name="Stop cluster").click()
        confirm = self.page.get_by_role("button", name="Stop it")
        ended = self.panel.locator('[data-testid="shopfloor-cluster"][data-state="ended"]')
        empty = self.panel.get_by_test_id("shopfloor-first-cluster")
        gone = ended.or_(empty)
        expect(confirm.or_(gone).first).to_be_visible()
        if confirm.is_visible():
            confirm.click()
        expect(gone.first).to_be_visible(timeout=CLUSTER_MS)
