"""The four ways to a Jupyter server that spawn.py compares: two hubs, and two floors without any hub."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import pwd
import shlex
import shutil
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.cluster.cluster import Cluster
from tests.harness import HubProcess, wait_until
from tests.stock.hub import Request, StockHub

CPUS, MEMORY_MB, MINUTES = 1, 512, 60
STOCK_CONFIG = """
# Nobody logs in: the benchmark acts through the API.
c.JupyterHub.authenticator_class = "null"
# The stock port report comes before the server starts; in a burst that takes longer than the default 30 s.
c.Spawner.http_timeout = 180
"""
CLEAN_WITHIN = 120  # seconds
LIVES = (200, 302, 403)  # a Jupyter server's answers at /api, with and without login


class StartFailed(Exception):
    """A server did not start; the text is what was answered."""


@dataclass(frozen=True)
class Place:
    """Whose server, which one of theirs ("" is the usual one), in which partition."""

    person: str
    server: str
    partition: str


class Way(Protocol):
    """One way to a server. ``start`` is the click; it may return before the server is ready."""

    name: str

    def start(self, place: Place) -> None: ...
    def ready(self, place: Place, interval: float) -> bool: ...
    def end(self, places: Sequence[Place]) -> None: ...


def status(host: str, port: int, path: str, headers: Mapping[str, str] | None = None) -> int:
    """The status of a GET, 0 when nothing answers."""
    return fetch(host, port, path, headers)[0]


def fetch(
    host: str,
    port: int,
    path: str,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    if context:
        connection = http.client.HTTPSConnection(host, port, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class HubWay:
    """Through a hub's REST API and its proxy.

    A server counts as ready when it answers itself: the proxy has its route, and the route leads to an answer.
    Only the proxy is asked until then, by one request for all, so that watching costs the hub nothing.
    """

    def __init__(self, name: str, hub: HubProcess, cluster: Cluster, options: Mapping[str, Any]):
        self.name, self.hub, self.cluster, self.options = name, hub, cluster, options
        token_file = hub.directory / ".shopfloor" / "proxy.env"
        self._token = token_file.read_text().strip().partition("=")[2]
        self._context = hub.context()
        self._lock = threading.Lock()
        self._looked, self._routes = 0.0, frozenset[str]()

    def start(self, place: Place) -> None:
        options = {**self.options, "partition": place.partition}
        answer = self.hub.start_server(place.person, options, place.server)
        if answer.status_code not in (201, 202):
            raise StartFailed(f"{answer.status_code}: {answer.text[:500]}")

    def ready(self, place: Place, interval: float) -> bool:
        path = "/".join(filter(None, ("/user", place.person, place.server)))
        if path not in self._known_routes(interval):
            return False
        return status("127.0.0.1", self.hub.port, f"{path}/api") in LIVES

    def _known_routes(self, interval: float) -> frozenset[str]:
        with self._lock:
            if time.monotonic() - self._looked >= interval:
                headers = {"Authorization": f"token {self._token}"}
                _, body = fetch(
                    "127.0.0.1", self.hub.proxy_port, "/api/routes", headers, self._context
                )
                self._routes = frozenset(path.rstrip("/") for path in json.loads(body or "{}"))
                self._looked = time.monotonic()
            return self._routes

    def end(self, places: Sequence[Place]) -> None:
        # At once, for each answer may take as long as the hub waits for a job to end.
        with ThreadPoolExecutor(len(places)) as pool:
            list(pool.map(lambda place: self.hub.stop_server(place.person, place.server), places))
        people = {place.person for place in places}

        def stopped() -> bool:
            return not any(self.hub.api("GET", f"users/{one}").json()["servers"] for one in people)

        wait_until(stopped, CLEAN_WITHIN, f"{self.name}: the hub has stopped all servers", 0.25)
        wait_until(
            lambda: not self.cluster.jobs(), CLEAN_WITHIN, f"{self.name}: no job is left", 0.25
        )
        with self._lock:
            self._looked = 0.0


def stock_hub(cluster: Cluster, prefix: Path) -> StockHub:
    """Start JupyterHub with stock batchspawner on the cluster, with its proxy beside it as Shopfloor's hub has it."""
    hub = StockHub(cluster, prefix, Request(CPUS, MEMORY_MB, MINUTES), STOCK_CONFIG, beside=True)
    try:
        hub.start()
    except BaseException:
        hub.stop()
        hub.remove()
        raise
    return hub


