"""The pages of a real hub with the local scheduler, asked over HTTP as a browser without scripts would ask."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import requests

from tests.harness import HubProcess, wait_until
from tests.hub.pages_html import Page

PASSWORDS = {"alice": "alices-password", "root-alice": "admins-password"}
SITE = """
[site]
name = "Test <Site>"
support = "help@example.org"

[scheduler]
type = "local"

[login]
admins = ["root-alice"]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hub")
    state = directory / ".shopfloor"
    state.mkdir(mode=0o700)
    passwords = state / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps(PASSWORDS))
    hub = HubProcess(directory, SITE, Path(sys.prefix))
    try:
        yield hub.start()
    finally:
        for name in PASSWORDS:
            hub.stop_server(name)
        hub.stop()


class Browser(requests.Session):
    """A browser without scripts: keeps cookies, follows redirects, sends forms."""

    def __init__(self, hub: HubProcess):
        super().__init__()
        self.hub = hub
        self.headers["Sec-Fetch-Mode"] = "navigate"

    def request(self, *args, **kwargs) -> requests.Response:
        answer = super().request(*args, **kwargs)
        # JupyterHub names the encoding in the page, where browsers find it, and requests does not.
        answer.encoding = "utf-8"
        return answer

    def open(self, path: str) -> tuple[requests.Response, Page]:
        answer = self.get(self.hub.url + path, timeout=30)
        return answer, Page(answer.text)

    def submit(self, page: Page, **changes: str) -> tuple[requests.Response, Page]:
        """Send the page's only form, some of its values changed."""
        form = page.one("form", method="post")
        values = {name: given[-1] for name, given in page.submitted().items()} | changes
        answer = self.post(self.hub.url + form["action"], data=values, timeout=30)
        return answer, Page(answer.text)

    def login(self, name: str) -> tuple[requests.Response, Page]:
        _, page = self.open("/hub/login")
        return self.submit(page, username=name, password=PASSWORDS[name])


@pytest.fixture
def alice(hub):
    browser = Browser(hub)
    browser.login("alice")
    return browser


def nothing_started(hub: HubProcess) -> bool:
    """Neither is a server known to the hub, nor was a job ever made."""
    return hub.server("alice") is None and not list(hub.directory.rglob("request.json"))


def test_the_login_page_says_that_local_people_share_an_account(hub):
    answer, page = Browser(hub).open("/hub/login")
    assert answer.status_code == 200
    assert "Test <Site>" in page.text
    assert "shares one Unix account" in page.one("p", id="shared-account").text
    assert "Access tokens" not in page.text and "Admin" not in page.text
    assert page.one("a", href="mailto:help@example.org").text == "Help"


def test_after_login_one_button_stands_on_the_home_page(hub):
    answer, page = Browser(hub).login("alice")
    assert answer.url == f"{hub.url}/hub/home"
    buttons = [button.text for button in page.all("button", type="submit")]
    assert buttons == ["Open JupyterLab"]
    assert page.one("form", method="post")["action"] == "/hub/spawn/alice"
    assert page.submitted()["preset"] == ["small"]
    assert "Small CPU · 1 CPU, " in page.text
    assert [link["href"] for link in page.all("a") if link.text == "Change…"] == [
        "/hub/spawn/alice"
    ]


def test_only_admins_see_the_way_to_administration(hub, alice):
    assert "/hub/admin" not in alice.open("/hub/home")[0].text
    assert alice.open("/hub/admin")[0].status_code == 403
    admin = Browser(hub)
    assert "/hub/admin" in admin.login("root-alice")[0].text


