"""The routes of the server extension, asked over HTTP of a real Jupyter server with a real local scheduler."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from shopfloor_jobs.request import FIELDS

from tests.jobs.waiting import wait_until

from .cluster_parts import START, Person
from .lab_server import HUB_TOKEN, LabServer, OfferingHub
from .routes import ROUTES

CLUSTER_KEYS = {
    *("id", "name", "state", "reason", "cause", "detail", "node", "started", "ends", "workers"),
    *("memory", "memory_limit", "tasks", "request", "job_id", "log", "idle", "lasts", "kernel"),
    *("software", "figures", "spent", "troubles", "expected", "place", "shared"),
}


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    someone = Person(tmp_path_factory.mktemp("handlers") / "state")
    yield someone
    asyncio.run(someone.scheduler.stop_all())


@pytest.fixture(scope="module")
def hub(person: Person) -> Iterator[OfferingHub]:
    offering = OfferingHub(person.offer.to_json())
    yield offering
    offering.close()


@pytest.fixture(scope="module")
def lab(person: Person, hub: OfferingHub) -> Iterator[LabServer]:
    files = person.home / "files"
    files.mkdir()
    server = LabServer(
        person.home, files, JUPYTERHUB_API_URL=hub.url, JUPYTERHUB_API_TOKEN=HUB_TOKEN
    )
    yield server
    server.stop()


def said(answer: Any, status: int) -> tuple[str | None, str]:
    """The field and message of a refusal."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"message", "field"}
    return body["field"], body["message"]


def listed(lab: LabServer, cluster: str) -> dict[str, Any]:
    rows = lab.ask("GET", "clusters").json()["clusters"]
    return next(row for row in rows if row["id"] == cluster)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_answers_without_the_servers_token(lab: LabServer, method: str, path: str) -> None:
    answer = lab.ask(method, path, headers={"Authorization": "token wrong"})
    assert answer.status_code in (302, 403)
    assert "shopfloor-" not in answer.text.replace(path, "")


@pytest.mark.parametrize("path", ["clusters", "examples", "session/keep"])
def test_a_page_elsewhere_cannot_post_with_the_persons_cookie(lab: LabServer, path: str) -> None:
    browser = requests.Session()
    base = lab.url.removesuffix("shopfloor/api/")
    assert browser.get(f"{base}api/status", params={"token": lab.token}, timeout=10).ok
    answer = browser.post(lab.url + path, data="{}", headers={"Origin": lab.url}, timeout=10)
    assert answer.status_code == 403 and "_xsrf" in answer.text


def test_the_offer_is_the_hubs_and_is_kept_for_the_person_only(
    lab: LabServer, person: Person, hub: OfferingHub
) -> None:
    answer = lab.ask("GET", "offer")
    assert answer.status_code == 200
    assert answer.json() == person.offer.to_json()
    assert hub.asked == 1
    lab.ask("GET", "offer")
    assert hub.asked == 1, "asked again only after a minute"
    cache = person.home / ".local/share/shopfloor/offer.json"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert HUB_TOKEN not in cache.read_text()


