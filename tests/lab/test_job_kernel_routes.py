"""The routes of kernels that are jobs, on a real Jupyter server: what they refuse, and what a page is told."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.waiting import wait_until

from .cluster_parts import Person
from .job_kernels import IPYTHON, kernelspec, leave_offer
from .lab_server import LabServer
from .pages import execute, opened, printed

START = {"name": "plain", "request": {}, "path": "work/flights.ipynb"}

SLEEPS_IN_C = "import ctypes\nprint('begun', flush=True)\nctypes.CDLL(None).sleep(60)"
# A kernel that answers when the file "go" is there, and until then only lives.
ANSWERS_LATER = (
    f"while [ ! -e go ]; do sleep 0.05; done; exec {sys.executable} -m ipykernel_launcher -f $0"
)


@pytest.fixture
def lab(person: Person) -> Iterator[LabServer]:
    leave_offer(person.home, person.offer)
    kernelspec(person.home / "data", "plain", IPYTHON, "python", {}, metadata={})
    server = LabServer(person.home, person.home)
    yield server
    for kernel in server.ask("GET", "job-kernels").json()["kernels"]:
        server.ask("DELETE", f"job-kernels/{kernel['id']}")
    server.stop()


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({**START, "request": {"cpus": 99}}, "cpus", "cpus: 99 is not possible: at most 2"),
        ({**START, "request": {"preset": "smal"}}, "preset", "small"),
        ({**START, "request": {"nodes": 2}}, "nodes", "a kernel is one process on one node"),
        ({**START, "request": [1]}, "options", "an object of field names and values"),
        ({**START, "name": "R"}, "name", "one of"),
        ({**START, "name": ["plain"]}, "name", "one of"),
        ({**START, "path": 5}, "path", "a path below the files"),
        ({**START, "colour": "red"}, "colour", "one of name, path, request"),
        ([], "body", "a JSON object"),
    ],
)
def test_what_cannot_be_is_refused_by_field_value_and_limit(
    lab: LabServer, body: Any, field: str, words: str
):
    answer = lab.ask("POST", "job-kernels", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field
    assert words in answer.json()["message"]
    assert lab.ask("GET", "job-kernels").json()["kernels"] == []


def test_a_kernel_is_there_at_once_and_answers_when_it_runs(lab: LabServer, person: Person):
    began = time.time()
    answer = lab.ask("POST", "job-kernels", {**START, "request": {"preset": "small"}})
    assert answer.status_code == 201
    kernel = answer.json()
    assert kernel["state"] == "submitted" and kernel["chosen"] == {"preset": "small"}
    one = f"job-kernels/{kernel['id']}"
    assert lab.ask("GET", f"{one}/runs").status_code == 409
    assert lab.ask("PATCH", one, {"keep": True}).status_code == 409
    running = wait_until(
        lambda: (row := lab.ask("GET", one).json())["state"] == "running" and row["node"] and row,
        40,
        "it runs somewhere",
    )
    assert running["hardware"] == "1 CPU, 1 GB for 1 h"
    assert began - 1 < running["asked"] < running["ends"]
    assert running["request"]["memory"] == 1024**3
    assert lab.ask("GET", f"{one}/runs").json() == {"runs": []}
    assert lab.ask("PATCH", one, {"keep": True}).json()["id"] == kernel["id"]
    refused = lab.ask("PATCH", one, {"keep": "yes"})
    assert (refused.status_code, refused.json()["field"]) == (400, "body")
    asked = [("GET", f"{one}/runs"), ("GET", "job-kernels"), ("PATCH", one), ("GET", one)] * 4
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = pool.map(
            lambda ask: lab.ask(*ask, {"keep": True} if ask[0] == "PATCH" else None), asked
        )
        assert {answer.status_code for answer in answers} == {200}, "nobody takes another's answer"
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: lab.ask("DELETE", one).status_code, range(4)))
    assert set(ended) <= {204, 404} and 204 in ended, "to end it twice is no error"
    wait_until(lambda: lab.ask("GET", one).status_code == 404, 15, "nothing is left to say of it")
    assert lab.ask("DELETE", one).status_code == 404
    wait_until(lambda: not person.processes_of_jobs(), 15, "its job has ended")


def test_a_kernel_that_dies_again_and_again_says_of_what(lab: LabServer, person: Person):
    dies = ["/bin/sh", "-c", "kill -SEGV $$", "{connection_file}"]
    kernelspec(person.home / "data", "dies", dies, "x", {}, metadata={})
    kernel = lab.ask("POST", "job-kernels", {**START, "name": "dies"}).json()
    one = f"job-kernels/{kernel['id']}"
    row = wait_until(
        lambda: (row := lab.ask("GET", one).json())["state"] == "ended" and row,
        60,
        "it is given up",
    )
    assert row["cause"] == "was killed by signal 11 (SIGSEGV)"
    wait_until(lambda: not person.processes_of_jobs(), 15, "its job has ended")


def test_the_log_of_one_that_failed_is_told_without_what_is_secret(lab: LabServer, person: Person):
    fails = [
        "/bin/sh",
        "-c",
        "echo JUPYTERHUB_API_TOKEN=0123456789abcdef >&2; exit 3",
        "{connection_file}",
    ]
    kernelspec(person.home / "data", "fails", fails, "x", {}, metadata={})
    one = f"job-kernels/{lab.ask('POST', 'job-kernels', {**START, 'name': 'fails'}).json()['id']}"
    row = wait_until(
        lambda: (row := lab.ask("GET", one).json())["state"] == "ended" and row["log"] and row,
        40,
        "it has ended, and its log is told",
    )
    assert "JUPYTERHUB_API_TOKEN" in row["log"] and "exit code 3" in row["cause"]
    assert "0123456789abcdef" not in json.dumps(row)


def sockets(server: LabServer) -> int:
    """How many the server has open."""
    opened = 0
    for one in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened += str(one.readlink()).startswith("socket:")
    return opened


def test_the_end_of_a_job_is_not_thrown_away_with_it(lab: LabServer, person: Person):
    """Its notebook's page asks Jupyter once more for a kernel with the id of the one that it had."""
    kernelspec(person.home / "data", "other", IPYTHON, "python", {}, metadata={})
    kernel = lab.ask("POST", "job-kernels", {**START, "name": "other"}).json()["id"]
    one = f"job-kernels/{kernel}"
    wait_until(lambda: lab.ask("GET", one).json()["state"] == "running", 40, "it runs")
    [runner] = person.processes_of_jobs()
    runner.kill()
    for process in person.commands("shopfloor_lab.kernels.agent"):
        process.kill()
    wait_until(lambda: lab.ask("GET", one).json()["state"] == "ended", 40, "it has ended")

    refused = lab.ask("DELETE", f"{one}?living=true")
    assert refused.status_code == 409
    assert refused.json()["message"].startswith("It has ended meanwhile: ")
    session = {"path": START["path"], "name": "flights.ipynb", "type": "notebook"}
    answer = lab.ask("POST", "../../api/sessions", {**session, "kernel": {"id": kernel}})
    assert answer.status_code == 201, answer.text
    begun = answer.json()["kernel"]
    assert begun["id"] != kernel and begun["name"] == "other"
    row = lab.ask("GET", one)
    assert row.status_code == 404 or row.json()["state"] == "ended"
    lab.ask("DELETE", one)
    assert lab.ask("GET", f"../../api/kernels/{begun['id']}").status_code == 200
    lab.ask("DELETE", f"../../api/kernels/{begun['id']}")


