"""Who may see whose cluster: nobody by default, those whom the owner names until then, and nobody else, ever."""

from __future__ import annotations

from typing import Any

import pytest
from shopfloor_hub.shares import (
    AT_MOST_EACH,
    LEASE,
    LONGEST,
    MOST_SHARES,
    Owner,
    Revoked,
    Shares,
    TooMany,
    TooOften,
)
from shopfloor_jobs.fields import Refused

from tests.jobs.test_shared_view import VIEW

CLUSTER = "shopfloor-cluster-0123456789abcdef"
PEOPLE = {"alice": ["vision"], "bob": ["vision"], "carol": [], "dave": []}


class Clock:
    """Epoch seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shares(clock: Clock) -> Shares:
    return Shares(clock)


def owner(name: str = "alice") -> Owner:
    return Owner(name, PEOPLE[name], PEOPLE.__contains__)


def share(shares: Shares, cluster: str = CLUSTER, **asked: Any) -> dict[str, Any]:
    """A share of alice's, with a first view told."""
    body = {"cluster": cluster, "name": "big one", "seconds": 3600, **asked}
    grant = shares.share(owner(), body).to_json()
    shares.tell(owner(), {**grant, "view": VIEW})
    return grant


def sees(shares: Shares, person: str, name: str = "alice", cluster: str = CLUSTER) -> bool:
    """Whether somebody sees a cluster: what is listed and what can be looked at are the same."""
    teams = PEOPLE[person]
    listed = [(one["owner"], one["cluster"]) for one in shares.shown_to(person, teams)]
    try:
        shares.look(person, teams, name, cluster)
    except LookupError as error:
        assert str(error.args[0]) == "No such cluster is shown to you, or no longer."
        assert (name, cluster) not in listed
        return False
    assert (name, cluster) in listed
    return True


def test_only_those_who_are_named_see_it(shares: Shares, clock: Clock):
    assert not any(sees(shares, person) for person in PEOPLE)
    share(shares, people=["carol"])
    assert [person for person in PEOPLE if sees(shares, person)] == ["carol"]
    shown = shares.look("carol", [], "alice", CLUSTER)
    assert shown["view"] == VIEW
    assert (shown["owner"], shown["told"], shown["until"]) == ("alice", clock.now, clock.now + 3600)
    (listed,) = shares.shown_to("carol", [])
    assert (listed["name"], listed["state"]) == ("big one", "running")


def test_a_team_sees_it_as_long_as_one_is_in_it(shares: Shares):
    share(shares, teams=["vision"])
    assert [person for person in PEOPLE if sees(shares, person)] == ["bob"]
    with pytest.raises(LookupError):
        shares.look("bob", [], "alice", CLUSTER)  # who has left the team


def test_a_share_ends_at_its_time_whatever_is_told(shares: Shares, clock: Clock):
    grant = share(shares, people=["carol"], seconds=200)
    clock.now += 199
    shares.tell(owner(), {**grant, "until": clock.now + LONGEST, "view": VIEW})
    assert sees(shares, "carol")
    clock.now += 1
    assert not sees(shares, "carol")
    with pytest.raises(Refused, match="until"):
        shares.tell(owner(), {**grant, "view": VIEW})


def test_what_was_taken_back_is_gone_at_once_and_cannot_be_repeated(shares: Shares, clock: Clock):
    grant = share(shares, people=["carol"])
    assert sees(shares, "carol")
    shares.revoke("alice", CLUSTER)
    assert not sees(shares, "carol")
    clock.now += 10
    with pytest.raises(Revoked):  # another Lab server of alice's that has not heard of it
        shares.tell(owner(), {**grant, "view": VIEW})
    assert not sees(shares, "carol")


def test_a_newer_share_takes_the_place_of_the_older(shares: Shares, clock: Clock):
    old = share(shares, people=["carol", "bob"])
    share(shares, people=["bob"])
    clock.now += 10
    with pytest.raises(Revoked):
        shares.tell(owner(), {**old, "view": VIEW})
    assert not sees(shares, "carol") and sees(shares, "bob")
    assert [one["people"] for one in shares.of("alice")] == [["bob"]]


def test_a_hub_that_was_restarted_knows_it_again_from_the_owner(shares: Shares, clock: Clock):
    grant = share(shares, people=["carol"])
    again = Shares(clock)
    assert not sees(again, "carol")
    again.tell(owner(), {**grant, "view": VIEW})
    assert sees(again, "carol") and again.of("alice") == [grant]


