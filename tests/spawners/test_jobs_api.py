"""What a node asks the hub: a person's own jobs, an answer that costs nothing while nothing is new, nobody else's."""

from __future__ import annotations

import pytest
from shopfloor_jobs.job import kind_of

from tests.cases import Case
from tests.harness import wait_until
from tests.stand_ins import stand_in

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


def test_as_long_as_nothing_changes_the_answer_is_304_however_often_the_hub_looks(
    case: Case, tokens
):
    def not_modified():
        # A job that ended before may leave Slurm's list between the two questions, once.
        before = ask(case, tokens["alice"])

        def looked_again():
            return ask(case, tokens["alice"]).json()["health"] != before.json()["health"]

        wait_until(looked_again, 20, "the hub has looked again")
        return ask(case, tokens["alice"], before.headers["ETag"]).status_code == 304

    assert wait_until(not_modified, 40, "the answer is 304")
    assert ask(case, tokens["alice"], '"another"').status_code == 200


CLUSTER = "shopfloor-cluster-0123456789abcdef"


def access(case: Case, token: str, tag: object = CLUSTER, time: object = 600):
    return case.hub.api("POST", "shopfloor/access", token=token, json={"tag": tag, "time": time})


def test_a_cluster_sees_its_owners_jobs_until_it_gives_its_token_back_and_can_do_nothing_else(
    case: Case, tokens
):
    answer = access(case, tokens["alice"])
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert {job["owner"] for job in ask(case, token).json()["jobs"]} == {"alice"}
    assert access(case, token).status_code == 403
    # JupyterHub tells every token whose it is, and no more.
    told = case.hub.api("GET", "users/alice", token=token).json()
    assert told["name"] == "alice" and not {"servers", "auth_state", "created"} & set(told)
    assert case.hub.api("DELETE", "users/alice/server", token=token).status_code in (403, 404)
    assert case.hub.api("DELETE", "shopfloor/access", token=tokens["alice"]).status_code == 403
    assert ask(case, tokens["alice"]).status_code == 200
    assert case.hub.api("DELETE", "shopfloor/access", token=token).status_code == 204
    assert ask(case, token).status_code == 403


@pytest.mark.parametrize(
    ("field", "tag", "time"),
    [
        # A server's name is trusted by hub and proxy.
        ("tag", "shopfloor-server-0123456789abcdef", 600),
        ("tag", CLUSTER + "0", 600),
        ("tag", None, 600),
        ("time", CLUSTER, 0),
        ("time", CLUSTER, True),
        ("time", CLUSTER, 10**9),
    ],
)
def test_what_is_no_clusters_gets_no_access(case: Case, tokens, field: str, tag, time):
    answer = access(case, tokens["alice"], tag, time)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{field}: ")


def test_what_a_cluster_cannot_give_back_its_owner_ends_and_nobody_else(case: Case, tokens):
    other = CLUSTER[:-1] + "0"
    killed, living = (
        access(case, tokens["alice"], tag).json()["token"] for tag in (CLUSTER, other)
    )
    path = f"shopfloor/access/{CLUSTER}"
    case.hub.api("DELETE", path, living, 403)
    case.hub.api("DELETE", path, tokens["bob"], 204)  # one of his own, of which there is none
    assert ask(case, killed).status_code == 200
    case.hub.api("DELETE", path, tokens["alice"], 204)
    assert ask(case, killed).status_code == 403
    assert ask(case, living).status_code == ask(case, tokens["alice"]).status_code == 200
    case.hub.api("DELETE", "shopfloor/access", living, 204)


def test_nobody_gets_access_in_anothers_name(case: Case, tokens):
    assert access(case, case.hub.admin_token).status_code == 403
    assert access(case, "0" * 32).status_code == 403


def test_her_own_kernels_and_clusters_she_ends_and_whoever_may_end_her_servers(case: Case, tokens):
    kernel = stand_in(case, "alice", "kernel")
    cluster = stand_in(case, "alice", "cluster")
    workers = stand_in(case, "alice", "worker", cluster=cluster, count=2)

    def end(tag: str, token: str | None) -> int:
        return case.hub.api("DELETE", f"shopfloor/users/alice/jobs/{tag}", token).status_code

    # bob is not told whether there is such a person, and she ends her server elsewhere.
    [server] = [job.tag for job in case.jobs() if kind_of(job.tag) == "server"]
    assert [end(kernel, tokens["bob"]), end(server, tokens["alice"])] == [404, 404]
    assert end(workers, tokens["alice"]) == 404, "they are their cluster's"
    wait_until(lambda: end(kernel, tokens["alice"]) in (202, 204), 30, "the hub knows of it")
    assert end(cluster, case.hub.admin_token) in (202, 204)
    wait_until(lambda: len(case.jobs()) == 1, 30, "only her server is left", pause=0.2)
    wait_until(lambda: end(kernel, tokens["alice"]) == 404, 30, "the hub has seen it")
    wait_until(lambda: end(cluster, tokens["alice"]) == 404, 30, "the hub has seen it")


QUESTIONS = [
    ("GET", "shopfloor/jobs", None),
    ("GET", "shopfloor/offer", None),
    ("POST", "shopfloor/outlook", {"user_options": {}}),
    ("POST", "shopfloor/access", {"tag": CLUSTER, "time": 600}),
]


@pytest.mark.parametrize(("method", "path", "body"), QUESTIONS)
def test_whom_she_visits_may_not_ask_as_her(local_hub: Case, method: str, path: str, body):
    """A server of bob's that a trainer opens, and any service, is given a token of hers, to know who she is."""
    hub, options = local_hub.hub, {} if body is None else {"json": body}
    whole = hub.add_user("trainer")
    for scope in ("access:servers!server=bob/", "read:users:name!user=trainer"):
        made = hub.api("POST", "users/trainer/tokens", whole, 201, json={"scopes": [scope]})
        hub.api(method, path, made.json()["token"], 403, **options)
    assert hub.api(method, path, whole, **options).status_code in (200, 201)


@pytest.mark.parametrize(("method", "path", "body"), QUESTIONS)
def test_her_servers_own_token_is_enough_for_each(case: Case, tokens, method: str, path: str, body):
    token = case.hub.server("alice")["state"]["shopfloor"]["api_token"]
    options = {} if body is None else {"json": body}
    assert case.hub.api(method, path, token, **options).status_code in (200, 201)


def test_of_the_hub_a_cluster_asks_for_jobs_and_offer_alone(case: Case, tokens):
    token = access(case, tokens["alice"]).json()["token"]
    for method, path, body in QUESTIONS:
        options = {} if body is None else {"json": body}
        status = 200 if method == "GET" else 403
        case.hub.api(method, path, token, status, **options)
    case.hub.api("DELETE", "shopfloor/access", token, 204)
