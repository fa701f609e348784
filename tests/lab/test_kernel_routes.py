"""The routes that the start form asks about kernels, over HTTP of a real Jupyter server with its own kernelspecs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .cluster_parts import Person
from .kernel_parts import install, make_environment, spec, write_program
from .lab_server import HUB_TOKEN, LabServer, OfferingHub


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    someone = Person(tmp_path_factory.mktemp("kernels") / "state")
    yield someone
    asyncio.run(someone.scheduler.stop_all())


@pytest.fixture(scope="module")
def lab(person: Person, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    made, data = tmp_path_factory.mktemp("environments"), person.home / "data"
    other = make_environment(made / "other", pandas="2.3.3")
    unlike = make_environment(made / "unlike", distributed="2025.1.0")
    odd = {"argv": ["/opt/xpython", "-f", "{connection_file}"], "language": "python"}
    install(data, "other", spec(other, label="Other"))
    install(data, "unlike", spec(unlike, label="Unlike"))
    install(data, "gone", spec("/gone/python", label="Gone"))
    install(data, "odd", {**odd, "display_name": "Odd"})
    install(data, "old", spec(write_program(made / "old", "echo Python 3.8.20"), label="Old"))
    install(data, "ir", {"argv": ["R"], "language": "R", "display_name": "R"})
    hub = OfferingHub(person.offer.to_json())
    files = person.home / "files"
    files.mkdir()
    server = LabServer(
        person.home, files, JUPYTERHUB_API_URL=hub.url, JUPYTERHUB_API_TOKEN=HUB_TOKEN
    )
    yield server
    server.stop()
    hub.close()


def test_the_kernels_of_python_are_those_that_the_server_lists(lab: LabServer) -> None:
    shown = {one["name"]: one for one in lab.ask("GET", "kernels").json()["kernels"]}
    assert set(shown) == {"python3", "other", "unlike", "gone", "odd", "old"}
    assert set(shown["other"]) == {"name", "label", "python", "disabled", "default"}
    assert shown["python3"]["python"] == sys.executable
    assert [name for name, one in shown.items() if one["default"]] == ["python3"]
    assert {name for name, one in shown.items() if one["disabled"]} == {"gone", "odd"}
    assert "/gone/python is not there" in shown["gone"]["disabled"]


def test_versions_are_told_and_held_against_the_notebooks(lab: LabServer) -> None:
    own = lab.ask("GET", "kernels/python3").json()
    assert set(own) == {"kernel", "label", "versions", "refusal", "notes"}
    assert (own["refusal"], own["notes"]) == (None, [])
    assert {"python", "dask", "distributed", "cloudpickle", "pandas"} <= set(own["versions"])
    other = lab.ask("GET", "kernels/other?notebook=python3").json()
    assert other["refusal"] is None and "2.3.3 on the workers (“Other”)" in other["notes"][0]
    unlike = lab.ask("GET", "kernels/unlike?notebook=python3").json()
    assert "distributed: " in unlike["refusal"] and "2025.1.0" in unlike["refusal"]


@pytest.mark.parametrize(
    ("path", "field", "limit"),
    [
        ("kernels/nope", "kernel", "one of python3"),
        ("kernels/ir", "kernel", "one of python3"),
        ("kernels/..%2f..%2fetc", "kernel", "one of python3"),
        ("kernels/gone", "kernel", "/gone/python is not there"),
        ("kernels/odd", "kernel", "nobody can tell which Python"),
        ("kernels/old", "kernel", "did not answer as a Python does"),
        ("kernels/other?notebook=nope", "notebook", "one of python3"),
        ("kernels/other?notebook=gone", "notebook", "is not"),
    ],
)
def test_a_kernel_that_cannot_be_had_is_a_400_that_names_the_field(
    lab: LabServer, path: str, field: str, limit: str
) -> None:
    answer = lab.ask("GET", path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field and limit in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "field", "limit"),
    [
        ({"kernel": "nope"}, "kernel", "one of python3"),
        ({"kernel": 3}, "kernel", "one of python3"),
        ({"kernel": ["python3"]}, "kernel", "one of python3"),
        ({"kernel": "gone"}, "kernel", "is not there"),
        ({"kernel": "old"}, "kernel", "did not answer as a Python does"),
        ({"kernel": "python3", "notebook": {}}, "notebook", "one of python3"),
        ({"kernel": "unlike", "notebook": "python3"}, "kernel", "distributed: "),
        ({"environment": "other"}, "environment", "no such field"),
    ],
)
def test_a_cluster_is_not_started_with_it(
    lab: LabServer, person: Person, body: dict[str, Any], field: str, limit: str
) -> None:
    answer = lab.ask("POST", "clusters", {"workers": 1, **body})
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field and limit in answer.json()["message"]
    assert person.processes_of_jobs() == []


def test_the_cell_of_another_kernel_brings_shopfloors_code_along(
    lab: LabServer, person: Person
) -> None:
    made = lab.ask("POST", "clusters", {"workers": 0, "kernel": "other", "notebook": "python3"})
    assert made.status_code == 201, made.text
    assert "2.3.3" in made.json()["notes"][0]
    path = f"clusters/{made.json()['id']}"
    other = lab.ask("GET", f"{path}/cell?kernel=other").json()["source"]
    assert str(person.home / ".local/share/shopfloor/code") in other
    assert lab.ask("GET", f"{path}/cell").json()["source"] == other
    for kernel in ("python3", "gone", "nope"):
        plain = lab.ask("GET", f"{path}/cell?kernel={kernel}").json()["source"]
        assert plain.startswith("from shopfloor_lab.clusters import connect")
    assert lab.ask("DELETE", path).status_code == 204