def test_a_cluster_from_post_to_removal(lab: LabServer, person: Person) -> None:
    asked = {"name": "My data", "workers": 1, "request": {"memory": "768M", "time": "30m"}}
    answer = lab.ask("POST", "clusters", asked)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert set(made) == {*CLUSTER_KEYS, "notes", "server_time"} and made["notes"] == []
    assert made["name"] == "My data" and made["state"] in ("submitted", "starting")
    assert made["request"] == {**made["request"], "memory": 768 * 1024**2, "time": 1800, "cpus": 1}
    assert set(made["request"]) == set(FIELDS)
    cluster = made["id"]

    wait_until(
        lambda: listed(lab, cluster)["workers"]["connected"] == 1, START, "its worker is connected"
    )
    running = listed(lab, cluster)
    assert running["state"] == "running" and set(running) == CLUSTER_KEYS
    (row,) = running["workers"]["rows"]
    assert set(row) == {
        *("name", "state", "reason", "expected", "place", "since", "node", "job_id", "exit", "log"),
        *("tries", "memory", "memory_limit", "cpu", "gpus"),
    }

    cell = lab.ask("GET", f"clusters/{cluster}/cell").json()["source"]
    ran = subprocess.run(
        [sys.executable, "-c", f"{cell}\nprint(client.submit(pow, 6, 2).result())\nclient.close()"],
        env={**lab_environment(person)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.strip() == "36", ran.stderr

    assert lab.ask("PATCH", f"clusters/{cluster}", {"keep": True}).status_code == 200
    assert said(lab.ask("PATCH", f"clusters/{cluster}", {"keep": False}), 400)
    scaled = lab.ask("PATCH", f"clusters/{cluster}", {"workers": 2})
    assert scaled.status_code == 200 and scaled.json()["workers"]["wanted"] == 2
    wait_until(
        lambda: listed(lab, cluster)["workers"]["connected"] == 2, START, "the second one is too"
    )

    stopped = lab.ask("DELETE", f"clusters/{cluster}?living=true")
    assert (stopped.status_code, stopped.content) == (204, b"")
    wait_until(lambda: listed(lab, cluster)["state"] == "ended", 20, "it has ended")
    assert listed(lab, cluster)["cause"] == "You stopped it."
    assert said(lab.ask("PATCH", f"clusters/{cluster}", {"workers": 1}), 409)
    # Its end is still to be read by whoever wanted to stop it.
    assert said(lab.ask("DELETE", f"clusters/{cluster}?living=true"), 409)
    assert listed(lab, cluster)["cause"] == "You stopped it."
    assert lab.ask("DELETE", f"clusters/{cluster}").status_code == 204
    assert lab.ask("GET", "clusters").json()["clusters"] == []
    assert said(lab.ask("DELETE", f"clusters/{cluster}"), 404) == (
        None,
        "There is no such cluster.",
    )


def lab_environment(person: Person) -> dict[str, str]:
    return {**os.environ, "HOME": str(person.home)}


@pytest.mark.parametrize(
    ("body", "field", "limit"),
    [
        ({"workers": 129}, "workers", "from 0 to 128"),
        ({"workers": -1}, "workers", "from 0 to 128"),
        ({"workers": "two"}, "workers", "a whole number"),
        ({"workers": 1, "adapt": {"minimum": 0, "maximum": 2}}, "adapt", "in place of workers"),
        ({"adapt": {"minimum": 0, "maximum": 129}}, "maximum", "from 0 to 128"),
        ({"adapt": {"minimum": 3, "maximum": 2}}, "maximum", "at least 3"),
        ({"workers": 1, "request": {"time": "1h"}, "lasts": "30m"}, "lasts", "at least 1 h"),
        ({"workers": 1, "lasts": "9 days"}, "lasts", "at most 24 h"),
        ({"workers": 1, "lasts": "soon"}, "lasts", "a time"),
        ({"workers": 1, "time": "2h"}, "time", "there is no such field"),
        ({"workers": True}, "workers", "a whole number"),
        ({"workers": 1, "name": "a\n#SBATCH --uid=0"}, "name", "1 to 40 letters"),
        ({"workers": 1, "name": "x" * 1_000_000}, "name", "1 to 40 letters"),
        ({"workers": 1, "name": ["a"]}, "name", "1 to 40 letters"),
        ({"workers": 1, "request": {"cpus": 3}}, "cpus", "at most 2 on local"),
        ({"workers": 1, "request": {"memory": "1T"}}, "memory", "at most 64 GB"),
        ({"workers": 1, "request": {"memory": "256M"}}, "memory", "at least 512 MB"),
        ({"workers": 1, "request": {"nodes": 2}}, "nodes", "one node"),
        ({"workers": 1, "request": {"gpus": 1}}, "gpus", "at most 0"),
        ({"workers": 1, "request": {"time": "3 days\n"}}, "time", "at most 24 h"),
        ({"workers": 1, "request": {"cpu": 1}}, "cpu", "did you mean 'cpus'"),
        ({"workers": 1, "request": ["cpus"]}, "options", "an object"),
        ({"workers": 1, "partition": "local"}, "partition", "no such field"),
        ([1], "body", "a JSON object"),
    ],
)
def test_what_cannot_be_had_is_refused_naming_field_and_limit_and_nothing_is_submitted(
    lab: LabServer, person: Person, body: Any, field: str, limit: str
) -> None:
    named, message = said(lab.ask("POST", "clusters", body), 400)
    assert named == field and message.startswith(f"{field}: ") and limit in message
    assert len(message) < 300
    assert lab.ask("GET", "clusters").json()["clusters"] == []
    assert person.processes_of_jobs() == []


@pytest.mark.parametrize("body", ["{", b"\xff"])
def test_text_that_is_no_json_is_a_400(lab: LabServer, body: str | bytes) -> None:
    assert said(lab.ask("POST", "clusters", body), 400)[0] == "body"


def test_a_home_that_cannot_be_read_is_a_503_in_words(lab: LabServer, person: Person) -> None:
    file = person.home / ".local" / "share" / "shopfloor" / "presets.json"
    file.symlink_to("/etc/hostname")
    try:
        _, message = said(lab.ask("GET", "form"), 503)
        assert "your home directory" in message
    finally:
        file.unlink()


@pytest.mark.parametrize("body", [{}, {"workers": 1, "name": "b"}, {"name": "b"}])
def test_only_the_number_of_workers_can_be_changed(lab: LabServer, body: Any) -> None:
    path = "clusters/shopfloor-cluster-0123456789abcdef"
    assert said(lab.ask("PATCH", path, body), 400)[0] == "body"
    assert said(lab.ask("PATCH", path, {"workers": 9999}), 400)[0] == "workers"
    assert said(lab.ask("PATCH", path, {"adapt": 3}), 400)[0] == "adapt"
    assert (
        said(lab.ask("PATCH", path, {"adapt": {"minimum": 2, "maximum": 1}}), 400)[0] == "maximum"
    )
    assert (
        said(lab.ask("PATCH", path, {"adapt": {"minimum": -1, "maximum": 1}}), 400)[0] == "minimum"
    )
    assert said(lab.ask("PATCH", path, {"workers": 9}), 404)


@pytest.mark.parametrize(
    "name",
    ["nope", "..%2f..%2fetc", "shopfloor-server-0123456789abcdef", "shopfloor-cluster-0", "a%00b"],
)
def test_what_is_no_cluster_is_a_404(lab: LabServer, name: str) -> None:
    assert said(lab.ask("DELETE", f"clusters/{name}"), 404)
    assert said(lab.ask("GET", f"clusters/{name}/cell"), 404)


def test_examples_are_copied_once_and_what_was_worked_on_stays(
    lab: LabServer, person: Person
) -> None:
    folder = person.home / "files" / "shopfloor-examples"
    assert lab.ask("GET", "examples").json() == {"path": "shopfloor-examples"}
    assert not folder.exists()

    opened = lab.ask("POST", "examples").json()["path"]
    first = person.home / "files" / opened
    assert first.parent == folder and first.name.startswith("01-") and first.suffix == ".ipynb"

    first.write_text("mine")
    others = sorted(path for path in folder.iterdir() if path != first)
    for path in others:
        path.unlink()
    assert lab.ask("POST", "examples").json()["path"] == opened
    assert first.read_text() == "mine"
    assert sorted(path for path in folder.iterdir() if path != first) == others


def test_examples_that_cannot_be_written_say_why(lab: LabServer, person: Person) -> None:
    folder = person.home / "files" / "shopfloor-examples"
    kept = folder.rename(folder.with_name("kept")) if folder.exists() else None
    folder.write_text("a file in the way")
    try:
        _, message = said(lab.ask("POST", "examples"), 409)
        assert "shopfloor-examples" in message
    finally:
        folder.unlink()
        if kept:
            kept.rename(folder)


def test_without_a_hub_the_last_offer_serves_and_without_either_it_is_said(
    person: Person, tmp_path: Path
) -> None:
    for folder in ("known", "new"):
        (tmp_path / folder / "files").mkdir(parents=True)
    cache = tmp_path / "known" / ".local/share/shopfloor/offer.json"
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps(person.offer.to_json()))
    nobody = "http://127.0.0.1:9/hub/api"
    known = LabServer(tmp_path / "known", tmp_path / "known/files", JUPYTERHUB_API_URL=nobody)
    try:
        assert known.ask("GET", "offer").json()["person"] == "alice"
    finally:
        known.stop()
    new = LabServer(tmp_path / "new", tmp_path / "new/files", JUPYTERHUB_API_URL=nobody)
    try:
        _, message = said(new.ask("GET", "offer"), 503)
        assert "The hub does not say what you may ask for" in message
        assert said(new.ask("POST", "clusters", {"workers": 1}), 503)
        assert new.ask("GET", "clusters").json()["clusters"] == []
    finally:
        new.stop()


def test_loading_the_extension_imports_nothing_of_dask() -> None:
    source = (
        "import sys, shopfloor_lab.app, shopfloor_lab.clusters.form; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'dask', 'distributed', 'pandas'}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_the_page_about_troubles_has_its_sections_in_the_order_that_is_told(lab: LabServer) -> None:
    told = lab.ask("GET", "troubles").json()
    titles = [line for line in told["page"].splitlines() if line.startswith("## ")]
    assert len(titles) == len(told["kinds"])
    assert titles[told["kinds"].index("spilling")] == "## Results are written to disk"