def ended_by_the_person(lab: LabServer, person: Person, one: str) -> None:
    lab.ask("DELETE", one)


def killed_with_its_job(lab: LabServer, person: Person, one: str) -> None:
    [runner] = person.processes_of_jobs()
    runner.kill()
    for process in person.commands("shopfloor_lab.kernels.agent"):
        process.kill()
    wait_until(lambda: lab.ask("GET", one).json()["state"] == "ended", 40, "it has ended")
    lab.ask("DELETE", one)


@pytest.mark.parametrize("end", [ended_by_the_person, killed_with_its_job])
def test_kernels_that_are_gone_leave_no_connection(
    lab: LabServer, person: Person, end: Callable[[LabServer, Person, str], None]
):
    def come_and_go() -> int:
        kernel = lab.ask("POST", "job-kernels", START).json()["id"]
        one = f"job-kernels/{kernel}"
        wait_until(lambda: lab.ask("GET", one).json()["state"] == "running", 40, "it runs")
        page = opened(lab, kernel)
        assert printed(page, execute(page, "print(6 * 7)")) == "42\n"
        page.close()
        end(lab, person, one)
        wait_until(lambda: lab.ask("GET", one).status_code == 404, 15, "it is gone")
        wait_until(lambda: not person.processes_of_jobs(), 15, "its job has ended")
        return sockets(lab)

    before = come_and_go()
    come_and_go()
    come_and_go()
    wait_until(lambda: sockets(lab) <= before, 10, "its connections are closed")


def test_a_page_that_leaves_before_the_kernel_answers_leaves_no_connection(
    lab: LabServer, person: Person
):
    later = ["/bin/sh", "-c", ANSWERS_LATER, "{connection_file}"]
    kernelspec(person.home / "data", "later", later, "python", {}, metadata={})
    go = person.home / "go"

    def open_in_the_end(leaves: Callable[[str], None]) -> int:
        body = {**START, "name": "later", "path": ""}
        kernel = lab.ask("POST", "job-kernels", body).json()["id"]
        leaves(kernel)
        go.touch()
        page = opened(lab, kernel)
        assert printed(page, execute(page, "print(6 * 7)")) == "42\n"
        left = sockets(lab)
        lab.ask("DELETE", f"job-kernels/{kernel}")
        page.close()
        go.unlink()
        wait_until(lambda: not person.processes_of_jobs(), 15, "its job has ended")
        return left

    def nobody(_: str) -> None:
        pass

    def a_page(kernel: str) -> None:
        page = opened(lab, kernel)
        one = f"job-kernels/{kernel}"
        wait_until(
            lambda: lab.ask("GET", one).json()["state"] == "running", 40, "its agent is there"
        )
        lab.ask("GET", one)
        page.close()

    open_in_the_end(nobody)
    assert open_in_the_end(a_page) <= open_in_the_end(nobody)


