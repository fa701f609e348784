"""The three ways to Dask workers on Slurm that cluster.py compares, each used from the same notebook's process.

Ours: a POST to the Lab server, which is a job of the hub's like any. The floor: what somebody types who has prepared
the certificates, one command after the other. dask-jobqueue: as its manual has it, without encryption, and with the
web pages that are its default.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import requests

from tests.cases import Case
from tests.cluster.cluster import Cluster
from tests.faults.cluster_lab import remove_records
from tests.harness import wait_until

PERSON, PARTITION, NODE = "alice", "cpu", "cpu01"
MEMORY_MB, CONTROLLER_MB = (
    512,
    1024,
)  # of a worker; of what holds the scheduler, as our controller asks for
DASK_LIMIT = "384MiB"  # of a worker: what ours leaves to dask
NOTEBOOK = Path(__file__).with_name("_notebook.py")
ANSWER = 120  # seconds
CLEAN_WITHIN = 120  # seconds
STOPS_IN = 30  # seconds


class WayFailed(Exception):
    """A way did not lead to workers; the text is what was said."""


class Notebook:
    """A process of the person's on the login node that uses clusters; see _notebook.py. ``path`` is its PATH."""

    def __init__(self, cluster: Cluster, prefix: Path, path: str):
        self.log = cluster.layout.logs / "notebook.log"
        account = pwd.getpwnam(PERSON)
        self._process = subprocess.Popen(
            [f"{prefix}/bin/python", "-c", NOTEBOOK.read_text()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
            cwd=account.pw_dir,
            env={
                "PATH": path,
                "HOME": account.pw_dir,
                "USER": account.pw_name,
                "LOGNAME": account.pw_name,
                "LANG": "C.UTF-8",
                **cluster.environment,
            },
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=os.getgrouplist(account.pw_name, account.pw_gid),
            bufsize=0,
        )
        self._answer()

    def ask(self, verb: str, *arguments: Any) -> dict[str, Any]:
        """What a verb answers. Raises WayFailed."""
        self.send(verb, *arguments)
        return self._answer()

    def send(self, verb: str, *arguments: Any) -> None:
        """Ask without waiting; :meth:`answer` has the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([verb, *arguments]).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER)[0]:
            raise WayFailed(f"the notebook did not answer within {ANSWER} s")
        line = self._process.stdout.readline()
        if not line:
            raise WayFailed(f"the notebook ended: {self.log.read_text()[-1000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise WayFailed(answer["error"])
        return answer["ok"]

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOPS_IN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOPS_IN)


class Way(Protocol):
    """``start`` is the click, and returns when so many workers were connected and the first task's result had come.

    It answers the seconds that this took; ``end`` leaves nothing of it.
    """

    name: str

    def start(self, workers: int) -> float: ...
    def end(self) -> None: ...


class Lab:
    """The person's server, started through the hub, as the page talks to it; ``job`` is its job's id."""

    def __init__(self, case: Case):
        self.case = case
        self.token = case.hub.add_user(PERSON)
        asked = {"cpus": 1, "memory": "1G", "time": "2h", "partition": PARTITION}
        answer = case.hub.start_server(PERSON, asked)
        if answer.status_code not in (201, 202):
            raise WayFailed(f"Lab did not start: {answer.status_code}: {answer.text[:500]}")
        case.hub.wait_server(PERSON)
        [self.job] = [job["id"] for job in case.cluster.jobs()]

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the Lab server answers, through the hub's proxy. Raises WayFailed."""
        answer = requests.request(
            method,
            f"{self.case.hub.url}/user/{PERSON}/shopfloor/api/{path}",
            headers={"Authorization": f"token {self.token}"},
            json=body,
            timeout=60,
        )
        if not answer.ok:
            raise WayFailed(f"{method} {path}: {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def wait_alone(self) -> None:
        """Until the server's is the only job on the cluster."""

        def alone() -> bool:
            return {job["id"] for job in self.case.cluster.jobs()} == {self.job}

        wait_until(alone, CLEAN_WITHIN, "no other job than Lab's is left", 0.1)


class Ours:
    """Through the Lab server. ``phases`` holds, for each start with one worker, where its seconds went."""

    name = "shopfloor"

    def __init__(self, lab: Lab, notebook: Notebook):
        self.lab, self.notebook = lab, notebook
        self.id = ""
        self.phases: list[dict[str, float]] = []
        self._count = 0

    def start(self, workers: int) -> float:
        self._count += 1
        name = f"bench-{self._count}"
        clicked = time.time()
        self.post(name, workers)
        answered = time.time()
        at = self.notebook.ask("ours", name, workers)["at"]
        if workers == 1:
            self.phases.append(self._phases(clicked, answered, at))
        return at - clicked

    def post(self, name: str, workers: int) -> None:
        request = {"partition": PARTITION, "cpus": 1, "memory": f"{MEMORY_MB}M", "time": "1h"}
        body = {"name": name, "workers": workers, "request": request}
        self.id = self.lab.ask("POST", "clusters", body)["id"]

    def shown(self) -> dict[str, Any]:
        """The cluster as the panel gets it."""
        every = self.lab.ask("GET", "clusters")["clusters"]
        return next(one for one in every if one["id"] == self.id)

    def end(self) -> None:
        with contextlib.suppress(WayFailed):  # it is gone with its process then
            self.notebook.ask("close")
        if not self.id:
            return
        self.lab.ask("DELETE", f"clusters/{self.id}")
        wait_until(lambda: self.shown()["state"] == "ended", CLEAN_WITHIN, "it has ended", 0.1)
        self.lab.wait_alone()
        self.lab.ask("DELETE", f"clusters/{self.id}")
        remove_records(PERSON, self.id)
        self.id = ""

    def _phases(self, clicked: float, answered: float, at: float) -> dict[str, float]:
        """Seconds from the click on, by what had happened then, from the times of the jobs' own files."""
        jobs = Path(f"~{PERSON}").expanduser() / ".local/share/shopfloor/jobs"
        controller = jobs / self.id
        [tag] = json.loads((controller / "workers.json").read_text())["tags"]
        moments = {
            "cluster_submitted": (controller / "request.json").stat().st_mtime,
            "answered": answered,
            "cluster_runs": started(controller),
            "workers_submitted": (jobs / tag / "request.json").stat().st_mtime,
            "connection_file": (controller / "connection.json").stat().st_mtime,
            "worker_runs": started(jobs / tag),
            "first_task": at,
        }
        return {name: moment - clicked for name, moment in moments.items()}


def started(directory: Path) -> float:
    """When a job's runner began, in epoch seconds."""
    return float(json.loads((directory / "start-0.json").read_text())["started"])


class Floor:
    """`srun dask scheduler`, then `srun dask worker` and the client at once; TLS with certificates like ours, which
    lie there before the click, and no web pages of the scheduler or the workers."""

    name = "srun"

    def __init__(self, cluster: Cluster, prefix: Path, lab: Lab, notebook: Notebook):
        self.cluster, self.prefix, self.lab, self.notebook = cluster, prefix, lab, notebook
        self.folder = Path(notebook.ask("certificates")["folder"])
        self._account = pwd.getpwnam(PERSON)
        self._sruns: list[subprocess.Popen[bytes]] = []

    def start(self, workers: int) -> float:
        file = self.folder / "scheduler.json"
        clicked = time.time()
        self._srun(1, CONTROLLER_MB, "scheduler", "scheduler", "--port", "0")
        self._wait(file.exists)
        self._srun(
            workers, MEMORY_MB, "worker", "worker", "--nthreads", "1", "--memory-limit", DASK_LIMIT,
            "--local-directory", str(self.folder / "scratch"),
        )  # fmt: skip
        return self.notebook.ask("by_file", str(self.folder), workers)["at"] - clicked

    def _srun(self, tasks: int, memory: int, role: str, *command: str) -> None:
        tls = self.folder / "tls"
        line = [
            "srun", f"--partition={PARTITION}", f"--ntasks={tasks}", "--cpus-per-task=1",
            f"--mem-per-cpu={memory}M", "--time=60", "--job-name=bench-floor",
            f"{self.prefix}/bin/dask", *command, "--no-dashboard", "--protocol", "tls",
            "--host", self.cluster.address(NODE), "--scheduler-file", f"{self.folder}/scheduler.json",
            "--tls-ca-file", f"{tls}/ca.pem", "--tls-cert", f"{tls}/{role}.pem",
            "--tls-key", f"{tls}/{role}.key",
        ]  # fmt: skip
        with (self.cluster.layout.logs / f"bench-floor-{role}.log").open("ab") as log:
            self._sruns.append(
                subprocess.Popen(
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._account.pw_dir,
                    env={
                        "PATH": "/usr/local/bin:/usr/bin:/bin",
                        "HOME": self._account.pw_dir,
                        "USER": PERSON,
                        "LANG": "C.UTF-8",
                        **self.cluster.environment,
                    },
                    user=self._account.pw_uid,
                    group=self._account.pw_gid,
                    extra_groups=os.getgrouplist(PERSON, self._account.pw_gid),
                )
            )

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ANSWER
        while not condition():
            if self._sruns[0].poll() is not None or time.monotonic() > deadline:
                raise WayFailed(f"srun dask scheduler: status {self._sruns[0].poll()}")
            time.sleep(0.01)

    def end(self) -> None:
        self.notebook.ask("close")
        self.cluster.run(["scancel", "--name=bench-floor"])
        for srun in self._sruns:
            srun.wait(CLEAN_WITHIN)
        self._sruns.clear()
        self.lab.wait_alone()
        (self.folder / "scheduler.json").unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.folder)


class JobQueue:
    """dask-jobqueue's SLURMCluster in the notebook's own process."""

    name = "jobqueue"

    def __init__(self, cluster: Cluster, lab: Lab, notebook: Notebook, folder: Path):
        self.cluster, self.lab, self.notebook = cluster, lab, notebook
        self.arguments = (cluster.hub_address, PARTITION, f"{MEMORY_MB}MiB", str(folder))

    def start(self, workers: int) -> float:
        clicked = time.time()
        return self.notebook.ask("jobqueue", *self.arguments, workers)["at"] - clicked

    def end(self) -> None:
        self.notebook.ask("close")
        self.lab.wait_alone()
