"""Every route of the server extension as somebody else asks it: without a token, and as another person of the hub."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cases import Case

from .routes import BY_TICKET, ROUTES

# Jupyter's own server with our extension; the methods that each handler answers, by the pattern of its path.
REGISTERED = """
import json, os
from jupyter_server.serverapp import ServerApp
from tornado.web import RequestHandler

server = ServerApp.instance()
server.initialize(["--ServerApp.jpserver_extensions=shopfloor_lab=True"], new_httpserver=False)
found = {
    rule.matcher.regex.pattern.removesuffix("$").split("shopfloor/api/")[1]: [
        verb.upper()
        for verb in ("get", "post", "put", "patch", "delete")
        if getattr(rule.target, verb) is not RequestHandler._unimplemented_method
    ]
    for group in server.web_app.default_router.rules
    for rule in group.target.rules
    if "shopfloor/api/" in rule.matcher.regex.pattern
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def others(local_hub: Case) -> Iterator[tuple[str, str, str]]:
    """Where alice's server answers, her token, and bob's."""
    hub = local_hub.hub
    tokens = [hub.add_user(name) for name in ("alice", "bob")]
    hub.start_server("alice")
    hub.wait_server("alice")
    yield f"{hub.url}/user/alice/shopfloor/api/", *tokens
    hub.stop_server("alice")
    local_hub.wait_no_jobs()


def test_no_route_is_missing_here(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REGISTERED],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    registered = json.loads(done.stdout.splitlines()[-1])
    missing = [
        (verb, pattern)
        for pattern, verbs in registered.items()
        for verb in verbs
        if not any(
            verb == one and re.fullmatch(pattern, path) for one, path in [*ROUTES, *BY_TICKET]
        )
    ]
    assert registered and missing == []


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *BY_TICKET])
def test_another_person_of_the_hub_gets_nothing(others, method: str, path: str) -> None:
    base, _, bob = others
    bearer = {"Authorization": f"token {bob}"}
    for headers in (bearer, {}):
        answer = requests.request(
            method, base + path, headers=headers, timeout=30, allow_redirects=False
        )
        # Without a token he is sent to log in, which as himself leads to the same 403.
        assert answer.status_code == 403 or (answer.status_code == 302 and not headers)
        assert "shopfloor-" not in answer.text.replace(path, "")


def test_her_own_token_opens_them(others) -> None:
    base, alice, _ = others
    answer = requests.get(
        f"{base}clusters", headers={"Authorization": f"token {alice}"}, timeout=30
    )
    assert answer.status_code == 200 and answer.json()["clusters"] == []
