"""What can be asked for is checked on form and REST path alike; a refusal starts, submits and saves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.request import FIELDS
from shopfloor_spawners.options import options_from_form

from tests.cases import Case

NASTY = st.sampled_from(
    [
        "1\n#SBATCH --partition=gpu",
        "$(id)",
        "`id`",
        "; id",
        "--wrap=id",
        "\0",
        "1 000",
        "٣",
        "0x10",
        "1e9",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | NASTY,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
# Whatever is not a plain whole number, size, time or known name is out of every limit.
KEYS = st.sampled_from(sorted(FIELDS)) | st.sampled_from(["cmd", "preset", "req_options", "ip"])
ACCEPTED = {"cpus": 1, "memory": "512M"}
OPTIONS = st.dictionaries(KEYS, JSON, min_size=1, max_size=4)


def test_a_preset_counts_alone_and_custom_takes_the_fields():
    form = {"preset": ["one-gpu"], "cpus": ["7"], "_xsrf": ["x"], "memory": [""]}
    assert options_from_form(form) == {"preset": "one-gpu"}
    assert options_from_form({**form, "preset": ["custom"]}) == {"cpus": "7"}
    assert options_from_form({"cpus": ["7"]}) == {"cpus": "7"}
    assert options_from_form({}) == {}


def test_an_unknown_input_is_kept_for_the_check_to_refuse():
    assert options_from_form({"preset": ["one-gpu"], "cmd": ["sh"]}) == {
        "preset": "one-gpu",
        "cmd": "sh",
    }


def test_an_input_that_comes_twice_is_refused():
    with pytest.raises(Refused, match="cpus"):
        options_from_form({"cpus": ["1", "2"]})


@pytest.fixture(scope="module")
def hub(case: Case):
    """The hub, where alice's server was started once: these options are her default from then on."""
    case.hub.add_user("alice")
    case.hub.start_server("alice", ACCEPTED)
    case.hub.stop_server("alice")
    case.wait_no_jobs()
    assert saved(case.hub) == ACCEPTED
    return case.hub


def saved(hub: Any) -> Any:
    """What would be the default next time."""
    users = hub.api("GET", "users/alice", params={"include_stopped_servers": 1}).json()
    return users["servers"][""]["user_options"]


@pytest.mark.parametrize(
    ("options", "field", "limit"),
    [
        ({"cpus": 0}, "cpus", "at least 1"),
        ({"cpus": 10_000}, "cpus", "at most"),
        ({"cpus": "many"}, "cpus", "a whole number"),
        ({"cpus": 1.5}, "cpus", "a whole number"),
        ({"cpus": True}, "cpus", "a whole number"),
        ({"memory": "4 Q"}, "memory", "a size such as"),
        ({"memory": "900T"}, "memory", "at most"),
        ({"memory": 1}, "memory", "at least"),
        ({"gpus": 99}, "gpus", "at most"),
        ({"gpus": -1}, "gpus", "at least 0"),
        ({"nodes": 99}, "nodes", "at most"),
        ({"time": "900-00:00:00"}, "time", "at most"),
        ({"time": 1}, "time", "at least"),
        ({"partition": "nowhere"}, "partition", "one of"),
        ({"partition": ["cpu"]}, "partition", "a name"),
        ({"account": "else"}, "account", ""),
        ({"qos": "none\n#SBATCH -p gpu"}, "qos", "a name"),
        ({"gpu_type": "h900", "gpus": 1}, "gpu", ""),
        ({"environment": "../../bin"}, "environment", "a name"),
        ({"preset": "gold"}, "preset", "one of"),
        ({"cpu": 1}, "cpu", "did you mean 'cpus'"),
        ({"cmd": "id"}, "cmd", "no such field"),
        ({"cpus": "1" * 1_000}, "cpus", "a whole number"),
    ],
)
def test_a_refusal_names_field_value_and_limit_and_saves_nothing(
    case: Case, hub: Any, options: dict[str, Any], field: str, limit: str
):
    answer = hub.start_server("alice", options)
    assert answer.status_code == 400, answer.text
    message = answer.json()["message"]
    assert field in message
    assert limit in message
    assert len(message) < 400
    assert case.jobs() == []
    assert saved(hub) == ACCEPTED


def test_a_megabyte_is_refused(case: Case, hub: Any):
    assert hub.start_server("alice", {"cpus": "9" * 1_000_000}).status_code in (400, 413)
    assert case.jobs() == []


def test_putting_or_patching_bad_options_is_refused_as_well(case: Case, hub: Any):
    bad = {"user_options": {"cpus": 10_000}}
    answer = hub.api("PUT", "users/alice/servers/other", json={"display_name": "other", **bad})
    assert answer.status_code == 400, answer.text
    good = {"display_name": "other", "user_options": {"cpus": 1}}
    assert hub.api("PUT", "users/alice/servers/other", json=good).status_code == 201
    assert hub.api("PATCH", "users/alice/servers/other", json=bad).status_code == 400
    assert hub.api("DELETE", "users/alice/servers/other", json={"remove": True}).status_code == 204
    assert case.jobs() == []


def test_bodies_that_are_no_object_are_refused(case: Case, hub: Any):
    for body in ([1], "x", {"user_options": [1]}, {"user_options": "x"}):
        assert hub.api("POST", "users/alice/server", json=body).status_code == 400
    assert case.jobs() == []


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,  # the same examples each time: a suite that fails by luck is not believed
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(options=OPTIONS)
@example(options={"cpus": float("inf")})
@example(options={"account": [float("nan")], "preset": 1})
def test_whatever_is_sent_is_refused_or_is_within_the_offer(case: Case, hub: Any, options: Any):
    """Only what the offer itself takes may be accepted; that is found out without starting it."""
    offer = hub.api("GET", "shopfloor/offer", token=hub_token(hub)).json()
    from shopfloor_jobs.offer import Offer

    try:
        Offer.from_json(offer).check(options)
    except Refused:
        # As bytes: well-behaved clients refuse to send Infinity, which Python's json reads all the same.
        body = json.dumps({"user_options": options})
        answer = hub.api("POST", "users/alice/server", data=body.encode())
        assert answer.status_code == 400, (options, answer.text)
        assert case.jobs() == []
        assert saved(hub) == ACCEPTED


_tokens: dict[int, str] = {}


def hub_token(hub: Any) -> str:
    if id(hub) not in _tokens:
        _tokens[id(hub)] = hub.add_user("alice")
    return _tokens[id(hub)]
