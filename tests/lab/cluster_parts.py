"""A person on one machine for the tests of clusters: offer, home, real scheduler, and what runs in their name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import psutil
from shopfloor_jobs.local import Local
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_lab.clusters.listing import Clusters

from tests.jobs.waiting import async_wait_until

GB = 1024**3
TOKEN = "a-token-that-no-job-may-get"
START = 30  # seconds that a cluster may take to start on a busy machine


def offer_of(state: Path, **limits: int) -> Offer:
    """What alice may ask for on this machine."""
    limits = {"cpus": 2, "memory": 64 * GB, "gpus": 0, "nodes": 2, "time": 86400, **limits}
    small = Request(cpus=1, memory=GB, time=3600).to_json()
    return Offer(
        person="alice",
        site="Test site",
        scheduler={"type": "local", "state": str(state)},
        partitions=(Partition("local", "local", limits),),
        presets=(Preset("small", "Small", small),),
    )


class Person:
    """alice, who has an offer and a home; each :meth:`lab` is a Lab server that just started."""

    def __init__(self, state: Path):
        self.state = state
        self.offer = offer_of(state)
        self.scheduler = Local(state=str(state))
        self.home = self.scheduler.home_of("alice")
        self.home.mkdir(mode=0o700, parents=True)

    def lab(self) -> Clusters:
        async def get() -> Offer:
            return self.offer

        environment = {**os.environ, "JUPYTERHUB_API_TOKEN": TOKEN, "JUPYTER_TOKEN": TOKEN}
        return Clusters(self.home, get, environment)

    async def start(self, lab: Clusters, workers: int, **body: Any) -> dict[str, Any]:
        """A cluster with all of its workers connected."""
        cluster = await lab.start({"workers": workers, **body})
        return await self.until_connected(lab, cluster["id"], workers)

    async def until_connected(self, lab: Clusters, cluster: str, workers: int) -> dict[str, Any]:
        async def settled() -> dict[str, Any] | None:
            now = await lab.one(cluster)
            assert now["state"] != "ended", now
            shown = now["workers"]
            ready = now["state"] == "running" and len(shown["rows"]) == workers
            return now if ready and shown["connected"] == workers else None

        return await async_wait_until(settled, START, f"{workers} workers are connected", 0.05)

    def directory(self, cluster: str) -> Path:
        return self.home / ".local" / "share" / "shopfloor" / "jobs" / cluster

    def processes(self) -> list[psutil.Process]:
        """Every process that a job of alice started, runners included."""
        mark = str(self.state).encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    mark in (path / "environ").read_bytes()
                    or mark in (path / "cmdline").read_bytes()
                ):
                    found.append(psutil.Process(int(path.name)))
            except (OSError, psutil.NoSuchProcess):
                continue
        return [one for one in found if _lives(one)]

    def processes_of_jobs(self) -> list[psutil.Process]:
        """Those of jobs: the runners, each of which lives as long as its job."""
        return [one for one, line in self._lines() if "-IS" in line]

    def commands(self, word: str) -> list[psutil.Process]:
        """Those whose command line holds a word, runners excepted."""
        return [one for one, line in self._lines() if word in " ".join(line) and "-IS" not in line]

    def _lines(self) -> list[tuple[psutil.Process, list[str]]]:
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append((process, process.cmdline()))
        return found


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
