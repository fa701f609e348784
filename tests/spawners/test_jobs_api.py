"""What a node asks the hub: a person's own jobs, an answer that costs nothing while nothing is new, nobody else's."""

from __future__ import annotations

import pytest

from tests.cases import Case
from tests.harness import wait_until

SMALL = {"cpus": 1, "memory": "512M"}


@pytest.fixture(scope="module")
def tokens(case: Case):
    names = ("alice", "bob")
    tokens = {name: case.hub.add_user(name) for name in names}
    case.hub.start_server("alice", SMALL)
    case.hub.wait_server("alice")
    yield tokens
    case.hub.stop_server("alice")
    case.cancel_all()


def ask(case: Case, token: str, etag: str = ""):
    headers = {"Authorization": f"token {token}", **({"If-None-Match": etag} if etag else {})}
    return case.hub.api("GET", "shopfloor/jobs", token=token, headers=headers)


def test_a_person_sees_their_own_jobs_and_how_old_the_answer_is(case: Case, tokens):
    [real] = case.jobs()

    def told():
        answer = ask(case, tokens["alice"]).json()
        # Slurm shows for a while what ended before.
        living = [one for one in answer["jobs"] if one["state"] != "ended"]
        return (answer, living) if living else None

    answer, living = wait_until(told, 20, "the hub has seen the job")
    assert [(job["id"], job["tag"], job["owner"]) for job in living] == [
        (real.id, real.tag, "alice")
    ]
    assert {job["owner"] for job in answer["jobs"]} == {"alice"}
    assert answer["health"]["trouble"] == ""
    assert answer["health"]["looked"] > 0


def test_nobody_sees_somebody_elses(case: Case, tokens):
    assert {job["owner"] for job in ask(case, tokens["bob"]).json()["jobs"]} <= {"bob"}
    assert ask(case, case.hub.admin_token).status_code == 403
    assert ask(case, "0" * 32).status_code == 403


def test_the_servers_own_token_is_enough(case: Case, tokens):
    token = case.hub.server("alice")["state"]["shopfloor"]["api_token"]
    assert ask(case, token).status_code == 200


def test_as_long_as_there_was_no_other_look_the_answer_is_304(case: Case, tokens):
    def not_modified():
        # The view may look between the two questions, once.
        etag = ask(case, tokens["alice"]).headers["ETag"]
        return ask(case, tokens["alice"], etag).status_code == 304

    assert wait_until(not_modified, 20, "the answer is 304")
    assert ask(case, tokens["alice"], '"another"').status_code == 200
