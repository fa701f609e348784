"""A hub on the shipped configuration: it serves its API to who may ask, and does not start half-configured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.harness import CONFIG


def test_the_configuration_is_short():
    assert len(CONFIG.read_text().splitlines()) <= 40


def token_of(hub, name: str) -> str:
    answer = requests.post(
        f"{hub.url}/hub/api/users/{name}/tokens",
        headers={"Authorization": f"token {hub.admin_token}"},
        json={"note": "test"},
        timeout=10,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def get_offer(hub, token: str | None) -> requests.Response:
    headers = {"Authorization": f"token {token}"} if token else {}
    return requests.get(f"{hub.url}/hub/api/shopfloor/offer", headers=headers, timeout=10)


def make_user(hub, name: str) -> None:
    headers = {"Authorization": f"token {hub.admin_token}"}
    answer = requests.post(f"{hub.url}/hub/api/users/{name}", headers=headers, timeout=10)
    assert answer.status_code in (201, 409), answer.text


def test_a_token_gets_the_offer_of_its_own_person_and_nobody_elses(local_hub):
    hub = local_hub.hub
    for name in ("alice", "bob"):
        make_user(hub, name)
        offer = get_offer(hub, token_of(hub, name))
        assert offer.status_code == 200
        assert offer.json()["person"] == name
        assert offer.json()["scheduler_config"] == {
            "type": "local",
            "state": str(hub.directory / ".shopfloor"),
        }


def test_without_a_person_there_is_no_offer(local_hub):
    assert get_offer(local_hub.hub, None).status_code == 403
    assert get_offer(local_hub.hub, "f" * 32).status_code == 403
    assert get_offer(local_hub.hub, local_hub.hub.admin_token).status_code == 403


def ask_outlook(hub, token: str, **body) -> requests.Response:
    headers = {"Authorization": f"token {token}"}
    url = f"{hub.url}/hub/api/shopfloor/outlook"
    return requests.post(url, headers=headers, json=body, timeout=20)


def test_a_servers_token_asks_for_the_outlook_of_its_own_person(local_hub):
    """With what a server may do and no more: Lab's form for clusters asks so."""
    hub = local_hub.hub
    make_user(hub, "alice")
    scopes = ["access:servers!server=alice/", "users:activity!user=alice"]
    made = hub.api("POST", "users/alice/tokens", expect=201, json={"scopes": scopes})
    answer = ask_outlook(hub, made.json()["token"], user_options={"cpus": 1}, count=3)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["start"]["kind"] == "now" and said["room"] >= 1 and said["rooms"]
    assert ask_outlook(hub, "f" * 32, user_options={}).status_code == 403
    assert ask_outlook(hub, hub.admin_token, user_options={}).status_code == 403


def test_the_room_alone_is_told_without_asking_the_scheduler(local_hub):
    make_user(local_hub.hub, "alice")
    token = token_of(local_hub.hub, "alice")
    answer = ask_outlook(local_hub.hub, token, user_options={"cpus": 1}, estimate=False)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"room"} and answer.json()["room"] >= 1
    refused = ask_outlook(local_hub.hub, token, user_options={"cpus": 0}, estimate=False)
    assert refused.status_code == 400


@pytest.mark.parametrize("count", [0, -1, 1001, "3", 1.5, True, None])
def test_an_outlook_for_no_number_of_jobs_is_a_400(local_hub, count):
    make_user(local_hub.hub, "alice")
    token = token_of(local_hub.hub, "alice")
    answer = ask_outlook(local_hub.hub, token, user_options={}, count=count)
    assert answer.status_code == 400 and "count: " in answer.text


def test_the_state_is_private(local_hub):
    state = local_hub.hub.directory / ".shopfloor"
    assert state.stat().st_mode & 0o077 == 0
    for name in ("hub.sqlite", "cookie_secret", "proxy.env", "passwords.json"):
        assert (state / name).stat().st_mode & 0o077 == 0, name


def test_pages_carry_the_security_headers(local_hub):
    headers = requests.get(f"{local_hub.hub.url}/hub/login", timeout=10).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[hub]\nprt = 1\n", "line 2: hub.prt: there is no such key, did you mean 'port'?"),
        ("", "passwords.json: the passwords cannot be read: No such file or directory"),
    ],
)
def test_a_hub_that_is_not_wholly_configured_does_not_start(tmp_path: Path, text, sentence):
    site = tmp_path / "site.toml"
    site.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)],
        env={"SHOPFLOOR_SITE": str(site), "PATH": f"{sys.prefix}/bin:/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def log_in(hub, name: str, password: str) -> int:
    """The status after the login form was sent and redirects were followed."""
    session = requests.Session()
    session.headers["Sec-Fetch-Mode"] = "navigate"
    page = f"{hub.url}/hub/login"
    session.get(page, timeout=10)
    form = {"username": name, "password": password, "_xsrf": session.cookies["_xsrf"]}
    return session.post(page, data=form, timeout=30).status_code


def test_people_log_in_with_their_own_password_only(case):
    assert log_in(case.hub, "alice", case.passwords["alice"]) == 200
    assert log_in(case.hub, "alice", case.passwords["bob"]) == 403
    assert log_in(case.hub, "bob", "") == 403
    assert log_in(case.hub, "root", case.passwords["alice"]) == 403
