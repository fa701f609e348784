"""Real clusters on the local scheduler: start, compute, scale, stop, and every way in which they end."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs.directory import write_json
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.machine import this_machine
from shopfloor_jobs.scheduler import SubmitRefused
from shopfloor_lab.clusters.client import Client, connect
from shopfloor_lab.clusters.connection import Plan
from shopfloor_lab.clusters.listing import Clusters, Conflict
from shopfloor_lab.clusters.state import Sight

from tests.jobs.waiting import async_wait_until

from .cluster_parts import START, TOKEN, Person


@pytest.fixture
def lab(person: Person) -> Clusters:
    return person.lab()


async def test_a_cluster_computes_and_shows_what_its_workers_do(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 2)

    def compute() -> tuple[int, str, dict[str, Any]]:
        with connect(home=person.home) as client:
            futures = client.map(lambda number: number * number, range(10))
            total = client.submit(sum, futures).result()
            return total, client._repr_html_(), asyncio.run(person.lab().one(cluster["id"]))

    total, shown, busy = await asyncio.to_thread(compute)

    assert total == sum(number * number for number in range(10))
    assert shown == "<p>Cluster <strong>cluster-1</strong>: 2 workers, 2 threads</p>"
    assert busy["tasks"] == {"processing": 0, "waiting": 0, "memory": 10, "erred": 0}
    assert (busy["figures"]["progress"]["done"], busy["figures"]["cpus"]) == (11, 2)
    assert busy["figures"]["unmanaged"] > 0 and busy["figures"]["gpus"] == {}
    assert busy["spent"]["cpu_seconds"] > 0 and busy["spent"]["gpu_seconds"] == 0
    assert cluster["name"] == "cluster-1" and cluster["job_id"] and cluster["node"]
    assert cluster["ends"] - cluster["started"] == pytest.approx(3600, abs=1)
    rows = cluster["workers"]["rows"]
    assert [(row["name"], row["state"]) for row in rows] == [
        ("worker-1", "connected"),
        ("worker-2", "connected"),
    ]
    assert all(
        0 < row["memory"] < row["memory_limit"] < cluster["request"]["memory"] for row in rows
    )
    assert cluster["memory"] == sum(row["memory"] for row in rows)


async def test_scaling_down_keeps_results_that_only_the_leaving_workers_hold(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 2)
    client = await asyncio.to_thread(connect, "cluster-1", person.home)
    try:
        scaled = await lab.scale(cluster["id"], 3)
        assert scaled["workers"]["wanted"] == 3
        await person.until_connected(lab, cluster["id"], 3)
        # Not repeatable: a result that was lost and computed anew would be another one.
        futures = client.map(lambda _: random.random(), range(60), pure=False)
        before = await asyncio.to_thread(client.gather, futures)
        holders = {address for where in client.who_has(futures).values() for address in where}
        assert len(holders) == 3

        await lab.scale(cluster["id"], 1)
        await person.until_connected(lab, cluster["id"], 1)

        assert await asyncio.to_thread(client.gather, futures) == before
        await async_wait_until(
            lambda: len(person.commands("dask_worker")) == 1, START, "the other workers' jobs end"
        )
    finally:
        await asyncio.to_thread(client.close)


async def test_of_many_orders_at_once_the_last_one_is_carried_out_last(
    person: Person, lab: Clusters
) -> None:
    made = await person.start(lab, workers=0)
    counts = [*(number % 2 * 2 for number in range(29)), 1]
    await asyncio.gather(*(lab.scale(made["id"], count) for count in counts))
    assert (await lab.one(made["id"]))["workers"]["wanted"] == 1
    await person.until_connected(lab, made["id"], 1)


async def test_stopping_leaves_no_process_no_key_and_says_who_did_it(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 2)
    assert len(person.processes()) >= 6

    await lab.end(cluster["id"])

    assert await async_wait_until(lambda: not person.processes(), 20, "nothing of it runs")
    ended = await lab.one(cluster["id"])
    assert (ended["state"], ended["cause"]) == ("ended", "You stopped it.")
    assert ended["workers"]["rows"] == []
    assert ended["spent"]["cpu_seconds"] >= 1, "two workers with a CPU each"
    assert ended["spent"]["gpu_seconds"] == 0
    left = {path.name for path in person.directory(cluster["id"]).iterdir()}
    assert not left & {"connection.json", "tls", "workers.json", "scratch"}

    await lab.end(cluster["id"])
    assert await lab.list() == []


async def test_a_cancelled_controller_takes_its_workers_along(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 2)

    await person.scheduler.cancel("alice", [cluster["job_id"]])

    await async_wait_until(lambda: not person.processes(), 20, "nothing of it runs")
    assert (await lab.one(cluster["id"]))["cause"] == "was stopped"
    assert not (person.directory(cluster["id"]) / "tls").exists()


async def test_when_the_controller_is_killed_the_workers_go_and_lab_clears_up(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 2)
    path = person.directory(cluster["id"])
    (controller,) = person.commands("clusters.controller")

    controller.kill()

    await async_wait_until(lambda: not person.commands("dask_worker"), 60, "the workers end")
    assert (path / "connection.json").exists(), "the controller could not remove it"
    ended = await person.lab().one(cluster["id"])
    assert ended["state"] == "ended" and "killed by signal 9" in ended["cause"]
    assert ended["log"]
    assert not (path / "connection.json").exists() and not (path / "tls").exists()
    with pytest.raises(LookupError, match="No cluster is running"):
        await asyncio.to_thread(connect, None, person.home)


async def test_lab_cancels_the_workers_of_a_killed_controller_that_do_not_end_by_themselves(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 1)
    (controller,) = person.commands("clusters.controller")
    stopped = person.commands("dask_worker") + person.commands("multiprocessing")
    for process in stopped:
        process.suspend()  # as one that waits in the queue, it notices nothing
    controller.kill()
    await async_wait_until(lambda: not controller.is_running(), 10, "the controller is gone")

    lab_again = person.lab()
    await async_wait_until(lambda: _ended(lab_again, cluster["id"]), 20, "Lab sees that it ended")

    await async_wait_until(lambda: not person.processes(), 20, "its worker's job is ended")


async def test_the_runners_word_counts_though_the_files_were_read_before_it_was_written(
    person: Person, lab: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.directory("shopfloor-cluster-00000000000000ed")
    path.mkdir(mode=0o700, parents=True)
    request = person.offer.presets[0].request
    Plan("late", 1, request, person.offer.scheduler, "", time.time()).write(path)

    async def look(*_: object) -> Sight:
        write_json(path / "exit-0.json", {"cause": "killed by signal 9 (SIGKILL)"})
        return Sight(seen=Seen("7", path.name, "alice", State.ENDED, cause="failed"))

    monkeypatch.setattr(lab._sights, "of", look)
    ended = await lab.one(path.name)
    assert (ended["state"], ended["cause"]) == ("ended", "killed by signal 9 (SIGKILL)")


async def test_a_client_that_shuts_the_scheduler_down_ends_the_cluster(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 1)
    client = await asyncio.to_thread(connect, None, person.home)

    await asyncio.to_thread(client.shutdown)

    await async_wait_until(lambda: _ended(lab, cluster["id"]), 20, "it ends")
    assert (await lab.one(cluster["id"]))["cause"] == "A client shut it down."
    await async_wait_until(lambda: not person.processes(), 20, "nothing of it runs")


async def test_lab_that_restarted_lists_the_cluster_and_steers_it(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 1)
    del lab

    again = person.lab()

    (listed,) = await again.list()
    assert (listed["id"], listed["state"]) == (cluster["id"], "running")
    await again.scale(cluster["id"], 0)
    await person.until_connected(again, cluster["id"], 0)


async def test_a_worker_that_the_scheduler_refuses_is_a_row_with_its_words(
    person: Person, lab: Clusters
) -> None:
    half = int(this_machine().memory * 0.6)
    cluster = await lab.start({"workers": 2, "request": {"memory": half}})

    async def both() -> list[dict[str, Any]] | None:
        rows = (await lab.one(cluster["id"]))["workers"]["rows"]
        return rows if sorted(row["state"] for row in rows) == ["connected", "failed"] else None

    rows = await async_wait_until(both, START, "one is connected and one refused")
    (refused,) = [row for row in rows if row["state"] == "failed"]
    assert refused["reason"].startswith("memory:")
    reason = f"{refused['name']} was refused: memory:"
    assert (await lab.one(cluster["id"]))["reason"].startswith(reason)

    await lab.scale(cluster["id"], 1)
    await person.until_connected(lab, cluster["id"], 1)


async def test_a_cluster_that_the_scheduler_refuses_leaves_nothing(
    person: Person, lab: Clusters
) -> None:
    person.offer = person.offer.from_json(
        {
            **person.offer.to_json(),
            "choices": {"account": [{"value": "physics", "label": "physics"}]},
        }
    )

    with pytest.raises(SubmitRefused, match="account"):
        await lab.start({"workers": 1})

    assert await lab.list() == []
    assert not list((person.home / ".local/share/shopfloor/jobs").iterdir())


async def test_two_living_clusters_cannot_have_one_name(person: Person, lab: Clusters) -> None:
    first = await lab.start({"name": "big one", "workers": 0})
    with pytest.raises(Conflict, match="'big one'"):
        await lab.start({"name": "big one", "workers": 0})
    await lab.end(first["id"])
    await async_wait_until(lambda: _ended(lab, first["id"]), 20, "it ends")
    assert (await lab.start({"name": "big one", "workers": 0}))["name"] == "big one"


async def test_three_clusters_are_listed_in_less_than_50_ms(person: Person, lab: Clusters) -> None:
    started = [await lab.start({"workers": 0}) for _ in range(3)]
    assert [one["name"] for one in started] == ["cluster-1", "cluster-2", "cluster-3"]
    for one in started:
        await person.until_connected(lab, one["id"], 0)

    async def listing() -> float:
        begun = time.perf_counter()
        states = [one["state"] for one in await lab.list()]
        assert states == ["running"] * 3
        return time.perf_counter() - begun

    assert statistics.median([await listing() for _ in range(9)]) < 0.05


async def test_a_controller_that_hangs_is_neither_waited_for_nor_called_dead(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 0)
    await lab.scale(cluster["id"], 1)
    before = await person.until_connected(lab, cluster["id"], 1)
    (controller,) = person.commands("clusters.controller")
    controller.suspend()
    try:
        begun = time.perf_counter()
        now = await lab.one(cluster["id"])
        assert time.perf_counter() - begun < 4
        assert (now["state"], now["reason"]) == ("running", "It does not answer at the moment.")
        counted = (now["workers"]["wanted"], now["workers"]["connected"])
        assert counted == (1, 1), "what it said before is not taken back"
        assert now["memory_limit"] == before["memory_limit"]
    finally:
        controller.resume()
    await async_wait_until(lambda: _answers(lab, cluster["id"]), 10, "it answers again")


async def test_an_order_waits_for_a_controller_that_is_busy_though_looks_give_up(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 0)
    (controller,) = person.commands("clusters.controller")
    controller.suspend()
    try:
        order = asyncio.create_task(lab.scale(cluster["id"], 1))
        assert (await lab.one(cluster["id"]))["reason"] == "It does not answer at the moment."
        assert not order.done()
    finally:
        controller.resume()
    assert (await order)["workers"]["wanted"] == 1


async def test_no_token_of_lab_reaches_controller_or_workers(person: Person, lab: Clusters) -> None:
    cluster = await person.start(lab, 1)
    processes = person.processes()
    assert len(processes) >= 4
    for process in processes:
        assert TOKEN not in process.environ().values()
        assert TOKEN not in " ".join(process.cmdline())
    for path in person.directory(cluster["id"]).rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


async def test_a_worker_computes_beside_the_path_of_the_person_not_in_tmp(
    person: Person, lab: Clusters
) -> None:
    cluster = await person.start(lab, 1)
    client: Client = await asyncio.to_thread(connect, None, person.home)
    try:
        where = await asyncio.to_thread(
            lambda: client.run(lambda dask_worker: dask_worker.local_directory)
        )
    finally:
        await asyncio.to_thread(client.close)
    scratch = person.directory(cluster["id"]) / "scratch"
    assert all(Path(one).is_relative_to(scratch) for one in where.values())
    assert person.directory(cluster["id"]).stat().st_mode & 0o077 == 0


async def _ended(lab: Clusters, cluster: str) -> bool:
    return (await lab.one(cluster))["state"] == "ended"


async def _answers(lab: Clusters, cluster: str) -> bool:
    return (await lab.one(cluster))["reason"] is None