def test_a_kernel_that_is_ended_while_it_restarts_is_gone(lab: LabServer, person: Person):
    kernel = lab.ask("POST", "job-kernels", START).json()["id"]
    one = f"job-kernels/{kernel}"
    page = opened(lab, kernel)
    assert printed(page, execute(page, SLEEPS_IN_C)) == "begun\n"
    with ThreadPoolExecutor(1) as pool:
        restarted = pool.submit(lab.ask, "POST", f"../../api/kernels/{kernel}/restart")
        # It is asked to go, and does not: there is no interrupting it.
        wait_until(
            lambda: json.loads(page.recv())["msg_type"] == "shutdown_reply", 20, "it is asked"
        )
        ended = lab.ask("DELETE", one)
        assert ended.status_code == 204, lab.log.read_text()[-6000:]
        wait_until(lambda: not person.processes_of_jobs(), 20, "its job has ended")
        wait_until(
            lambda: lab.ask("GET", one).status_code == 404, 20, "nothing is left to say of it"
        )
        assert restarted.result(30).status_code in (200, 404), "whoever asked for the restart"
    page.close()
    assert lab.ask("GET", "job-kernels").json()["kernels"] == []


def test_jupyters_own_rule_for_idle_kernels_leaves_jobs_alone(person: Person):
    leave_offer(person.home, person.offer)
    kernelspec(person.home / "data", "plain", IPYTHON, "python", {}, metadata={})
    culls = {"cull_idle_timeout": 1, "cull_interval": 1, "cull_connected": True}
    (person.home / "config").mkdir()
    config = json.dumps({"MappingKernelManager": culls})
    (person.home / "config" / "jupyter_server_config.json").write_text(config)
    server = LabServer(person.home, person.home)
    try:
        kernel = server.ask("POST", "job-kernels", START).json()["id"]
        local = server.ask("POST", "../../api/kernels", {"name": "plain"}).json()["id"]
        wait_until(
            lambda: server.ask("GET", f"../../api/kernels/{local}").status_code == 404,
            30,
            "the other one is culled",
        )
        assert server.ask("GET", f"../../api/kernels/{kernel}").status_code == 200
        server.ask("DELETE", f"job-kernels/{kernel}")
        wait_until(lambda: not person.processes_of_jobs(), 15, "its job has ended")
    finally:
        server.stop()


def test_the_form_has_every_kernelspec_and_the_offer_without_what_a_kernel_has_not(lab: LabServer):
    parts = lab.ask("GET", "job-kernels/form").json()
    assert {"plain", "python3"} <= {one["name"] for one in parts["kernels"]}
    assert "nodes" not in [field["name"] for field in parts["offer"]["fields"]]
    assert parts["presets"] == []
    outlook = lab.ask("POST", "job-kernels/outlook", {"request": {"preset": "small"}}).json()
    assert outlook["start"]["kind"] == "unknown", "no hub says it here"
    assert lab.ask("POST", "job-kernels/outlook", {"request": {"cpus": 99}}).status_code == 400


def test_gpu_time_of_this_month_is_told_by_project(lab: LabServer, person: Person):
    folder = person.home / ".local/share/shopfloor/gpu-time" / time.strftime("%Y-%m")
    folder.mkdir(parents=True)
    for number, project in enumerate(["physics", "physics", ""]):
        record = {"project": project, "held": 3600.0, "used": 900.0, "unknown": 60.0}
        if number == 0:
            del record["unknown"]  # as jobs of an earlier version leave it
        (folder / f"shopfloor-kernel-{number}.json").write_text(json.dumps(record))
    assert lab.ask("GET", "gpu-time").json() == {
        "month": folder.name,
        "projects": [
            {"project": "", "held": 3600.0, "used": 900.0, "unknown": 60.0},
            {"project": "physics", "held": 7200.0, "used": 1800.0, "unknown": 60.0},
        ],
    }


@pytest.mark.parametrize(
    ("environment", "config", "words"),
    [
        ({"JUPYTER_GATEWAY_URL": "http://127.0.0.1:9"}, {}, "A kernel gateway is configured"),
        (
            {},
            {
                "kernel_manager_class": "jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager"
            },
            "ServerApp.kernel_manager_class is configured as",
        ),
    ],
    ids=["gateway", "another class"],
)
def test_a_server_whose_kernels_are_another_matter_says_so(
    person: Person, environment: dict[str, str], config: dict[str, str], words: str
):
    folder: Path = person.home / "config"
    folder.mkdir()
    (folder / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": config}))
    server = LabServer(person.home, person.home, **environment)
    try:
        assert server.ask("GET", "job-kernels").json()["kernels"] == []
        answer = server.ask("POST", "job-kernels", START)
        assert answer.status_code == 409 and words in answer.json()["message"]
        assert words in server.ask("GET", "job-kernels/form").json()["message"]
        assert words in server.log.read_text()
    finally:
        server.stop()
