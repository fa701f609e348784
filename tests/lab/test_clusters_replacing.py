"""Workers that end are replaced, on real clusters of the local scheduler, and not endlessly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.listing import Clusters
from shopfloor_lab.clusters.replacing import MOST

from tests.jobs.waiting import async_wait_until

from .cluster_parts import START, Person

BROKEN = """\
import os, sys
if "distributed.cli.dask_worker" in sys.orig_argv and os.path.exists({flag!r}):
    sys.exit("the driver is too old for this software")
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file is there, no worker can start."""
    flag, folder = tmp_path / "broken", tmp_path / "python"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BROKEN.format(flag=str(flag)))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    flag.touch()
    return flag


async def rows_of(lab: Clusters, cluster: str) -> list[dict[str, Any]]:
    return (await lab.one(cluster))["workers"]["rows"]


async def test_a_worker_that_is_killed_is_replaced_and_its_end_is_told(person: Person):
    lab = person.lab()
    cluster = await person.start(lab, 2)
    for process in person.commands("--name worker-1"):
        process.kill()

    async def replaced() -> list[dict[str, Any]] | None:
        rows = await rows_of(lab, cluster["id"])
        states = [(row["name"], row["state"]) for row in rows]
        over = ("worker-1", "ended") in states
        return rows if over and ("worker-3", "connected") in states else None

    rows = await async_wait_until(replaced, START, "worker-3 stands for worker-1")
    first, second, third = rows
    assert second["state"] == "connected"
    assert "SIGKILL" in first["reason"] and (first["tries"], third["tries"]) == (1, 2)
    assert first["log"]
    with connect(home=person.home) as client:
        assert client.submit(sum, [1, 2]).result() == 3


async def test_workers_that_cannot_start_are_given_up_with_their_words_and_can_be_asked_for_again(
    person: Person, broken: Path
):
    lab = person.lab()
    cluster = await lab.start({"workers": 2})

    async def given_up() -> dict[str, Any] | None:
        now = await lab.one(cluster["id"])
        rows = now["workers"]["rows"]
        over = rows and all(row["state"] == "failed" for row in rows)
        return now if over and "did not start" in (now["reason"] or "") else None

    shown = await async_wait_until(given_up, 2 * START, "it is given up")
    rows = shown["workers"]["rows"]
    assert MOST <= len(rows) <= MOST + 1
    assert all("the driver is too old" in row["log"] for row in rows)
    assert all(row["exit"] == 1 for row in rows)
    assert shown["state"] == "running" and person.commands("dask_worker") == []
    await asyncio.to_thread(broken.unlink)
    await lab.scale(cluster["id"], 2)
    await person.until_connected(lab, cluster["id"], 2)
    assert (await lab.one(cluster["id"]))["reason"] is None


EATS = """
import time
hoard = []
while True:
    hoard.append(b"x" * 20_000_000)
    time.sleep(0.02)
"""


async def test_a_worker_whose_process_is_started_again_says_how_often_and_why(person: Person):
    lab = person.lab()
    cluster = await person.start(lab, 1, request={"memory": 512 * 1024**2})
    client = await asyncio.to_thread(connect, home=person.home)
    try:
        eats = client.submit(exec, EATS, {}, pure=False, retries=0)

        async def told() -> str | None:
            [row] = await rows_of(lab, cluster["id"])
            return row["reason"]

        words = await async_wait_until(told, START, "the row says why")
        assert words == "started again once: it used more memory than a worker may"
        await asyncio.to_thread(client.cancel, eats, force=True)
        await person.until_connected(lab, cluster["id"], 1)
        forked = person.commands(
            "multiprocessing.forkserver"
        )  # dask's nanny forks it of one of them
        [process] = [one for one in forked if one.parent() in forked]
        process.kill()

        async def told_again() -> bool:
            return "started again 2 times: its process was killed by signal 9" in (
                await told() or ""
            )

        await async_wait_until(told_again, START, "the row says why")
        [row] = await rows_of(lab, cluster["id"])
        assert (row["name"], row["tries"]) == ("worker-1", 1), "its job is the same"
        await asyncio.to_thread(client.restart)
        await person.until_connected(lab, cluster["id"], 1)
        assert await told_again(), "what the person asked for needs no reason"
    finally:
        await asyncio.to_thread(client.close)
