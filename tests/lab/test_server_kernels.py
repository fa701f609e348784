"""What a Lab server does with kernels that are jobs, without the server around it: asked for, waited for, ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from shopfloor_lab import hub as hub_module
from shopfloor_lab.kernels.lab import Lab
from shopfloor_lab.kernels.managers import JobKernels
from tornado.web import Application

from tests.jobs.waiting import async_wait_until

from .cluster_parts import Person
from .job_kernels import NAME, Talk, kernelspec, nothing_runs


@pytest.fixture
async def server(kernel_home: Path, tmp_path: Path) -> AsyncIterator[JobKernels]:
    """What the Lab server does with kernels; all of them are ended after the test."""
    kernels = JobKernels(
        kernel_spec_manager=KernelSpecManager(),
        connection_dir=str(tmp_path),
        root_dir=str(kernel_home),
    )
    yield kernels
    for kernel in kernels.list_kernel_ids():
        await kernels.shutdown_kernel(kernel, now=True)
    await kernels.shutdown_all(now=True)


async def test_the_server_waits_for_no_job_and_a_waiting_one_can_be_cancelled(
    person: Person, server: JobKernels, nobody_arrives: asyncio.Event
):
    kernel = await asyncio.wait_for(server.start_kernel(kernel_name=NAME), 5)
    await asyncio.wait_for(nobody_arrives.wait(), 10)
    assert server.kernel_model(kernel)["execution_state"] == "starting"
    await asyncio.wait_for(server.shutdown_kernel(kernel), 5)
    assert kernel not in server
    await async_wait_until(lambda: nothing_runs(person), 10, "its job has ended")


async def test_a_job_of_the_server_runs_when_it_is_its_turn(server: JobKernels):
    kernel = await server.start_kernel(kernel_name=NAME)
    manager = server.get_kernel(kernel)
    await asyncio.wait_for(asyncio.shield(manager.ready), 30)
    async with Talk(manager) as talk:
        assert (await talk.run("print(6 * 7)"))[1] == "42\n"
    await server.restart_kernel(kernel)
    assert await manager.is_alive()


async def test_a_kernel_that_was_ended_is_not_let_go_when_the_server_ends(
    person: Person, server: JobKernels
):
    kernel = await server.start_kernel(kernel_name=NAME)
    await asyncio.wait_for(asyncio.shield(server.get_kernel(kernel).ready), 30)
    await server.shutdown_kernel(kernel)
    await server.shutdown_all()
    await async_wait_until(lambda: nothing_runs(person), 10, "its job has ended")


async def test_a_kernel_that_jupyter_cannot_write_down_leaves_no_job(
    person: Person, server: JobKernels
):
    server.connection_dir = "/no/such/folder"
    kernel = await server.start_kernel(kernel_name=NAME)

    async def failed() -> bool:
        return server.board.row(kernel)["state"] == "ended"

    await async_wait_until(failed, 30, "the start has failed")
    assert "/no/such/folder" in server.board.row(kernel)["cause"]
    assert server.kernel_model(kernel)["execution_state"] == "dead"
    await async_wait_until(lambda: nothing_runs(person), 10, "its job has ended")


async def test_other_kernels_start_as_ever(server: JobKernels, tmp_path: Path):
    kernel = await server.start_kernel(kernel_name="python3")
    assert server.get_kernel(kernel).ready.done()
    kernelspec(tmp_path / "share", "local-gone", ["/no/such/program"], "x", {}, metadata={})
    with pytest.raises(FileNotFoundError):
        await server.start_kernel(kernel_name="local-gone")
    assert server.list_kernel_ids() == [kernel]


COMPUTES = """
import os, time
while not os.path.exists({path!r}):
    time.sleep(0.02)
"""


async def test_what_an_agent_or_jupyter_says_is_told_though_the_hub_is_silent(
    person: Person,
    server: JobKernels,
    jobs_hub: Application,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(hub_module, "TIMEOUT", 120)
    jobs_hub.settings["offer"] = {**person.offer.to_json(), "version": 1}
    url = {"JUPYTERHUB_API_URL": jobs_hub.settings["url"], "JUPYTERHUB_API_TOKEN": "secret"}
    server.lab = Lab(environment={**os.environ, **url})
    told: list[list[dict[str, Any]]] = []
    server.board.emit = told.append
    busy = await server.start_kernel(kernel_name=NAME)

    def last(kernel: str) -> dict[str, Any]:
        return next((row for row in told[-1] if row["id"] == kernel), {}) if told else {}

    await async_wait_until(lambda: last(busy).get("state") == "running", 40, "it runs")
    jobs_hub.settings["answers"].clear()
    jobs_hub.settings["asked"].clear()
    await asyncio.wait_for(jobs_hub.settings["asked"].wait(), 20)
    go = tmp_path / "go"
    async with Talk(server.get_kernel(busy)) as talk:
        talk.client.execute(COMPUTES.format(path=str(go)))
        await async_wait_until(lambda: last(busy)["execution"] == "busy", 20, "it computes")
        go.touch()
        await async_wait_until(lambda: last(busy)["execution"] == "idle", 20, "it is done")
    assert not jobs_hub.settings["answers"].is_set()
    jobs_hub.settings["answers"].set()