@pytest.mark.parametrize(
    "path",
    [
        "/hub/spawn",
        "/hub/spawn/alice",
        "/hub/spawn?preset=small",
        "/hub/spawn/alice?preset=small&cpus=1",
        "/hub/spawn/alice?opt-preset=small",
        "/hub/spawn?next=/user/alice/lab&cpus=1",
        "/hub/spawn?options=1&_xsrf=2",
        "/hub/spawn?opt-=1",
        "/hub/spawn?cpus=9999&nonsense=%0a",
        "/hub/user-redirect/lab?preset=small",
        "/user/alice/lab",
        "/hub/user/alice/lab/tree/x.ipynb?preset=small",
        "/hub/spawn-pending/alice?preset=small",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_link_starts_anything(method, path, hub, alice):
    answer = alice.request(method, hub.url + path, timeout=30)
    assert answer.status_code < 500
    assert nothing_started(hub)
    assert "could not be started" not in answer.text


def test_posting_without_the_page_starts_nothing(hub, alice):
    for data in ({"preset": "small"}, {"preset": "small", "_xsrf": "made-up"}):
        assert alice.post(f"{hub.url}/hub/spawn/alice", data=data).status_code == 403
    assert nothing_started(hub)


def test_a_link_fills_in_the_form_and_keeps_where_to_go_then(alice):
    _, page = alice.open("/hub/spawn?opt-cpus=1&time=30m&next=/user/alice/lab")
    sent = page.submitted()
    assert (sent["preset"], sent["cpus"], sent["time"]) == (["custom"], ["1"], ["30m"])
    action = page.one("form", method="post")["action"]
    assert action == "/hub/spawn/alice?next=%2Fuser%2Falice%2Flab"


def test_a_refused_value_is_a_400_that_names_field_value_and_limit(hub, alice):
    _, page = alice.open("/hub/spawn/alice")
    answer, page = alice.submit(page, preset="custom", memory="900 TB")
    assert answer.status_code == 400
    alert = " ".join(page.one("div", role="alert").text.split())
    assert "Memory: 900 TB is not possible, at most" in alert
    assert page.one("input", name="memory")["value"] == "900 TB"
    assert page.one("input", name="memory")["aria-invalid"] == "true"
    assert nothing_started(hub)


def test_fields_do_not_count_beside_a_preset(hub, alice):
    _, page = alice.open("/hub/spawn/alice")
    answer, page = alice.submit(page, preset="no-such-preset", memory="900 TB")
    assert answer.status_code == 400
    assert "no-such-preset" in page.one("div", role="alert").text
    assert "Memory" not in page.one("div", role="alert").text
    assert nothing_started(hub)


def test_hostile_input_comes_back_as_text(hub, alice):
    hostile = "\"><script>alert('x')</script>\n#SBATCH --uid=0"
    _, page = alice.open("/hub/spawn/alice")
    answer, page = alice.submit(page, preset="custom", time=hostile, cpus="1")
    assert answer.status_code == 400
    assert page.one("input", name="time")["value"] == hostile
    assert "alert('x')" not in "".join(script.text for script in page.all("script"))
    assert nothing_started(hub)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/hub/no-such-page", 404, "There is no such page"),
        ("/hub/admin", 403, "This is not open to you"),
        ("/user/alice/lab", 424, "JupyterLab is not running"),
        ("/hub/error/503", 200, "JupyterLab does not answer"),
        ("/hub/error/599", 200, "Something went wrong here"),
    ],
)
def test_what_went_wrong_is_said_with_a_next_step(path, status, words, alice):
    answer, page = alice.open(path)
    assert answer.status_code == status
    assert page.one("h1").text.strip() == words
    assert [link for link in page.all("a") if link.text == "Home"]


def test_static_files_are_served_to_everybody_and_may_be_kept(hub):
    browser = Browser(hub)
    answer, _ = browser.open("/hub/login")
    found = set(re.findall(r"/hub/shopfloor/static/[\w.]+\?v=\w+", answer.text))
    assert {url.rpartition("/")[2].partition("?")[0] for url in found} == {
        "shopfloor.css",
        "pages.css",
        "shopfloor.js",
        "mark.svg",
    }
    for url in found:
        answer = browser.get(hub.url + url)
        assert answer.status_code == 200 and answer.content
        assert "no-cache" not in answer.headers.get("Cache-Control", "")
    outside = browser.get(f"{hub.url}/hub/shopfloor/static/%2e%2e/pages.py")
    assert outside.status_code in (403, 404)


def test_the_whole_way_works_without_scripts(hub, alice):
    _, home = alice.open("/hub/home")
    answer, _ = alice.submit(home)
    assert answer.status_code == 200
    # A second tab that still shows the button must lead to the same server.
    again, _ = alice.submit(home)
    assert "/spawn-pending/alice" in again.url or "/user/alice/" in again.url

    def running():
        _, page = alice.open("/hub/home")
        return page if any(link.text == "Open JupyterLab" for link in page.all("a")) else None

    page = wait_until(running, 60, "the home page shows the running server", pause=0.25)
    assert "Closing the tab does not stop it." in page.text
    stop = page.one("button", **{"data-stop": "/hub/api/users/alice/server"})
    assert stop.text == "Stop"
    _, elsewhere = alice.open("/hub/token")
    assert "JupyterLab is running" in elsewhere.text
    assert "Closing the tab does not stop it." in elsewhere.text
    token = re.search(r'xsrf_token: "([^"]+)"', alice.get(f"{hub.url}/hub/home").text)[1]
    answer = alice.delete(hub.url + stop["data-stop"], headers={"X-XSRFToken": token})
    assert answer.status_code in (202, 204)
    wait_until(lambda: hub.server("alice") is None, 30, "the server is gone")
