"""Kernels that a Lab server cannot have at its start: those of one that seems to live, or while nobody makes offers."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from shopfloor_jobs import directory
from shopfloor_jobs.job import Job, new_tag
from shopfloor_lab.kernels import adopting
from shopfloor_lab.kernels.kept import KEPT
from shopfloor_lab.kernels.managers import JobKernels
from shopfloor_lab.kernels.sessions import JobSessions
from tornado.web import Application

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person
from .job_kernels import NAME, cached_offer

NOTEBOOK = "flights.ipynb"


class Server:
    """What a Lab server does with kernels and sessions."""

    def __init__(self, home: Path, folder: Path):
        specs = KernelSpecManager()
        self.kernels = JobKernels(
            kernel_spec_manager=specs, connection_dir=str(folder), root_dir=str(home)
        )
        files = AsyncLargeFileManager(root_dir=str(home))
        self.sessions = JobSessions(kernel_manager=self.kernels, contents_manager=files)

    async def documents(self) -> dict[str, str]:
        """The documents of kernels."""
        listed = await self.sessions.list_sessions()
        return {one["kernel"]["id"]: one["path"] for one in listed}

    def shown(self) -> list[str]:
        return [row["id"] for row in self.kernels.board.rows()]

    async def end(self) -> None:
        for kernel in self.kernels.list_kernel_ids():
            await self.kernels.shutdown_kernel(kernel, now=True)
        await self.kernels.shutdown_all(now=True)


class Left:
    """A kernel that the person's server before left, with the notebook that it belongs to; ``path`` is its job's."""

    def __init__(self, kernel: str, path: Path):
        self.kernel, self.path = kernel, path

    def held_by(self, tag: str) -> None:
        kept = json.loads((self.path / KEPT).read_text())
        kept["holder"] = {"tag": tag, "host": "another", "pid": 7, "began": 9}
        directory.write_json(self.path / KEPT, kept)


@pytest.fixture
async def server(kernel_home: Path, tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(kernel_home, tmp_path)
    yield made
    await made.end()


@pytest.fixture
async def left(kernel_home: Path, tmp_path: Path) -> Left:
    before = Server(kernel_home, tmp_path)
    kernel = await before.kernels.start_kernel(kernel_name=NAME)
    await asyncio.wait_for(asyncio.shield(before.kernels.get_kernel(kernel).ready), 30)
    await before.sessions.create_session(NOTEBOOK, NOTEBOOK, "notebook", kernel_id=kernel)
    [kept] = directory.jobs_root(kernel_home).glob(f"*/{KEPT}")
    await async_wait_until(lambda: NOTEBOOK in kept.read_text(), 10, "it is written down")
    await before.kernels.shutdown_all()
    return Left(kernel, kept.parent)


@pytest.fixture
async def holder(person: Person, left: Left) -> str:
    """The job of the server that has it, which lives, on a node that nobody reaches."""
    job = Job(
        tag=new_tag("server"),
        owner=person.offer.person,
        kind="server",
        request=person.offer.check({"preset": "small"}),
        command=(sys.executable, "-c", "import time; time.sleep(600)"),
        env={},
    )
    await person.scheduler.submit(job)
    left.held_by(job.tag)
    return job.tag


async def ends(person: Person, tag: str) -> None:
    ids = [one.id for one in await person.scheduler.look() if one.tag == tag]
    await person.scheduler.cancel(person.offer.person, ids)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopting, "AGAIN", 0.05)


@pytest.mark.usefixtures("often")
async def test_a_kernel_whose_server_seems_to_live_is_had_when_that_has_ended(
    person: Person, server: Server, left: Left, holder: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        assert await server.documents() == {}
        assert server.shown() == []
        said = [one.getMessage() for one in caplog.records if str(left.path) in one.getMessage()]
        assert len(said) == 1 and "on another" in said[0] and holder in said[0]
        told: list[str] = []
        server.kernels.board.emit = lambda rows: told.extend(row["id"] for row in rows)
        await ends(person, holder)
        await async_wait_until(lambda: left.kernel in told, 20, "the page hears of it")
    assert await server.documents() == {left.kernel: NOTEBOOK}
    assert len([one for one in caplog.records if "not had yet" in one.getMessage()]) == 1


@pytest.mark.usefixtures("often")
async def test_a_kernel_that_is_had_later_takes_no_notebook_that_has_another_one_meanwhile(
    person: Person, server: Server, left: Left, holder: str
):
    assert await server.documents() == {}
    made = await server.sessions.create_session(
        NOTEBOOK, NOTEBOOK, "notebook", kernel_name="python3", kernel_id=left.kernel
    )
    other = made["kernel"]["id"]
    assert other != left.kernel, "which is another server's"
    await ends(person, holder)
    await async_wait_until(lambda: left.kernel in server.shown(), 20, "it is had")
    assert await server.documents() == {other: NOTEBOOK}


async def test_an_ended_kernel_of_a_server_that_seems_to_live_is_shown_at_once(
    person: Person, server: Server, left: Left, holder: str
):
    await ends(person, left.path.name)
    await server.documents()
    assert [(row["id"], row["state"]) for row in server.kernels.board.rows()] == [
        (left.kernel, "ended")
    ]


@pytest.fixture
def no_offer(
    left: Left, kernel_home: Path, jobs_hub: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub makes none, and none is kept from before."""
    cached_offer(kernel_home).unlink()
    monkeypatch.setenv("JUPYTERHUB_API_URL", jobs_hub.settings["url"])
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")


async def test_who_asks_for_sessions_does_not_wait_each_time_for_a_hub_that_is_away(
    no_offer: None, server: Server, jobs_hub: Application
):
    for _ in range(5):
        assert await server.documents() == {}
    assert jobs_hub.settings["offers"] == 1


@pytest.mark.usefixtures("often")
async def test_kernels_are_had_when_the_hub_is_back(
    person: Person, no_offer: None, server: Server, left: Left, jobs_hub: Application
):
    assert await server.documents() == {}
    jobs_hub.settings["offer"] = {**person.offer.to_json(), "version": 1}
    await async_wait_until(lambda: left.kernel in server.shown(), 20, "it is had")
    assert await server.documents() == {left.kernel: NOTEBOOK}
