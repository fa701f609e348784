"""What a Lab server does with clusters, for the fault rows: a process of its own, as the person, that can be killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.cluster import Cluster
from tests.harness import wait_until

STEPS = (Path(__file__).parents[1] / "lab" / "slurm_steps.py").read_text()
CPU = {"partition": "cpu", "cpus": 1, "memory": 512 * 1024**2}
GPU = {"partition": "gpu", "cpus": 1, "memory": 512 * 1024**2, "gpus": 1}
ANSWER = 30  # seconds

START = 60  # seconds for a cluster's start on a busy machine
TRUE_WITHIN = 10  # seconds after Slurm or Dask knows it
WORKER, CONTROLLER = "distributed.cli.dask_worker", "shopfloor_lab.clusters.controller"
KEEPS_A_RESULT = """\
client.publish_dataset(kept=client.submit(pow, 6, 2))
answer = client.get_dataset("kept").result(timeout=30)
"""
STILL_THERE = "answer = client.get_dataset('kept').result(timeout=30)"

# Whose clusters these are: "the newest cluster" of somebody is found by their home, so runs side by side need another.
PERSON = os.environ.get("SHOPFLOOR_TEST_PERSON", "alice")

Shown = dict[str, Any]
Start = Callable[..., str]


class ClusterLab:
    """What a Lab server of ``person`` would do with clusters; see tests/lab/slurm_steps.py.

    It runs on the login node, or in the job that the command ``inside`` starts, such as ``srun``.
    """

    def __init__(
        self,
        cluster: Cluster,
        prefix: Path,
        person: str = PERSON,
        inside: Sequence[str] = (),
        **environment: str,
    ):
        self.cluster, self.prefix, self.person = cluster, prefix, person
        self.inside, self.environment = inside, environment
        self.start()

    def start(self) -> None:
        """Start it, or start it again after :meth:`kill`, with what is in ``environment`` then."""
        settings = [self.cluster.state["slurm_conf"], self.cluster.hub_address, "serve"]
        self._process = self.python(STEPS, *settings)
        self._numbers = itertools.count()
        self._open: dict[int, Future[Any]] = {}
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def python(self, source: str, *arguments: str) -> subprocess.Popen[str]:
        """A program of the person's, in this Lab's environment; its input and output are pipes."""
        account = pwd.getpwnam(self.person)
        cluster, prefix, person = self.cluster, self.prefix, self.person
        return subprocess.Popen(
            [*self.inside, f"{prefix}/bin/python", "-c", source, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=account.pw_dir,
            env={
                "PATH": f"{prefix}/bin:/usr/bin:/bin",
                "HOME": account.pw_dir,
                "USER": person,
                "LOGNAME": person,
                "LANG": "C.UTF-8",
                **cluster.environment,
                **self.environment,
            },
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=os.getgrouplist(person, account.pw_gid),
        )

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def send(self, *step: Any) -> Future[Any]:
        """Ask for a step, and do not wait for the answer."""
        number, future = next(self._numbers), Future[Any]()
        self._open[number] = future
        verb, *arguments = step
        self._process.stdin.write(json.dumps([number, verb, arguments]) + "\n")
        self._process.stdin.flush()
        return future

    def ask(self, *step: Any, seconds: float = ANSWER) -> Any:
        """The answer to a step. Raises AssertionError with the error's words."""
        return self.send(*step).result(seconds)

    def until(self, made: str, holds: Callable[[Shown], Any], seconds: float, what: str) -> Shown:
        """Look at a cluster until it shows something; fails with what it shows instead."""
        last: Shown = {}

        def shows() -> bool:
            nonlocal last
            last = self.ask("show", made)
            return bool(holds(last))

        try:
            wait_until(shows, seconds, what, pause=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows: {last}") from error
        return last

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def restart(self, **environment: str) -> None:
        """Kill it, and start another one with these variables as well."""
        self.kill()
        self.environment.update(environment)
        self.start()

    def close(self) -> None:
        """End it in order, or at once if it does not."""
        if self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def _read(self, answers: Iterable[str]) -> None:
        for line in answers:
            answer = json.loads(line)
            future = self._open.pop(answer["number"])
            if "error" in answer:
                future.set_exception(AssertionError(answer["error"]))
            else:
                future.set_result(answer["ok"])


def states(shown: Shown) -> dict[str, str]:
    """The workers' states by their names."""
    return {row["name"]: row["state"] for row in shown["workers"]["rows"]}


def row(shown: Shown, name: str) -> dict[str, Any]:
    return next(one for one in shown["workers"]["rows"] if one["name"] == name)


def connected(shown: Shown, count: int) -> bool:
    """Whether it runs with so many workers, and none of another state beside them that is not over."""
    assert shown["state"] != "ended", shown
    living = [state for state in states(shown).values() if state not in ("ended", "failed")]
    return shown["state"] == "running" and shown["workers"]["connected"] == count == len(living)


def processes(made: str, *words: str) -> list[psutil.Process]:
    """Processes of this cluster on any node, by words in their command line; the nodes share our /proc."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if all(word in line for word in words) and (
                any(made in word for word in line)
                or made in process.environ().get("SHOPFLOOR_JOB_DIR", "")
            ):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def remove_records(person: str, made: str) -> None:
    """Remove the directories of a cluster that has ended and of its workers; homes are shared by all clusters."""
    home = Path(pwd.getpwnam(person).pw_dir)
    for path in (home / ".local" / "share" / "shopfloor" / "jobs").glob("shopfloor-*"):
        with contextlib.suppress(OSError, ValueError):
            if made in (path.name, json.loads((path / "request.json").read_text())["parent"]):
                shutil.rmtree(path, ignore_errors=True)


def kill_worker(made: str, name: str) -> None:
    """The nanny, which is the command of the worker's job."""
    [nanny] = processes(made, WORKER, "--name", name)
    nanny.kill()
