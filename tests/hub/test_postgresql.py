"""The hub on a real PostgreSQL: it starts, is restarted, and outlives a database that goes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from shopfloor_hub import database
from shopfloor_hub.check import findings
from shopfloor_hub.findings import FAIL, OK, WARN
from shopfloor_hub.site import Site, load, parse
from shopfloor_jobs.directory import read_json
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import scheduler_from

from tests.cases import PASSWORDS, Case
from tests.harness import HubProcess, wait_until
from tests.hub.postgres import Postgres

# It needs a Debian package, which `make test ONLY=local` does not ask for.
pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    one = Postgres()
    yield one.start()
    one.remove()


@pytest.fixture(scope="module")
def case(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    directory = tmp_path_factory.mktemp("hub")
    state = directory / ".shopfloor"
    state.mkdir(mode=0o700)
    (state / "passwords.json").touch(mode=0o600)
    (state / "passwords.json").write_text(json.dumps(PASSWORDS))
    tables = f'database = "{postgres.url}"\n[login]\nadmins = ["trainer"]\n'
    hub = HubProcess(directory, tables, Path(sys.prefix))
    scheduler = scheduler_from({"type": "local", "state": str(state)})
    one = Case("local", hub.start(), scheduler, PASSWORDS)
    yield one
    hub.stop()
    one.cancel_all()


def hub_database(site: Site) -> list[tuple[str, str]]:
    return [(one.level, one.text) for one in findings(site) if one.text.startswith("hub.database")]


def answers(case: Case, token: str) -> bool:
    headers = {"Authorization": f"token {token}"}
    answer = requests.get(f"{case.hub.url}/user/alice/api/status", headers=headers, timeout=10)
    return answer.status_code == 200


def test_a_server_starts_and_its_state_is_in_postgresql_alone(case: Case, postgres: Postgres):
    token = case.hub.add_user("alice")
    case.hub.start_server("alice")
    case.hub.wait_server("alice")
    assert answers(case, token)
    assert "shopfloor-server-" in postgres.ask("SELECT state FROM spawners")
    assert not (case.hub.directory / ".shopfloor" / "hub.sqlite").exists()

    case.hub.kill_hub()
    case.hub.start_hub()
    case.hub.wait_server("alice")
    assert len(case.jobs()) == 1 and answers(case, token)
    case.hub.stop_server("alice")
    case.wait_no_jobs()


def test_a_database_that_goes_and_comes_back_costs_nobody_a_server(case: Case, postgres: Postgres):
    hub = case.hub
    token = hub.add_user("alice")
    hub.start_server("alice")
    hub.wait_server("alice")
    [job] = case.jobs()

    postgres.stop()
    try:
        # The proxy and the server need no database; what asks the hub is refused, not hung.
        refused = hub.api("GET", "users/alice")
        assert refused.status_code in (403, 500, 503)
        assert requests.get(f"{hub.url}/hub/health", timeout=5).status_code == 200
    finally:
        postgres.start()

    wait_until(lambda: hub.api("GET", "users/alice").status_code == 200, 30, "the hub recovered")
    assert hub.hub.poll() is None
    assert [one.id for one in case.jobs()] == [job.id]
    assert hub.server("alice")["ready"]
    wait_until(lambda: answers(case, token), 30, "the server answers its owner")
    hub.stop_server("alice")
    case.wait_no_jobs()
    hub.start_server("alice")
    hub.wait_server("alice")
    hub.stop_server("alice")
    case.wait_no_jobs()


def test_a_database_that_is_away_while_a_server_starts_costs_nobody_the_start(
    case: Case, postgres: Postgres
):
    hub = case.hub
    hub.add_user("alice")
    hub.click("alice")  # not waited for: it is soon ready
    [job] = wait_until(case.jobs, 20, "its job is there")
    with stopped(command_of(case, "alice", job.tag)):
        postgres.stop()
    before = len(hub.log.read_text())
    try:
        wait_until(
            lambda: "503 POST /hub/api/shopfloor/arrival" in hub.log.read_text()[before:],
            60,
            "it reports to a hub that cannot note it",
        )
    finally:
        postgres.start()
    hub.wait_server("alice")
    assert [one.id for one in case.jobs()] == [job.id]
    hub.stop_server("alice")
    case.wait_no_jobs()


def command_of(case: Case, name: str, tag: str) -> int:
    """The process of a job's command, as soon as its runner has started it."""
    record = case.home(name) / ".local/share/shopfloor/jobs" / tag / "start-0.json"
    started = wait_until(lambda: read_json(record), 20, "its command runs")
    return int(started["command_pid"])


@contextlib.contextmanager
def stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_what_the_hub_does_by_itself_goes_on_after_the_database_was_away(
    case: Case, postgres: Postgres
):
    """A job of this hub's that no server means is looked up in the database before it is cancelled."""
    origin = (case.hub.directory / ".shopfloor" / "origin").read_text()
    small = Request(cpus=1, memory=64 << 20, time=600)
    before = len(case.hub.log.read_text())
    case.hub.add_user("alice")
    case.hub.start_server("alice")
    case.hub.wait_server("alice")
    postgres.stop()
    try:
        tag = new_tag("server", origin)
        job = Job(tag, "bob", "server", small, ("/bin/sleep", "300"))
        asyncio.run(case.scheduler.submit(job))
        wait_until(
            lambda: "The database does not answer" in case.hub.log.read_text()[before:],
            60,
            "the hub says that it met the missing database",
        )
        assert tag in {one.tag for one in case.jobs()}
    finally:
        postgres.start()
    wait_until(
        lambda: tag not in {one.tag for one in case.jobs()}, 60, "the job is cancelled", pause=0.5
    )
    assert len(case.jobs()) == 1
    case.hub.stop_server("alice")
    case.wait_no_jobs()


def test_check_says_whether_it_answers_and_shows_no_password(case: Case, postgres: Postgres):
    site = load(case.hub.site)
    [(level, text)] = [one for one in hub_database(site) if one[0] != WARN]
    assert level == OK and text.endswith("answers")
    assert postgres.password not in text
    postgres.stop()
    try:
        [(level, text)] = hub_database(site)
    finally:
        postgres.start()
    assert level == FAIL and "cannot be reached" in text and "Connection refused" in text
    assert postgres.password not in text


def test_a_password_that_others_can_read_is_named(case: Case):
    site = load(case.hub.site)
    site.file.chmod(0o644)
    assert [level for level, _ in hub_database(site)] == [OK, WARN]
    site.file.chmod(0o600)
    assert [level for level, _ in hub_database(site)] == [OK]


def test_the_password_is_in_no_log(case: Case, postgres: Postgres):
    assert postgres.password not in case.hub.log.read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
        ("sqlite:////x", "sqlite:////x"),
    ],
)
def test_a_url_without_a_driver_gets_ours(text, shown):
    assert database.url(text) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [("nonsense", "this is no URL of a database"), ("postgresql+nodriver://h/d", "is no URL")],
)
def test_what_is_no_database_is_said(text, words):
    [(level, said)] = hub_database(parse(f"[hub]\ndatabase = '{text}'\n"))
    assert level == FAIL and words in said
