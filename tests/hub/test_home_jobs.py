"""Home with kernels and Dask clusters on it, and the question before a server is stopped, as a browser without scripts
sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases import PASSWORDS, Case, end_case, local_case
from tests.harness import wait_until
from tests.hub.pages_html import Element, Page
from tests.hub.test_pages import Browser
from tests.stand_ins import stand_in


@pytest.fixture
def alice(local_hub: Case) -> Iterator[Browser]:
    yield signed_in(local_hub, "alice")
    local_hub.hub.stop_server("alice")
    wait_until(lambda: local_hub.hub.server("alice") is None, 30, "her server is gone")
    local_hub.cancel_all()


def signed_in(case: Case, person: str) -> Browser:
    browser = Browser(case.hub)
    _, page = browser.open("/hub/login")
    browser.submit(page, username=person, password=PASSWORDS[person])
    return browser


def rows(page: Page) -> list[str]:
    return [" ".join(row.text.split()) for row in page.all("li") if "data-state" in row]


def home(browser: Browser, *patterns: str) -> Page:
    """Her home page, once its rows match these patterns."""

    def found() -> Page | None:
        _, page = browser.open("/hub/home")
        shown = rows(page)
        alike = len(shown) == len(patterns) and all(map(re.search, patterns, shown))
        return page if alike else None

    return wait_until(found, 30, f"her page has {patterns}", pause=0.25)


def press(browser: Browser, button: Element, page: Page) -> tuple[int, Page]:
    """Send the form that the button is in."""
    [form] = [one for one in page.all("form", method="post") if button in one.inside]
    values = {one["name"]: one["value"] for one in form.inside if "name" in one}
    answer = browser.post(browser.hub.url + form["action"], data=values, timeout=30)
    return answer.status_code, Page(answer.text)


def button(page: Page, label: str) -> Element:
    return next(one for one in page.all("button") if one.text.strip() == label)


RUNS = r"Running on \S+ · ends \d\d:\d\d · job local-\d+"


def test_all_that_a_person_has_running_is_in_one_list(local_hub: Case, alice: Browser):
    stand_in(local_hub, "bob", "kernel")
    stand_in(local_hub, "alice", "kernel")
    cluster = stand_in(local_hub, "alice", "cluster")
    stand_in(local_hub, "alice", "worker", cluster=cluster, count=2)
    stand_in(local_hub, "alice", "worker", cluster=cluster)
    page = home(alice, f"^Kernel {RUNS} Stop$", f"^Dask cluster 3 workers · {RUNS} Stop$")
    assert "Closing the tab does not stop them." in page.text
    local_hub.hub.start_server("alice", {"preset": "small"})
    local_hub.hub.wait_server("alice")
    page = home(
        alice,
        r"^JupyterLab Running on \S+ · ends \d\d:\d\d · 1 CPU, .* Stop$",
        "^Kernel",
        "^Dask cluster 3 workers",
    )
    labels = [one.attributes.get("aria-label") for one in page.all("button") if "data-stop" in one]
    assert len(set(labels)) == len(labels) == 2  # the server's own leads to a question


def test_a_kernel_has_its_notebooks_name_and_says_that_it_ends_for_want_of_work(
    local_hub: Case, alice: Browser
):
    hub, kernel = local_hub.hub, stand_in(local_hub, "alice", "kernel")
    theirs = stand_in(local_hub, "bob", "kernel")
    token = hub.add_user("alice")
    note = {"title": "<b>train.ipynb", "idle_ends": 2_000_000_000}
    notes = {kernel: note, theirs: {"title": "mine"}}
    hub.api("PUT", "shopfloor/notes", token, 204, json={"notes": notes})
    says = r"computes nothing, and ends at \S+ unless it does"
    home(alice, f"^Kernel <b>train.ipynb · {RUNS} · {says} Stop$")
    hub.add_user("bob")
    home(signed_in(local_hub, "bob"), f"^Kernel {RUNS} Stop$")
    for body in ({"notes": []}, {"notes": {"x": {}}}, {"notes": {kernel: {"title": 5}}}, []):
        hub.api("PUT", "shopfloor/notes", token, 400, json=body)


def test_a_cluster_is_stopped_by_its_button_with_all_its_workers(local_hub: Case, alice: Browser):
    kernel = stand_in(local_hub, "alice", "kernel")
    cluster = stand_in(local_hub, "alice", "cluster")
    stand_in(local_hub, "alice", "worker", cluster=cluster, count=2)
    page = home(alice, "^Kernel", "^Dask cluster 2 workers")
    status, _ = press(alice, page.one("button", id=f"stop-{cluster}"), page)
    assert status == 200
    home(alice, "^Kernel")
    assert [job.tag for job in local_hub.jobs()] == [kernel]
    # A second tab still has the button; where there are scripts, they ask the API.
    token = re.search(r'xsrf_token: "([^"]+)"', alice.open("/hub/home")[0].text)[1]
    url = local_hub.hub.url + page.one("button", id=f"stop-{kernel}")["data-stop"]
    assert alice.delete(url, headers={"X-XSRFToken": token}).status_code in (202, 204)
    home(alice)
    assert press(alice, page.one("button", id=f"stop-{cluster}"), page)[0] == 200


def test_workers_whose_cluster_is_gone_are_not_hidden(local_hub: Case, alice: Browser):
    cluster = stand_in(local_hub, "alice", "cluster")
    stand_in(local_hub, "alice", "worker", cluster=cluster, count=2)
    [job] = [one for one in local_hub.jobs() if one.tag == cluster]
    home(alice, "^Dask cluster")
    local_hub.cancel(job)
    page = home(alice, f"^Dask workers 2 workers, without their cluster · {RUNS}")
    press(alice, button(page, "Stop"), page)
    home(alice)
    local_hub.wait_no_jobs()


def test_nobody_stops_what_is_somebody_elses(local_hub: Case, alice: Browser):
    theirs = stand_in(local_hub, "bob", "kernel")
    hub, tokens = local_hub.hub, {name: local_hub.hub.add_user(name) for name in ("alice", "bob")}
    home(signed_in(local_hub, "bob"), "^Kernel")
    _, page = alice.open("/hub/home")
    xsrf = page.all("input", name="_xsrf")[0]["value"]
    for owner in ("alice", "bob"):
        path = f"users/{owner}/jobs/{theirs}"
        hub.api("DELETE", f"shopfloor/{path}", tokens["alice"], 404)
        answer = alice.post(
            f"{hub.url}/hub/shopfloor/stop/{owner}/jobs/{theirs}", data={"_xsrf": xsrf}
        )
        assert answer.status_code in (403, 404)
    # Not even she, where another page sends it.
    bob = signed_in(local_hub, "bob")
    answer = bob.post(f"{hub.url}/hub/shopfloor/stop/bob/jobs/{theirs}", data={"_xsrf": xsrf})
    assert answer.status_code == 403
    assert [job.tag for job in local_hub.jobs()] == [theirs]
    # Whoever administers servers may.
    answer = hub.api("DELETE", f"shopfloor/users/bob/jobs/{theirs}")
    assert answer.status_code in (202, 204)
    local_hub.wait_no_jobs()


def with_kernels(case: Case, alice: Browser, kernels: int) -> Page:
    case.hub.start_server("alice", {"preset": "small"})
    case.hub.wait_server("alice")
    for _ in range(kernels):
        stand_in(case, "alice", "kernel")
    return home(alice, "^JupyterLab", *["^Kernel"] * kernels)


def asked(case: Case, alice: Browser, kernels: int) -> Page:
    page = with_kernels(case, alice, kernels)
    status, question = press(alice, button(page, "Stop"), page)
    assert status == 200
    assert question.one("h1").text.strip() == "Stop JupyterLab?"
    assert case.hub.server("alice")["ready"]
    return question


def test_a_server_is_stopped_and_its_kernels_run_on(local_hub: Case, alice: Browser):
    question = asked(local_hub, alice, 2)
    assert (
        "2 kernels run on as jobs of their own, and keep what is in their memory. Stop them too?"
        in question.text
    )
    assert [one.text for one in question.all("a") if one.text == "Cancel"]
    press(alice, button(question, "Keep the kernels"), question)
    home(alice, "^Kernel", "^Kernel")
    assert local_hub.hub.server("alice") is None


def test_a_server_is_stopped_and_its_only_kernel_with_it(local_hub: Case, alice: Browser):
    question = asked(local_hub, alice, 1)
    assert "1 kernel runs on as a job of its own" in question.text
    assert "computes nothing" not in question.text, "there is no rule here"
    assert button(question, "Keep the kernel")
    press(alice, button(question, "Stop all"), question)
    home(alice)
    local_hub.wait_no_jobs()


def test_without_kernels_a_server_is_stopped_without_a_question(local_hub: Case, alice: Browser):
    page = with_kernels(local_hub, alice, 0)
    stand_in(local_hub, "alice", "cluster")
    # The strip on other pages has the same button.
    _, page = alice.open("/hub/token")
    press(alice, button(page, "Stop"), page)
    home(alice, "^Dask cluster")


def test_where_idle_kernels_are_ended_the_question_says_that_nobody_will_warn(tmp_path: Path):
    case = local_case(tmp_path, '[kernels]\nidle = "1h"\n')
    try:
        question = asked(case, signed_in(case, "alice"), 1)
        assert "one that computes nothing is ended before that" in question.text
    finally:
        end_case(case)


def test_the_question_is_asked_of_a_page_that_did_not_know_of_the_kernel(
    local_hub: Case, alice: Browser
):
    page = with_kernels(local_hub, alice, 0)
    stand_in(local_hub, "alice", "kernel")
    home(alice, "^JupyterLab", "^Kernel")
    _, question = press(alice, button(page, "Stop"), page)
    assert "Stop it too?" in question.text


def test_a_page_is_told_for_nothing_that_nothing_has_changed(local_hub: Case, alice: Browser):
    stand_in(local_hub, "alice", "kernel")
    page = home(alice, "^Kernel")
    main = next(one for one in page.all("main") if "data-etag" in one)
    token = re.search(r'xsrf_token: "([^"]+)"', alice.open("/hub/home")[0].text)[1]
    headers = {"X-XSRFToken": token, "If-None-Match": main["data-etag"]}
    url = local_hub.hub.url + main["data-jobs"]
    assert alice.get(url, headers=headers).status_code == 304
    stand_in(local_hub, "alice", "kernel")
    home(alice, "^Kernel", "^Kernel")
    assert alice.get(url, headers=headers).status_code == 200


def test_a_scheduler_that_does_not_answer_is_not_taken_for_nothing_running(
    local_hub: Case, alice: Browser
):
    stand_in(local_hub, "alice", "kernel")
    home(alice, "^Kernel")
    jobs = local_hub.hub.directory / ".shopfloor" / "jobs"
    away = jobs.rename(jobs.with_name("jobs-away"))
    jobs.touch()
    try:
        said = r"This machine does not answer \(since \d\d:\d\d\). What runs goes on"
        page = wait_until(
            lambda: (page := alice.open("/hub/home")[1]) and re.search(said, page.text) and page,
            30,
            "her page says so",
            pause=0.25,
        )
        assert rows(page) == rows(home(alice, "^Kernel"))
    finally:
        jobs.unlink()
        away.rename(jobs)
