"""What must hold after each fault, whatever it was: one check for all rows of the table."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import requests
from shopfloor_jobs.job import Seen

from tests.cases import Case
from tests.harness import wait_until

from .person import Person

ORPHANS_GONE = 60  # seconds


def all_jobs(case: Case) -> list[Seen]:
    """Everything that Slurm still knows of, ended jobs included; they are shown for ``MinJobAge``."""
    return asyncio.run(case.scheduler.look())


def nothing_lost(case: Case, people: Iterable[Person], seconds: float = ORPHANS_GONE) -> None:
    """Wait until hub, pages, proxy and Slurm tell the same; fails with what they differ in.

    Living jobs = what API and pages show, one for each server, none without a server, and a route to each that
    is ready. No job was submitted twice, not even one that ended since.
    """
    found: list[str] = []

    def same() -> bool:
        found[:] = differences(case, list(people))
        return not found

    try:
        wait_until(same, seconds, "all tell the same", pause=0.5)
    except AssertionError as error:
        raise AssertionError("; ".join(found)) from error
    assert submitted_twice(case) == []


def submitted_twice(case: Case) -> list[str]:
    """Tags with more than one job; the workers of a Dask cluster may be copies of one."""
    counts = Counter((job.tag, job.index) for job in all_jobs(case))
    return [tag for (tag, _), count in counts.items() if count > 1]


def differences(case: Case, people: list[Person]) -> list[str]:
    """In words; empty when all tell the same."""
    jobs = {job.tag: job for job in case.jobs()}
    meant: set[str] = set()
    words = []
    for user in case.hub.api("GET", "users", expect=200).json():
        for server in user["servers"].values():
            tag = ((server["state"] or {}).get("shopfloor") or {}).get("tag", "")
            meant.add(tag)
            name = f"{user['name']}/{server['name']}"
            if server["pending"] in ("stop", "check"):
                words.append(f"{name} is not settled: {server['pending']}")
            if tag not in jobs:
                words.append(f"{name} has no job")
            elif server["ready"] and (answer := _through_proxy(case, user, server)) != tag:
                words.append(f"the route of {name} leads to {answer!r}")
    words += [
        f"{job.id} of {job.owner} is an orphan" for job in jobs.values() if job.tag not in meant
    ]
    for person in people:
        mine = {job.tag for job in jobs.values() if job.owner == person.name}
        words += _told_otherwise(person, mine)
    return words


def _through_proxy(case: Case, user: dict, server: dict) -> str:
    """The tag of the job that the public address of a server leads to."""
    url = case.hub.url + server["url"] + "api"
    try:
        answer = requests.get(url, timeout=10)
    except requests.RequestException as error:
        return str(error)
    if server["user_options"].get("preset") == "lab" and answer.ok and "version" in answer.json():
        return server["state"]["shopfloor"]["tag"]
    return answer.text[:100]


def _told_otherwise(person: Person, mine: set[str]) -> list[str]:
    """Where API or home page tell this person of other jobs than theirs."""
    words = []
    answer = person.hub.api("GET", "shopfloor/jobs", token=person.token, expect=200).json()
    told = {job["tag"] for job in answer["jobs"] if job["state"] != "ended"}
    if told != mine:
        words.append(f"the API tells {person.name} of {sorted(told)}, there are {sorted(mine)}")
    if answer["health"]["trouble"]:
        words.append(f"the API says: {answer['health']['trouble']}")
    home = person.home()
    shown = sum(
        one.attributes.get("class") == "sf-server" and "data-state" in one for one in home.all("li")
    )
    if shown != len(mine):
        words.append(
            f"{person.name}'s page shows {shown} servers, not {len(mine)}: {home.text[:500]}"
        )
    return words
