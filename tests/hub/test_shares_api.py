"""Views between people through a real hub: identity is the token's, and every refusal is a status and a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cases import Case, end_case, local_case
from tests.jobs.test_shared_view import VIEW

CLUSTER = "shopfloor-cluster-0123456789abcdef"
BODY = {"cluster": CLUSTER, "name": "big one", "seconds": 3600}
SHARED = f"shopfloor/shared/alice/{CLUSTER}"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    groups = '[[groups]]\nname = "vision"\nmembers = ["alice", "bob"]\n'
    made = local_case(tmp_path_factory.mktemp("hub"), extra=groups)
    yield made
    end_case(made)


@pytest.fixture(scope="module")
def tokens(case: Case) -> dict[str, str]:
    return {name: case.hub.add_user(name) for name in ("alice", "bob", "carol")}


@pytest.fixture(autouse=True)
def nothing_shared(case: Case, tokens: dict[str, str]) -> Iterator[None]:
    yield
    case.hub.api("DELETE", f"shopfloor/shares/{CLUSTER}", tokens["alice"], expect=200)


def begin(case: Case, tokens: dict[str, str], **asked: Any) -> dict[str, Any]:
    body = {**BODY, **asked}
    grant = case.hub.api("POST", "shopfloor/shares", tokens["alice"], 201, json=body).json()
    tell(case, tokens, grant, 200)
    return grant


def tell(case: Case, tokens: dict[str, str], grant: dict[str, Any], expect: int) -> None:
    body = {**grant, "view": VIEW}
    case.hub.api("PUT", f"shopfloor/shares/{CLUSTER}", tokens["alice"], expect, json=body)


def test_a_team_member_sees_it_and_nobody_else(case: Case, tokens: dict[str, str]):
    begin(case, tokens, teams=["vision"])
    assert case.hub.api("GET", SHARED, tokens["bob"], 200).json()["view"] == VIEW
    (one,) = case.hub.api("GET", "shopfloor/shared", tokens["bob"], 200).json()["shared"]
    assert (one["owner"], one["cluster"], one["name"]) == ("alice", CLUSTER, "big one")

    refused = case.hub.api("GET", SHARED, tokens["carol"], 404).json()
    other = f"shopfloor/shared/alice/{CLUSTER[:-1]}0"
    missing = case.hub.api("GET", other, tokens["carol"], 404).json()
    assert refused == missing, "whoever it is not shown to does not learn that it is there"
    assert case.hub.api("GET", "shopfloor/shared", tokens["carol"], 200).json() == {"shared": []}

    mine = case.hub.api("GET", "shopfloor/shares", tokens["alice"], 200).json()
    assert [one["teams"] for one in mine["shares"]] == [["vision"]]
    assert mine["teams"] == ["vision"]
    assert case.hub.api("GET", "shopfloor/shares", tokens["carol"], 200).json() == {
        "shares": [],
        "teams": [],
    }


def test_leaving_the_team_ends_it_at_once(case: Case, tokens: dict[str, str]):
    begin(case, tokens, teams=["vision"])
    case.hub.api("GET", SHARED, tokens["bob"], 200)
    members = {"json": {"users": ["bob"]}}
    case.hub.api("DELETE", "groups/vision/users", expect=200, **members)
    try:
        case.hub.api("GET", SHARED, tokens["bob"], 404)
    finally:
        case.hub.api("POST", "groups/vision/users", expect=200, **members)


def test_taking_it_back_ends_it_at_once(case: Case, tokens: dict[str, str]):
    grant = begin(case, tokens, people=["carol"])
    case.hub.api("GET", SHARED, tokens["carol"], 200)
    case.hub.api("DELETE", f"shopfloor/shares/{CLUSTER}", tokens["bob"], 200)
    case.hub.api("GET", SHARED, tokens["carol"], 200)  # it was not bob's to take back
    case.hub.api("DELETE", f"shopfloor/shares/{CLUSTER}", tokens["alice"], 200)
    case.hub.api("GET", SHARED, tokens["carol"], 404)
    tell(case, tokens, grant, 410)


def test_a_hub_that_is_restarted_shows_it_when_the_owner_tells_again(
    case: Case, tokens: dict[str, str]
):
    grant = begin(case, tokens, people=["carol"])
    case.hub.kill_hub()
    case.hub.start_hub()
    case.hub.api("GET", SHARED, tokens["carol"], 404)
    tell(case, tokens, grant, 200)
    case.hub.api("GET", SHARED, tokens["carol"], 200)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"people": ["nobody-here"]}, "people"),
        ({"teams": ["others"]}, "teams"),
        ({"people": ["bob"], "seconds": 10**9}, "seconds"),
        ({}, "people"),
    ],
)
def test_a_refusal_names_the_field(
    case: Case, tokens: dict[str, str], asked: dict[str, Any], field: str
):
    answer = case.hub.api("POST", "shopfloor/shares", tokens["alice"], 400, json={**BODY, **asked})
    assert answer.json()["field"] == field
    assert answer.json()["message"].startswith(f"{field}: ")


def test_what_is_no_view_is_refused(case: Case, tokens: dict[str, str]):
    asked = {**BODY, "people": ["carol"]}
    grant = case.hub.api("POST", "shopfloor/shares", tokens["alice"], 201, json=asked).json()
    path = f"shopfloor/shares/{CLUSTER}"
    body = {**grant, "view": {**VIEW, "state": "<script>"}}
    answer = case.hub.api("PUT", path, tokens["alice"], 400, json=body)
    assert answer.json()["field"] == "view.state"
    long = json.dumps({**grant, "view": {**VIEW, "reason": "x" * 600_000}})
    case.hub.api("PUT", path, tokens["alice"], 413, data=long)
    for body in ("[]", "{", "3"):
        case.hub.api("PUT", path, tokens["alice"], 400, data=body)


def test_a_token_that_may_not_act_for_the_person_does_nothing(case: Case, tokens: dict[str, str]):
    begin(case, tokens, people=["carol"])
    for scopes in (["read:users:name!user=carol"], ["users:activity!user=carol"]):
        body = {"scopes": scopes}
        made = case.hub.api("POST", "users/carol/tokens", tokens["carol"], 201, json=body)
        narrow = made.json()["token"]
        for method, path in (
            ("GET", SHARED),
            ("GET", "shopfloor/shared"),
            ("GET", "shopfloor/shares"),
            ("POST", "shopfloor/shares"),
            ("PUT", f"shopfloor/shares/{CLUSTER}"),
            ("DELETE", f"shopfloor/shares/{CLUSTER}"),
        ):
            case.hub.api(method, path, narrow, 403, json={})
    for token in (case.hub.admin_token, "0" * 32):
        case.hub.api("GET", SHARED, token, 403)


def test_the_servers_own_token_is_enough_for_its_person_alone(case: Case, tokens: dict[str, str]):
    begin(case, tokens, people=["carol"])
    for scope, expected in (
        ("access:servers!server=carol/", 200),
        ("access:servers!server=carol/named", 200),
    ):
        body = {"scopes": [scope]}
        made = case.hub.api("POST", "users/carol/tokens", tokens["carol"], 201, json=body)
        case.hub.api("GET", SHARED, made.json()["token"], expected)
