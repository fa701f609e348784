"""How servers end, as Home and their own page tell it, on a real hub with the local scheduler, without scripts."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import HubProcess, wait_until
from tests.hub.test_pages import Browser

PASSWORDS = {"alice": "alices-password", "root-alice": "admins-password"}
SITE = f"""
[site]
name = "Test site"
support = "help@example.org"

[scheduler]
type = "local"

[login]
admins = ["root-alice"]

[environments.jupyterlab]
label = "JupyterLab"
path = "{sys.prefix}"

# It prints what must not be read by others, and then fails.
[environments.broken]
label = "Broken"
path = "{sys.prefix}"
setup = '''
echo "JUPYTERHUB_API_TOKEN=$JUPYTERHUB_API_TOKEN"
echo "the nonce is $SHOPFLOOR_NONCE"
echo password=hunter2
python3 -c "import no_such_module"
'''

# It takes its time to end.
[environments.stubborn]
label = "Stubborn"
path = "{sys.prefix}"
setup = "trap '' TERM; while true; do sleep 0.2; done"

[environments.missing]
label = "Missing"
path = "/nonexistent"
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
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


@pytest.fixture
def alice(hub: HubProcess) -> Iterator[Browser]:
    browser = Browser(hub)
    browser.login("alice")
    yield browser
    hub.stop_server("alice")
    wait_until(lambda: hub.server("alice") is None, 30, "her server is gone")


def rows(browser: Browser) -> list[str]:
    """What Home says under *Ended today*, the latest first."""
    _, page = browser.open("/hub/home")
    found = [row for row in page.all("li") if "data-kind" in row]
    return [" ".join(row.text.split()) for row in found]


def newest(browser: Browser, words: str) -> str:
    """The newest row, as soon as it holds the words (a regular expression)."""
    return wait_until(
        lambda: (found := rows(browser)) and re.search(words, found[0]) and found[0],
        30,
        f"Home says {words!r}; it says {rows(browser)}",
        pause=0.25,
    )


def job_process(hub: HubProcess) -> int:
    """The process id of alice's server, from the runner's record of its newest job."""
    found = (hub.directory / ".shopfloor" / "people" / "alice").rglob("start-0.json")
    latest = max(found, key=lambda path: path.stat().st_mtime)
    return json.loads(latest.read_text())["command_pid"]


def test_who_stopped_it_is_said_and_try_again_asks_for_the_same(hub: HubProcess, alice: Browser):
    hub.start_server("alice", {"preset": "small"})
    hub.wait_server("alice")
    token = re.search(r'xsrf_token: "([^"]+)"', alice.get(f"{hub.url}/hub/home").text)[1]
    alice.delete(f"{hub.url}/hub/api/users/alice/server", headers={"X-XSRFToken": token})
    assert re.search(r"You stopped it at \d\d:\d\d\.", newest(alice, "You stopped it"))
    _, page = alice.open("/hub/home")
    [link] = [link for link in page.all("a") if link.text == "Try again"]
    _, form = alice.open(link["href"])
    assert form.submitted()["preset"] == ["small"]


def test_an_administrators_stop_names_the_administrator(hub: HubProcess, alice: Browser):
    admin = hub.add_user("root-alice")
    hub.start_server("alice", {"preset": "small"})
    hub.wait_server("alice")
    hub.api("DELETE", "users/alice/server", token=admin)
    newest(alice, r"Stopped at \d\d:\d\d by root-alice\.")


def test_a_server_that_crashed_says_so_and_that_outlives_the_hub(hub: HubProcess, alice: Browser):
    hub.start_server("alice", {"preset": "small"})
    hub.wait_server("alice")
    os.kill(job_process(hub), signal.SIGKILL)
    words = r"JupyterLab ended at \d\d:\d\d: it was killed by signal 9 \(SIGKILL\)\."
    newest(alice, words)
    _, page = alice.open("/hub/spawn-pending/alice")
    assert "JupyterLab has ended" in page.one("h1").text
    assert re.search(words, page.text)
    assert "Your saved files are safe." in page.text
    hub.kill_hub()
    hub.start_hub()
    assert re.search(words, rows(alice)[0])
    told = hub.api("GET", "users/alice?include_stopped_servers=1").json()["servers"][""]["state"]
    assert told["endings"][-1]["kind"] == "failed"


