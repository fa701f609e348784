"""What a person does on the hub's pages: sign in, choose, start, wait, stop."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.cases import Case
from tests.harness import wait_until

START_MS = 90_000
STOP_MS = 30_000

# A time of day as the pages' script shows it: with the weekday where that is not today's.
CLOCK = r"(?:[A-Z][a-z]{2} )?\d\d:\d\d"


class HubPages:
    def __init__(self, page: Page, case: Case):
        self.page, self.url = page, case.hub.url
        self.passwords = case.passwords

    def sign_in(self, person: str) -> None:
        self.page.goto(f"{self.url}/")
        self.page.get_by_label("Username").fill(person)
        self.page.get_by_label("Password").fill(self.passwords[person])
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page).to_have_url(re.compile("/hub/(home|spawn)"))

    def open_the_default(self) -> None:
        """The large button on the home page."""
        self.page.get_by_role("button", name="Open JupyterLab").click()

    def choose(self, preset: str) -> None:
        """Through *Change…* and the start form."""
        self.page.get_by_role("link", name="Change…").click()
        self.page.get_by_label(preset, exact=True).check()
        self.page.get_by_role("button", name="Start", exact=True).click()

    def wait_for_lab(self, person: str) -> None:
        self.page.wait_for_url(re.compile(f"/user/{person}/lab"), timeout=START_MS)

    def sees_running(self, title: str, only: bool = False) -> None:
        """Load the home page until something with this title, or nothing else, is in its list."""

        def shown() -> bool:
            self.page.goto(f"{self.url}/hub/home")
            texts = self.page.locator("li[data-state]").all_inner_texts()
            alike = [text.strip().startswith(title) for text in texts]
            return any(alike) and (all(alike) or not only)

        wait_until(shown, 30, f"{title} runs", pause=0.25)

    def stop(self) -> None:
        """The button on the home page, for all that runs; returns when the page offers to start again."""
        self.page.goto(f"{self.url}/hub/home")
        self.page.get_by_role("button", name="Stop", exact=True).click()
        again = self.page.get_by_role("button", name="Open JupyterLab")
        # It asks as long as a kernel's job has not ended, also one that was told to.
        everything = self.page.get_by_role("button", name="Stop all")
        expect(again.or_(everything)).to_be_visible(timeout=STOP_MS)
        if everything.is_visible():
            everything.click()
        expect(again).to_be_visible(timeout=STOP_MS)
