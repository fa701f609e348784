"""A cluster in another environment than JupyterLab's: real interpreters, a real scheduler of one machine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs.fields import Refused
from shopfloor_lab.clusters.kernels import Kernels
from shopfloor_lab.clusters.listing import Clusters

from .cluster_parts import Person
from .kernel_parts import make_environment, spec


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    someone = Person(tmp_path / "state")
    yield someone
    asyncio.run(someone.scheduler.stop_all())


def lab_of(person: Person, **specs: dict[str, Any]) -> Clusters:
    lab = person.lab()

    async def listed() -> dict[str, Any]:
        return {name: {"resource_dir": "", "spec": one} for name, one in specs.items()}

    lab.planner.kernels = Kernels(os.environ, listed, lambda: "python3")
    return lab


def run_cell(python: Path | str, source: str, home: Path, **environment: str):
    return subprocess.run(
        [python, "-c", source],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_controller_and_workers_run_with_the_kernels_interpreter_and_notebooks_connect(
    person: Person, tmp_path: Path
) -> None:
    other = make_environment(tmp_path / "other", pandas="2.3.3")
    own = {"argv": [sys.executable, "-m", "ipykernel_launcher"], "language": "python"}
    lab = lab_of(
        person, python3=own, other=spec(other, label="Other", env={"FLIGHTS": "${HOME}/flights"})
    )
    made = await lab.start({"workers": 1, "kernel": "other", "notebook": "python3"})
    (note,) = made["notes"]
    assert "pandas" in note and "2.3.3 on the workers (“Other”)" in note
    assert (made["kernel"], made["software"]) == ("other", "Other")
    cluster = await person.until_connected(lab, made["id"], 1)
    assert cluster["kernel"] == "other"
    running = [
        *person.commands("shopfloor_lab.clusters.controller"),
        *person.commands("distributed.cli.dask_worker"),
    ]
    assert len(running) >= 2
    assert {process.cmdline()[0] for process in running} == {str(other)}

    # A notebook with the cluster's kernel, in which nothing of Shopfloor is installed.
    look = (
        "import os, sys; print(client.submit(lambda: (sys.prefix, os.environ['FLIGHTS'])).result())"
    )
    same = run_cell(other, f"{await lab.cell(made['id'])}\n{look}", person.home)
    home = os.environ["HOME"]
    assert same.stdout.strip() == str((str(other.parents[1]), f"{home}/flights")), same.stderr
    assert "ersion" not in same.stderr, "of the same versions nothing is said"

    # One with JupyterLab's: a sentence, and it works.
    source = await lab.cell(made["id"], "python3")
    assert "sys.path" not in source
    differs = run_cell(
        sys.executable, f"{source}\nprint(client.submit(pow, 6, 2).result())", person.home
    )
    assert differs.stdout.strip() == "36", differs.stderr
    assert "Versions differ" in differs.stderr and "2.3.3 there" in differs.stderr
    assert "Mismatched versions found" not in differs.stderr, "distributed's own table"

    # One that cannot read the cluster's messages: a sentence, before anything is sent.
    unlike = make_environment(tmp_path / "unlike", distributed="2025.1.0")
    refused = run_cell(unlike, await lab.cell(made["id"]), person.home)
    assert refused.returncode == 1
    *_, last = refused.stderr.splitlines()
    assert "NotConnected" in last and "cannot read each other's messages" in last
    assert "distributed: 2025.1.0 here" in last
    await lab.end(made["id"])


async def test_a_notebook_shows_the_sentence_instead_of_a_traceback(person: Person) -> None:
    cell = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell().run_cell('from shopfloor_lab.clusters import connect\\nconnect()')"
    )
    shown = run_cell(sys.executable, cell, person.home)
    assert shown.stdout.strip().startswith("No cluster is running: start one"), shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr


async def test_what_the_notebook_could_not_read_is_refused_before_anything_is_queued(
    person: Person, tmp_path: Path
) -> None:
    other = make_environment(tmp_path / "other", dask="2025.1.0")
    lab = lab_of(person, python3=spec("python"), other=spec(other))
    with pytest.raises(Refused, match=r"kernel: 'other' .*dask: .* 2025\.1\.0") as refused:
        await lab.start({"workers": 1, "kernel": "other", "notebook": "python3"})
    assert refused.value.field == "kernel"
    assert await lab.list() == [] and person.processes_of_jobs() == []


async def test_a_home_that_takes_no_code_is_said_before_anything_is_queued(
    person: Person, tmp_path: Path
) -> None:
    lab = lab_of(person, other=spec(make_environment(tmp_path / "other")))
    place = person.home / ".local" / "share" / "shopfloor"
    place.mkdir(parents=True)
    (place / "code").write_text("in the way")
    with pytest.raises(Refused, match=r"kernel: 'other' .*cannot be written"):
        await lab.start({"workers": 1, "kernel": "other"})
    assert await lab.list() == []


async def test_a_plan_of_an_earlier_version_is_still_a_cluster(person: Person) -> None:
    lab = lab_of(person, python3=spec("python"))
    made = await person.start(lab, 0)
    plan = person.directory(made["id"]) / "cluster.json"
    record = json.loads(plan.read_text())
    assert record.pop("software")["env"] == {}
    plan.write_text(json.dumps(record))
    (cluster,) = await lab.list()
    assert (cluster["id"], cluster["kernel"]) == (made["id"], None)
    assert "connect('cluster-1')" in await lab.cell(made["id"])
    await lab.end(made["id"])