def test_an_end_while_the_hub_was_away_is_told_afterwards(hub: HubProcess, alice: Browser):
    hub.start_server("alice", {"preset": "small"})
    hub.wait_server("alice")
    process = job_process(hub)
    hub.kill_hub()
    os.kill(process, signal.SIGSEGV)
    hub.start_hub()
    newest(alice, r"JupyterLab ended at \d\d:\d\d: it was killed by signal 11 \(SIGSEGV\)\.")


def test_out_of_memory_says_how_much_and_offers_twice_as_much(hub: HubProcess, alice: Browser):
    assert hub.start_server("alice", {"cpus": 1, "memory": "64M"}).status_code in (202, 500)
    row = newest(alice, r"Ran out of memory at \d\d:\d\d: asked 64 MB, used \d+ MB\.")
    assert "Try 128 MB." in row
    _, page = alice.open("/hub/spawn-pending/alice")
    assert page.one("button", type="submit").text == "Start again with 128 MB"
    assert page.submitted()["memory"] == ["128 MB"]
    [change] = [link for link in page.all("a") if link.text == "Change…"]
    _, form = alice.open(change["href"])
    assert form.submitted()["memory"] == ["128 MB"]


def test_a_broken_environment_shows_its_last_lines_without_secrets(hub: HubProcess, alice: Browser):
    hub.start_server("alice", {"environment": "broken"})
    row = newest(
        alice, r"The software could not be started at \d\d:\d\d: it failed with exit code 1"
    )
    assert "No module named 'no_such_module'" in row
    assert "JUPYTERHUB_API_TOKEN=…" in row and "password=…" in row and "the nonce is …" in row
    answer, page = alice.open("/hub/spawn-pending/alice")
    assert "hunter2" not in answer.text
    [get_help] = [link for link in page.all("a") if link.text == "Get help"]
    assert get_help["href"].startswith("mailto:help@example.org?subject=JupyterLab%3A%20The%20soft")
    [download] = [link for link in page.all("a") if link.text == "Download"]
    files = unpacked(alice.get(hub.url + download["href"]).content)
    assert {"request.json", "output-0.log", "how-it-ended.json", "hub.json", "node.json"} <= set(
        files
    )
    assert "hunter2" not in "".join(files.values())
    written = max(
        (hub.directory / ".shopfloor" / "people").rglob("output-0.log"), key=os.path.getmtime
    )
    secrets = re.findall(r"TOKEN=(\w{16,})|nonce is (\S{16,})", written.read_text())
    assert len(secrets) == 2
    for secret in filter(None, sum(secrets, ())):
        assert secret not in answer.text + "".join(files.values())


def unpacked(packed: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {Path(name).name: archive.read(name).decode() for name in archive.namelist()}


def test_a_missing_command_is_named(hub: HubProcess, alice: Browser):
    hub.start_server("alice", {"environment": "missing"})
    newest(alice, "the command /nonexistent/bin/shopfloor-singleuser was not found")


def test_nobody_else_gets_the_bundle(hub: HubProcess, alice: Browser):
    hub.start_server("alice", {"environment": "missing"})
    newest(alice, "the command /nonexistent/bin/shopfloor-singleuser was not found")
    _, page = alice.open("/hub/home")
    [path, *_] = [link["href"] for link in page.all("a") if link.text == "Download"]
    assert alice.get(hub.url + path).headers["Content-Type"] == "application/zip"
    other = Browser(hub)
    other.login("root-alice")
    assert other.get(hub.url + path).status_code == 404
    nobody = Browser(hub)
    assert nobody.get(hub.url + path).url.startswith(f"{hub.url}/hub/login")
    assert (
        alice.get(f"{hub.url}/hub/shopfloor/help/shopfloor-server-{'0' * 16}.zip").status_code
        == 404
    )


def test_what_was_refused_before_anything_was_made_did_not_end(hub: HubProcess, alice: Browser):
    before = rows(alice)
    assert hub.start_server("alice", {"memory": "900T"}).status_code == 400
    assert rows(alice) == before


def test_whoever_asks_again_during_a_stop_gets_the_form_when_it_has_stopped(
    hub: HubProcess, alice: Browser
):
    hub.start_server("alice", {"environment": "stubborn"})
    stop = threading.Thread(target=hub.stop_server, args=["alice"])
    stop.start()
    try:
        stopping = lambda: (hub.server("alice") or {}).get("pending") == "stop"  # noqa: E731
        wait_until(stopping, 20, "it is stopping")
        answer, form = alice.open("/hub/spawn/alice?preset=small")
        assert answer.url == f"{hub.url}/hub/spawn/alice?preset=small"
        assert form.submitted()["preset"] == ["small"]
        assert hub.server("alice") is None
    finally:
        stop.join()
