"""Login through OpenID Connect: a real provider, a real hub, and what a person meets between them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from shopfloor_hub import oidc
from shopfloor_hub.check import findings
from shopfloor_hub.findings import FAIL, OK
from shopfloor_hub.site import SiteError, load, parse

from tests.harness import HubProcess, free_ports, wait_until

SECRET_KEYS = "[login]\ntype = 'oidc'\nissuer = '{issuer}'\nclient_id = '{client}'\n"


@dataclass
class Provider:
    """A provider of OpenID Connect as its own process; ``port`` on loopback."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> Provider:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oidc_provider_mock", f"--port={self.port}", "-r", "true"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, 30, "the provider answers")
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(self.issuer + oidc.WELL_KNOWN, timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def register(self, callback: str) -> tuple[str, str]:
        answer = requests.post(
            f"{self.issuer}/oauth2/clients", json={"redirect_uris": [callback]}, timeout=10
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["client_id"], answer.json()["client_secret"]

    def add(self, name: str, **claims: object) -> None:
        body = {"preferred_username": name, **claims}
        requests.put(f"{self.issuer}/users/{name}", json=body, timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider(free_ports(1)[0]).start()
    for name in ("phantom", "nobody", "mallory"):
        one.add(name, realm={"roles": ["guest" if name == "mallory" else "hpc"]})
    yield one
    one.stop()


@pytest.fixture(scope="module")
def hub(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("hub")
    one = HubProcess(
        directory, "", Path(sys.prefix), config="c.OpenIDConnect.needs_account = True\n"
    )
    client, secret = provider.register(f"{one.url}/hub/oauth_callback")
    file = directory / "oidc.secret"
    file.touch(mode=0o600)
    file.write_text(secret + "\n")
    with one.site.open("a") as site:
        site.write(SECRET_KEYS.format(issuer=provider.issuer, client=client))
        site.write("client_secret_file = 'oidc.secret'\nadmins = ['nobody']\n")
        site.write("groups_claim = 'realm.roles'\nclaim_groups = ['hpc', 'staff']\n")
    yield one.start()
    one.stop()


def sign_in(hub: HubProcess, name: str) -> tuple[requests.Session, requests.Response]:
    """Everything from the login page's button to where the person lands."""
    session = requests.Session()
    session.headers["Sec-Fetch-Mode"] = "navigate"
    page = session.get(f"{hub.url}/hub/login", timeout=10)
    assert "Sign in with localhost" in page.text
    [link] = re.findall(r"href=[\"']([^\"']*oauth_login[^\"']*)", page.text)
    form = session.get(f"{hub.url}{link}", timeout=10)
    assert "Authorize Client" in form.text
    return session, session.post(form.url, data={"sub": name}, timeout=20)


def test_a_person_signs_in_lands_on_home_and_signs_out(hub: HubProcess):
    session, landed = sign_in(hub, "nobody")
    assert landed.status_code == 200, landed.text[-2000:]
    assert landed.url == f"{hub.url}/hub/home"
    assert "Open JupyterLab" in landed.text
    assert hub.api("GET", "users/nobody").json()["admin"] is True

    session.get(f"{hub.url}/hub/logout", timeout=10)
    again = session.get(f"{hub.url}/hub/home", timeout=10)
    assert again.url.startswith(f"{hub.url}/hub/login")


def test_whom_the_cluster_does_not_know_reads_so(hub: HubProcess):
    _, landed = sign_in(hub, "phantom")
    assert landed.status_code == 403
    assert "there is no account phantom on this cluster" in landed.text
    assert hub.api("GET", "users/phantom").status_code == 404


def test_who_is_in_no_allowed_group_reads_so(hub: HubProcess):
    _, landed = sign_in(hub, "mallory")
    assert landed.status_code == 403
    assert "mallory is in none of the groups that may use this machine: hpc, staff" in landed.text


def test_an_answer_that_the_hub_did_not_ask_for_lets_nobody_in(hub: HubProcess):
    url = f"{hub.url}/hub/oauth_callback?code=made-up&state=eyJzdGF0ZV9pZCI6ICJ4In0="
    assert requests.get(url, timeout=10).status_code == 400


def test_the_secret_is_in_no_log(hub: HubProcess):
    secret = (hub.directory / "oidc.secret").read_text().strip()
    assert secret not in hub.log.read_text()


def test_check_says_that_the_provider_answers_and_the_secret_is_private(hub: HubProcess):
    site = load(hub.site)
    told = [one.text for one in findings(site) if one.text.startswith("login.") and one.level == OK]
    assert len(told) == 2 and told[0].endswith("answers") and told[1].endswith("is private")
    site.client_secret_file.chmod(0o644)
    try:
        wrong = [one.text for one in findings(site) if one.level == FAIL]
    finally:
        site.client_secret_file.chmod(0o600)
    assert wrong == [
        f"login.client_secret_file: others can read the secret; run: chmod 600 {site.client_secret_file}"
    ]


def test_a_hub_starts_again_while_the_provider_is_away(provider: Provider, tmp_path: Path):
    told = oidc.discover(provider.issuer, tmp_path / "kept.json")
    provider.stop()
    try:
        assert oidc.discover(provider.issuer, tmp_path / "kept.json") == told
        with pytest.raises(oidc.OidcError, match="does not answer as a provider"):
            oidc.discover(provider.issuer, tmp_path / "other.json")
        with pytest.raises(oidc.OidcError, match="does not answer as a provider"):
            oidc.discover(provider.issuer + "/another", tmp_path / "kept.json")
    finally:
        provider.start()


def test_another_issuers_answer_is_not_taken(provider: Provider):
    with pytest.raises(oidc.OidcError, match="does not answer for http://127"):
        # The provider calls itself by the name that it was asked by; so it is asked through another.
        oidc.check_issuer(oidc.ask(provider.issuer), f"http://127.0.0.1:{provider.port}", "url")


@pytest.mark.parametrize(
    ("path", "groups"),
    [
        ("groups", {"a", "b"}),
        ("realm.roles", {"hpc"}),
        ("one", {"x"}),
        ("realm", set()),
        ("none.at.all", set()),
        ("number", set()),
    ],
)
def test_groups_are_found_where_the_claim_says(path, groups):
    claims = {"groups": ["a", "b", 3], "realm": {"roles": ["hpc"]}, "one": "x", "number": 7}
    assert oidc.groups_in(claims, path) == groups


def test_root_and_strangers_have_no_account():
    assert oidc.has_account("nobody")
    assert not oidc.has_account("root")
    assert not oidc.has_account("no-such-person")
    assert not oidc.has_account("a\0b")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "login.issuer: is needed with type 'oidc'"),
        (
            "issuer = 'http://id.example.org'",
            "login.issuer: 'http://id.example.org' is not possible",
        ),
        ("issuer = 'https://id.example.org'", "login.client_id: is needed with type 'oidc'"),
    ],
)
def test_what_is_missing_for_it_is_named(line, problem):
    with pytest.raises(SiteError) as caught:
        parse(f"[login]\ntype = 'oidc'\n{line}\n")
    assert any(problem in one for one in caught.value.problems)
