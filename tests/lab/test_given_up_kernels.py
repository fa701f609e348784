"""A kernel that a Lab server gives up though nobody told it to: what it printed is not lost, nor what it computes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from shopfloor_jobs import directory

from tests.jobs.waiting import wait_until

from . import lab_server
from .cluster_parts import Person
from .job_kernels import kernelspec
from .pages import execute, opened, printed
from .test_kernels_found_again import Visits, visits

__all__ = ["visits"]


def test_what_one_printed_that_cannot_be_started_again_stays(visits: Visits, person: Person):
    """Its environment is broken, say by a cell of its own."""
    line = (
        f"test -e {person.home}/broken && exit 3; exec {sys.executable} -m ipykernel_launcher -f $0"
    )
    argv = ["/bin/sh", "-c", line, "{connection_file}"]
    kernelspec(person.home / "data", "plain", argv, "python", {}, metadata={})
    kernel = visits.start()
    tag = visits.running(kernel)["tag"]
    page = opened(visits.server, kernel)
    said = printed(page, execute(page, "import os; print(os.getpid(), flush=True)", cellId="c1"))
    page.close()
    (person.home / "broken").touch()
    os.kill(int(said), signal.SIGKILL)
    row = visits.until(kernel, lambda row: row["unsaved"], "it is given up, and left what it said")
    assert row["state"] == "ended"
    wait_until(lambda: not person.processes_of_jobs(), 20, "its job has ended")
    [run] = visits.ask("GET", f"job-kernels/{kernel}/runs")["runs"]
    assert run["outputs"][0]["text"] == said
    path = directory.directory_of(person.home, tag)
    visits.ask("DELETE", f"job-kernels/{kernel}")
    assert not (path / "outputs.json").exists()


def test_one_that_a_server_cannot_write_down_is_had_as_soon_as_it_can(
    visits: Visits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """How to reach it, which Jupyter keeps in a file; another one is stopped meanwhile."""
    kernel, unwanted = visits.start(), visits.start("work/unwanted.ipynb")
    tag = visits.running(unwanted)["tag"]
    visits.running(kernel)
    assert visits.say(kernel, "kept = 36; print('kept')") == "kept\n"
    visits.kill()
    runtime = tmp_path / "runtime"
    in_the_way = [runtime / f"kernel-{one}.json" for one in (kernel, unwanted)]
    for one in in_the_way:
        one.mkdir(parents=True)
    monkeypatch.setattr(lab_server.tempfile, "mkdtemp", lambda **_: str(runtime))
    visits.begin()
    monkeypatch.undo()
    for one in (kernel, unwanted):
        row = visits.until(one, lambda row: row["reason"], "it is said why it is not there")
        assert row["state"] == "starting" and "cannot write down how to reach" in row["reason"]
    visits.ask("DELETE", f"api/kernels/{unwanted}")
    path = directory.directory_of(visits.person.home, tag)
    wait_until(lambda: directory.exit_record(path), 20, "the job that nobody waits for has ended")
    in_the_way[0].rmdir()
    visits.running(kernel)
    assert visits.say(kernel, "print(kept)") == "36\n"