class Floor:
    """`jupyter lab` by Slurm's own command, asked directly on its node; ``command`` is srun or sbatch.

    The batch script notes when its first line ran and where, in a file of the person's.
    """

    _ports = itertools.count(20001)  # free on the nodes, which run nothing but our jobs

    def __init__(self, command: str, cluster: Cluster, prefix: Path):
        self.name, self.cluster, self.prefix = command, cluster, prefix
        self.first_lines: list[float] = []  # seconds from sbatch to the script's first line
        self._port: dict[Place, int] = {}
        self._clicked: dict[Place, float] = {}
        self._folder: dict[Place, Path] = {}
        self._sruns: dict[Place, subprocess.Popen[bytes]] = {}

    def start(self, place: Place) -> None:
        account = pwd.getpwnam(place.person)
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=account.pw_dir))
        os.chown(folder, account.pw_uid, account.pw_gid)
        port = next(self._ports)
        self._port[place], self._folder[place] = port, folder
        lab = [f"{self.prefix}/bin/jupyter", "lab", "--no-browser", "--ip=0.0.0.0"]
        lab += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        request = [
            f"--partition={place.partition}",
            "--ntasks=1",
            f"--cpus-per-task={CPUS}",
            f"--mem={MEMORY_MB}M",
            f"--time={MINUTES}",
            f"--chdir={account.pw_dir}",
            f"--output={folder}/output",
        ]
        self._clicked[place] = time.time()
        if self.name == "srun":
            self._sruns[place] = self._run_beside(account, ["srun", *request, *lab])
            return
        note = (
            f'echo "$EPOCHREALTIME $SLURMD_NODENAME" > {folder}/new; mv {folder}/new {folder}/first'
        )
        script = f"#!/bin/bash\n{note}\nexec {shlex.join(lab)}\n"
        done = self.cluster.run(["sbatch", *request], place.person, text=script)
        if done.returncode:
            raise StartFailed(done.stderr.strip())

    def _run_beside(
        self, account: pwd.struct_passwd, command: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=account.pw_dir,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": account.pw_dir,
                "USER": account.pw_name,
                "LANG": "C.UTF-8",
                **self.cluster.environment,
            },
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=os.getgrouplist(account.pw_name, account.pw_gid),
        )

    def ready(self, place: Place, interval: float) -> bool:
        node = self._node(place)
        if not node:
            return False
        return status(self.cluster.address(node), self._port[place], "/api") in LIVES

    def _node(self, place: Place) -> str:
        if self.name == "srun":
            srun = self._sruns[place]
            if srun.poll() is not None:
                raise StartFailed(
                    f"srun ended: {srun.stderr.read().decode(errors='replace')[:500]}"
                )
            return "cpu01"  # the only node of the partition that srun is measured in
        try:
            return (self._folder[place] / "first").read_text().split()[1]
        except FileNotFoundError:
            return ""

    def end(self, places: Sequence[Place]) -> None:
        folders = {place: self._folder.pop(place) for place in places if place in self._folder}
        for place, folder in folders.items():
            first = folder / "first"
            if len(places) == 1 and first.exists():
                self.first_lines.append(float(first.read_text().split()[0]) - self._clicked[place])
        ids = [job["id"] for job in self.cluster.jobs()]
        if ids:
            self.cluster.run(["scancel", *ids])
        for srun in self._sruns.values():
            srun.communicate(timeout=CLEAN_WITHIN)
        self._sruns.clear()
        wait_until(
            lambda: not self.cluster.jobs(), CLEAN_WITHIN, f"{self.name}: no job is left", 0.25
        )
        for folder in folders.values():
            shutil.rmtree(folder)

    def slurm_start(self) -> float | None:
        """Median seconds from sbatch to the script's first line, of servers that started alone."""
        return statistics.median(self.first_lines) if self.first_lines else None
