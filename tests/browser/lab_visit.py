"""A person's visit to Lab: from the sign-in to a cluster that runs, and until nothing of theirs runs any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from tests.cases import Case

from .chromium import window
from .hub_pages import HubPages
from .lab_pages import Jobs, Lab


def open_lab(page: Page, case: Case, person: str) -> Lab:
    """Signed in, in the server that the large button starts."""
    pages = HubPages(page, case)
    pages.sign_in(person)
    pages.open_the_default()
    pages.wait_for_lab(person)
    return Lab(page)


@contextmanager
def visit(case: Case, story: str, person: str) -> Iterator[Lab]:
    """Lab in a window of its own. A story that went well stops the server, and leaves no job behind."""
    with window(case, story, person) as page:
        yield open_lab(page, case, person)
        HubPages(page, case).stop()
    case.wait_no_jobs()


def start_cluster(lab: Lab, workers: int = 1, name: str = "flights", memory: str = "1 GB") -> Jobs:
    """A cluster of workers with one CPU each, all connected."""
    jobs = lab.jobs()
    jobs.start_cluster(name, workers=workers, CPUs="1", Memory=memory)
    jobs.wait_connected(workers)
    return jobs
