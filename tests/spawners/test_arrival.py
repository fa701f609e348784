"""A server reports its port once, with its own token and nonce; nobody else and nothing else gets in."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cases import Case
from tests.harness import wait_until

WAITING = {"cpus": 1, "memory": "512M"}


@pytest.fixture(scope="module")
def waiting(local_hub: Case) -> Iterator[dict[str, Any]]:
    """Bob's server, ready; its intent as the hub's database holds it, tokens of bob's and alice's servers."""
    hub = local_hub.hub
    hub.add_user("bob")
    hub.add_user("alice")
    hub.start_server("bob", WAITING)
    hub.start_server("alice", WAITING)
    hub.wait_server("bob")
    hub.wait_server("alice")
    yield {"bob": intent(local_hub, "bob"), "alice": intent(local_hub, "alice")}
    hub.stop_server("bob")
    hub.stop_server("alice")
    local_hub.wait_no_jobs()


def intent(case: Case, name: str) -> dict[str, Any]:
    return case.hub.server(name)["state"]["shopfloor"]


def report(case: Case, token: str, body: Any) -> int:
    return case.hub.api("POST", "shopfloor/arrival", token=token, json=body).status_code


def test_the_same_report_again_is_answered_200_and_changes_nothing(local_hub: Case, waiting: Any):
    bob = waiting["bob"]
    assert report(local_hub, bob["api_token"], {"port": bob["port"], "nonce": bob["nonce"]}) == 200
    assert intent(local_hub, "bob") == bob


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"port": 40000}, 409),
        ({"port": "40000"}, 400),
        ({"port": 40000.5}, 400),
        ({"port": True}, 400),
        ({"port": None}, 400),
        ({"port": 22}, 400),
        ({"port": 70000}, 400),
        ({"port": -1}, 400),
        ({"nonce": "guessed"}, 403),
        ({"nonce": ""}, 403),
        ({"nonce": None}, 403),
        ({"ip": "10.0.0.1"}, 400),
        ({"cmd": ["sh"]}, 400),
        ({"user_options": {}}, 400),
    ],
)
def test_any_other_report_is_refused_and_changes_nothing(
    local_hub: Case, waiting: Any, change: dict[str, Any], status: int
):
    bob = waiting["bob"]
    body = {"port": bob["port"], "nonce": bob["nonce"], **change}
    assert report(local_hub, bob["api_token"], body) == status
    assert intent(local_hub, "bob") == bob


@pytest.mark.parametrize("body", [[], "port", 5, None, {}, {"port": 40000}, {"nonce": "x"}])
def test_a_report_of_another_shape_is_refused(local_hub: Case, waiting: Any, body: Any):
    assert report(local_hub, waiting["bob"]["api_token"], body) == 400
    assert intent(local_hub, "bob") == waiting["bob"]


def test_another_servers_token_cannot_report_for_this_one(local_hub: Case, waiting: Any):
    bob, alice = waiting["bob"], waiting["alice"]
    body = {"port": bob["port"], "nonce": bob["nonce"]}
    assert report(local_hub, alice["api_token"], body) == 403
    assert report(local_hub, local_hub.hub.admin_token, body) in (403, 404)
    assert report(local_hub, local_hub.hub.add_user("bob"), body) == 404
    assert report(local_hub, "0" * 32, body) == 403
    assert intent(local_hub, "bob") == bob
    assert intent(local_hub, "alice") == alice


def test_a_huge_report_is_refused(local_hub: Case, waiting: Any):
    answer = local_hub.hub.api(
        "POST",
        "shopfloor/arrival",
        token=waiting["bob"]["api_token"],
        data=b'{"port": 40000, "nonce": "' + b"x" * 1_000_000 + b'"}',
    )
    assert answer.status_code == 413


def test_a_report_is_not_refused_for_good_while_the_hub_cannot_read_its_database(
    local_hub: Case, waiting: Any
):
    bob = waiting["bob"]
    body = {"port": bob["port"], "nonce": bob["nonce"]}
    database = local_hub.hub.directory / ".shopfloor" / "hub.sqlite"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE api_tokens RENAME TO elsewhere")
        try:
            assert report(local_hub, bob["api_token"], body) == 503
        finally:
            connection.execute("ALTER TABLE elsewhere RENAME TO api_tokens")
    assert report(local_hub, bob["api_token"], body) == 200


def test_batchspawners_own_route_is_gone(local_hub: Case, waiting: Any):
    answer = local_hub.hub.api(
        "POST", "batchspawner", token=waiting["bob"]["api_token"], json={"port": 1}
    )
    assert answer.status_code == 404
    assert intent(local_hub, "bob") == waiting["bob"]


def test_a_report_after_the_stop_is_refused_for_its_token_is_dead(local_hub: Case):
    hub = local_hub.hub
    hub.add_user("trainer")
    hub.start_server("trainer", WAITING)
    hub.wait_server("trainer")
    old = intent(local_hub, "trainer")
    hub.stop_server("trainer")
    wait_until(lambda: hub.server("trainer") is None, 30, "the server is gone")
    assert report(local_hub, old["api_token"], {"port": old["port"], "nonce": old["nonce"]}) == 403
    assert hub.api("GET", "user", token=old["api_token"]).status_code == 403
