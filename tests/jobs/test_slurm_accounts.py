"""Projects, limits and reservations as Slurm 22.05 prints them, cut to the keys that are read."""

from __future__ import annotations

from shopfloor_jobs.accounts import Account
from shopfloor_jobs.slurm_accounts import parse

HEAD = "Current Association Manager state\nAssociation Records\n"
CONFIG = "Configuration data as of now\nAccountingStorageEnforce = associations,limits,qos\nPrivateData = none\n"


def association(
    account: str, user: str, parent: str, gpu: str, default: str = "No", wall: str = ""
) -> str:
    return (
        f"ClusterName=c Account={account} UserName={user} Partition= Priority=0 ParentAccount={parent} Lft=1"
        f" DefAssoc={default} GrpJobs=N(0) GrpTRESMins=cpu=N(7),gres/gpu={gpu} GrpTRESRunMins=gres/gpu=N(3)"
        f" MaxWallPJ={wall} MinPrioThresh=\n"
    )


ASSOCIATIONS = HEAD + "".join(
    [
        association("root", "", "", "N(900)"),
        association("science", "", "root(1)", "100(90)"),
        association("vision", "", "science(2)", "200(30)"),
        association("vision", "alice(1001)", "", "N(5)", "Yes", wall="60"),
        association("climate", "", "root(1)", "N(42)"),
        association("climate", "bob(1002)", "", "N(2)"),
        association("climate", "alice(1001)", "", "N(1)"),
    ]
)
QOS = "root||normal|\nvision|alice|normal,short|normal\nclimate|bob|normal|\n"
RESERVATIONS = (
    "ReservationName=course StartTime=100 EndTime=200 Duration=01:00:00 Nodes=gpu02 PartitionName=(null)"
    " Users=alice,carol Groups=(null) Accounts=(null) State=ACTIVE\n"
    "ReservationName=team StartTime=100 EndTime=200 PartitionName=gpu Users=(null) Accounts=vision,-climate\n"
)
ACCOUNTS = parse(ASSOCIATIONS, QOS, RESERVATIONS, CONFIG)


def test_a_person_has_their_projects_with_what_is_left_of_the_tightest_limit_above():
    assert ACCOUNTS.of("alice") == (
        Account("vision", True, ("normal", "short"), "normal", 100 * 60, 90 * 60, 3600),
        Account("climate", False, (), "", None, 42 * 60, None),
    )
    assert ACCOUNTS.of("alice")[0].gpu_left == 600
    assert ACCOUNTS.of("nobody") == ()


def test_what_is_charged_is_the_named_project_or_the_usual_one():
    assert ACCOUNTS.charged("alice").name == "vision"
    assert ACCOUNTS.charged("alice", "climate").gpu_left is None
    assert ACCOUNTS.charged("bob", "vision") is None


def test_reservations_are_for_the_people_and_projects_that_they_name():
    names = {
        person: [one.name for one in ACCOUNTS.reservations_for(person, now=150)]
        for person in ("alice", "carol", "bob")
    }
    assert names == {"alice": ["course", "team"], "carol": ["course"], "bob": []}
    assert ACCOUNTS.reservations_for("alice", now=300) == ()
    assert ACCOUNTS.reservations[1].partition == "gpu"


def test_whether_a_project_is_needed_is_slurms_setting():
    assert ACCOUNTS.enforced
    assert not parse(ASSOCIATIONS, QOS, "", "AccountingStorageEnforce = none\n").enforced
    assert parse("", "", "No reservations in the system\n", "").people == {}