def test_a_hub_that_was_restarted_takes_no_older_share_for_a_newer_one(
    shares: Shares, clock: Clock
):
    old, new = share(shares, people=["carol"]), share(shares, people=["bob"])
    again = Shares(clock)
    again.tell(owner(), {**new, "view": VIEW})
    clock.now += 10
    with pytest.raises(Revoked):
        again.tell(owner(), {**old, "view": VIEW})
    assert sees(again, "bob") and not sees(again, "carol")


def test_what_nobody_repeats_is_forgotten(shares: Shares, clock: Clock):
    share(shares, people=["carol"])
    clock.now += LEASE
    assert sees(shares, "carol")
    clock.now += 1
    assert not sees(shares, "carol") and shares.of("alice") == []


def test_before_the_first_view_there_is_nothing_to_see(shares: Shares):
    shares.share(owner(), {"cluster": CLUSTER, "name": "x", "people": ["carol"], "seconds": 60})
    assert not sees(shares, "carol")


def test_the_owner_hears_who_looked_and_whether_somebody_does(shares: Shares, clock: Clock):
    grant = share(shares, people=["carol"])
    clock.now += 1
    assert shares.tell(owner(), {**grant, "view": VIEW})["watched"] is False
    assert sees(shares, "carol")
    looked = clock.now
    clock.now += 1
    told = shares.tell(owner(), {**grant, "view": VIEW})
    assert (told["watched"], told["looked"]) == (True, [{"name": "carol", "at": looked}])
    clock.now += 30
    told = shares.tell(owner(), {**grant, "view": VIEW})
    assert (told["watched"], told["looked"]) == (False, [{"name": "carol", "at": looked}])


def test_views_do_not_come_more_often_than_they_may(shares: Shares, clock: Clock):
    grant = share(shares, people=["carol"])
    with pytest.raises(TooOften):
        shares.tell(owner(), {**grant, "view": VIEW})
    clock.now += AT_MOST_EACH
    shares.tell(owner(), {**grant, "view": VIEW})


def test_nobody_can_tell_of_somebody_elses_cluster(shares: Shares, clock: Clock):
    grant = share(shares, people=["carol"])
    clock.now += 10
    forged = {**VIEW, "name": "forged"}
    shares.tell(owner("bob"), {**grant, "view": forged})  # bob's own, by the same id
    shares.revoke("bob", CLUSTER)
    assert shares.look("carol", [], "alice", CLUSTER)["view"] == VIEW
    assert not sees(shares, "carol", "bob")


def test_there_is_a_most_of_what_one_shares(shares: Shares):
    for number in range(MOST_SHARES):
        share(shares, f"shopfloor-cluster-{number:016x}", people=["carol"])
    with pytest.raises(TooMany, match="You show 10 clusters"):
        share(shares, people=["carol"])
    share(shares, f"shopfloor-cluster-{0:016x}", people=["bob"])  # in the place of its own


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({}, "people", "at least one person or team"),
        ({"people": ["bbo"]}, "people", "'bbo' is not possible: nobody of this name"),
        ({"people": ["alice"]}, "people", "somebody else"),
        ({"people": "bob"}, "people", "a list of names"),
        ({"people": [3]}, "people", "a list of names"),
        ({"people": ["bob"] * 21}, "people", "at most 20"),
        ({"teams": ["admins"]}, "teams", r"'admins' is not possible: one of yours \(vision\)"),
        ({"people": ["bob"], "seconds": 59}, "seconds", "from 60 to 604800"),
        ({"people": ["bob"], "seconds": 604801}, "seconds", "from 60 to 604800"),
        ({"people": ["bob"], "seconds": True}, "seconds", "a whole number"),
        ({"people": ["bob"], "cluster": "../x"}, "cluster", "a cluster's id"),
        ({"people": ["bob"], "name": ""}, "name", "1 to 40"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    shares: Shares, asked: dict[str, Any], field: str, words: str
):
    with pytest.raises(Refused, match=words) as refused:
        share(shares, **asked)
    assert refused.value.field == field
    assert shares.of("alice") == []


@pytest.mark.parametrize("id", [None, 3, "x" * 32, "0" * 31, "٣" * 32])
def test_a_share_that_is_repeated_has_an_id(shares: Shares, id: Any):
    grant = share(shares, people=["carol"])
    with pytest.raises(Refused) as refused:
        shares.tell(owner(), {**grant, "grant": id, "view": VIEW})
    assert refused.value.field == "grant"
