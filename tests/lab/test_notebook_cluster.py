"""A cluster as an object in notebooks and scripts: dask's users' ways with it, against real clusters."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import distributed
import pytest
from distributed.core import Status
from ipywidgets.widgets.widget import _instances
from shopfloor_jobs.fields import Refused
from shopfloor_lab.clusters.client import NotConnected, connect
from shopfloor_lab.clusters.cluster import Cluster
from shopfloor_lab.clusters.connection import Connection
from shopfloor_lab.clusters.listing import Clusters

from tests.jobs.waiting import async_wait_until, wait_until

from .cluster_parts import START, Person


@pytest.fixture
def lab(person: Person) -> Clusters:
    return person.lab()


async def until(condition: Callable[[], Any], what: str) -> Any:
    return await async_wait_until(condition, START, what)


async def test_it_is_what_dasks_users_know_and_close_leaves_it_running(
    person: Person, lab: Clusters
) -> None:
    started = await person.start(lab, 1, name="big one")

    def work() -> None:
        with Cluster(home=person.home) as cluster:
            assert isinstance(cluster, distributed.deploy.Cluster)
            assert (cluster.name, cluster.status) == ("big one", Status.running)
            assert (cluster.dashboard_link, list(cluster.workers)) == ("", ["worker-1"])
            assert cluster.scheduler_address.startswith("tls://")
            with cluster.get_client() as client:
                assert cluster.get_client() is client
                assert client.submit(sum, [1, 2]).result() == 3
                assert cluster.scale(2) is None
                client.wait_for_workers(2, timeout=START)
                cluster.wait_for_workers(2, timeout=START)
            both = {"worker-1", "worker-2"}
            assert {one["name"] for one in cluster.scheduler_info["workers"].values()} == both
            wait_until(lambda: both == cluster.requested == cluster.plan, START, "it knows both")
            assert cluster.observed == both
            assert "Scheduler" in cluster.get_logs()
            assert repr(cluster).startswith("<Cluster 'big one': Running on "), repr(cluster)
        assert cluster.status is Status.closed
        assert "has left it" in repr(cluster) and "has left it" in cluster.look()["cause"]
        for refused in (lambda: cluster.scale(1), cluster.shutdown):
            with pytest.raises(NotConnected, match="'big one': this object has left it"):
                refused()
        cluster.close()  # once more does nothing

    await asyncio.to_thread(work)

    now = await lab.one(started["id"])
    assert (now["state"], now["workers"]["wanted"]) == ("running", 2)


async def test_in_coroutines_it_is_awaited(person: Person, lab: Clusters) -> None:
    await person.start(lab, 1)
    cluster = await Cluster(home=person.home, asynchronous=True)
    try:
        async with cluster.get_client() as client:
            assert await client.submit(sum, [1, 2]) == 3
        await until(
            cluster._sync_cluster_info_task.done, "it does not write the controller's names"
        )
        await cluster.adapt(maximum=2)
        shown = await cluster.look()
        assert shown["workers"]["adapt"] == {"minimum": 0, "maximum": 2}
        task = cluster.scale(2)  # done also by whoever does not await it
        await until(lambda: cluster.report["workers"]["wanted"] == 2, "it is scaled")
        await task
        await cluster.wait_for_workers(2, timeout=START)
    finally:
        await cluster.close()
    async with Cluster("cluster-1", home=person.home, asynchronous=True) as again:
        assert again.status is Status.running
    assert (await again.look())["state"] == "left"
    client = await connect(home=person.home, asynchronous=True)
    assert await client.submit(sum, [3, 4]) == 7
    await client.close()


async def test_what_cannot_be_is_refused_with_field_value_and_limit(
    person: Person, lab: Clusters
) -> None:
    with pytest.raises(NotConnected, match="No cluster is running: start one in the Jobs panel"):
        Cluster(home=person.home)
    await person.start(lab, 0)
    with pytest.raises(NotConnected, match="No cluster named 'other' is running"):
        Cluster("other", home=person.home)
    async with Cluster(home=person.home, asynchronous=True) as cluster:
        for wrong, words in (
            (lambda: cluster.scale(129), "workers: 129 is not possible: from 0 to 128"),
            (lambda: cluster.scale(1.5), "workers: 1.5 is not possible: a whole number"),
            (lambda: cluster.adapt(minimum=3, maximum=2), "maximum: 2 is not possible: at least 3"),
            (lambda: cluster.adapt(minimum=-1), "minimum: -1 is not possible: from 0 to 128"),
        ):
            with pytest.raises(Refused, match=words):
                wrong()
        with pytest.raises(TypeError, match="interval"):
            cluster.adapt(interval="1s")
        await cluster.adapt()
        assert cluster.report["workers"]["adapt"] == {"minimum": 0, "maximum": 128}


@pytest.mark.parametrize("way", ["shutdown", "shutdown_on_close", "client"])
async def test_who_means_to_end_it_ends_it_for_everybody(
    person: Person, lab: Clusters, way: str
) -> None:
    started = await person.start(lab, 1)

    def end() -> Cluster:
        cluster = Cluster(home=person.home, shutdown_on_close=way == "shutdown_on_close")
        if way == "client":
            cluster.get_client().shutdown()
        elif way == "shutdown":
            cluster.shutdown()
        cluster.close()
        return cluster

    cluster = await asyncio.to_thread(end)

    assert cluster.status is Status.closed
    await until(lambda: not person.processes(), "nothing of it runs")
    assert (await lab.one(started["id"]))["cause"] == "You stopped it."
    assert repr(cluster) == "<Cluster 'cluster-1': Ended: You stopped it.>"
    with pytest.raises(NotConnected, match="'cluster-1' has ended: You stopped it"):
        cluster.scale(1)


async def test_an_object_learns_that_the_cluster_ended_and_why(
    person: Person, lab: Clusters
) -> None:
    started = await person.start(lab, 0)
    async with Cluster(home=person.home, asynchronous=True) as cluster:
        await lab.end(started["id"])
        await until(lambda: cluster.status is Status.closed, "it notices")
        await until(lambda: cluster.described()["state"] == "ended", "it knows why")
        assert (await cluster.look())["cause"] == "You stopped it."
        with pytest.raises(NotConnected, match="has ended: You stopped it"):
            await cluster.scale(1)


async def test_a_cluster_that_does_not_answer_is_no_exception_of_dasks(
    person: Person, lab: Clusters
) -> None:
    started = await person.start(lab, 0)
    path = person.directory(started["id"])
    connection = Connection.read(path)
    assert connection is not None
    wrong = {**json.loads((path / "connection.json").read_text()), "address": "tls://127.0.0.1:9"}
    Connection(**wrong).write(path)
    try:
        for attach in (Cluster, connect):
            with pytest.raises(NotConnected, match=r"does not answer at tls://127\.0\.0\.1:9"):
                await attach(home=person.home, asynchronous=True)
    finally:
        connection.write(path)


async def test_two_processes_and_a_plain_script_have_the_same_cluster(
    person: Person, lab: Clusters
) -> None:
    started = await person.start(lab, 1)
    script = (
        "import sys\n"
        "from shopfloor_lab import Cluster, client\n"
        "cluster = Cluster()\n"
        "print(cluster.name, client().submit(sum, [1, 2]).result(), flush=True)\n"
        "cluster.scale(2)\n"
        "sys.stdin.read()\n"  # the other process does the same meanwhile
        "print(cluster.get_client().submit(sum, [3, 4]).result())\n"
    )
    environment = {**os.environ, "HOME": str(person.home)}

    def run() -> list[tuple[str, str]]:
        both = [
            subprocess.Popen(
                [sys.executable, "-c", script],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        try:
            for one in both:
                assert one.stdout.readline() == "cluster-1 3\n"
            return [one.communicate(timeout=START) for one in both]
        finally:
            for one in both:
                one.kill()

    # Nothing is closed in it: it ends at once all the same, and without a word.
    assert await asyncio.to_thread(run) == [("7\n", "")] * 2
    now = await lab.one(started["id"])
    assert (now["state"], now["workers"]["wanted"]) == ("running", 2)


async def test_its_view_follows_it_only_while_somebody_sees_it(
    person: Person, lab: Clusters
) -> None:
    await person.start(lab, 1)
    cluster = await asyncio.to_thread(lambda: Cluster(home=person.home))
    try:
        box, view = cluster._widget(), cluster._view
        assert cluster._widget() is box, "shown twice, it is one"
        await lab.scale(cluster.connection.id, 2)
        assert not view._following and view.number.value == 1, "nobody sees it"

        box._view_count = 1  # as the browser says it
        await until(lambda: "2 connected" in view.body.value, "it shows the second worker")
        assert view.number.value == 2
        box._view_count = 0
        await until(lambda: not view._following, "it stops to follow")
        box._view_count = 2
        await until(lambda: view._following, "it follows again")

        await lab.end(cluster.connection.id)
        await until(lambda: "Ended: You stopped it." in view.head.value, "it says why it ended")
        assert all(control.disabled for control in view.controls)
        await until(lambda: not view._following, "nobody follows what is gone")
    finally:
        await asyncio.to_thread(cluster.close)


async def test_its_view_steers_it_and_says_what_cannot_be(person: Person, lab: Clusters) -> None:
    await person.start(lab, 1)
    async with Cluster(home=person.home, asynchronous=True) as cluster:
        box, view = cluster._widget(), cluster._view
        box._view_count = 1
        view.number.value = 2
        view.set_number.click()
        await until(lambda: "2 connected" in view.body.value, "it is scaled")
        view.most.value = 129
        view.set_range.click()
        await until(lambda: "maximum: 129 is not possible" in view.problem.value, "it says so")
        view.fewest.value, view.most.value = 1, 2
        view.set_range.click()
        await until(lambda: "1 to 2, as needed" in view.body.value, "it is adapted")
        await until(lambda: view.problem.value == "", "what was wrong is forgotten")
    assert "Not connected: this object has left it" in view.head.value
    assert all(control.disabled for control in view.controls)


async def test_of_an_object_that_is_closed_nothing_stays(person: Person, lab: Clusters) -> None:
    await person.start(lab, 1)
    before, threads = set(_instances), set(threading.enumerate())

    def use() -> weakref.ref[Cluster]:
        cluster = Cluster(home=person.home)
        cluster._widget()._view_count = 1
        cluster.close()
        return weakref.ref(cluster)

    gone = await asyncio.to_thread(use)

    await until(lambda: gc.collect() is not None and gone() is None, "nothing keeps the object")
    assert set(_instances) == before, "its widgets are gone with it"
    assert not [one for one in set(threading.enumerate()) - threads if one.name == "IO loop"]


async def test_where_there_are_no_widgets_it_is_shown_as_html_and_text(
    person: Person, lab: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person.start(lab, 1)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "shopfloor_lab.clusters.widget", raising=False)
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    async with Cluster(home=person.home, asynchronous=True) as cluster:
        cluster._ipython_display_()
        assert shown == [{"text/plain": repr(cluster), "text/html": cluster._repr_html_()}]
        assert "1 connected" in shown[0]["text/plain"]
        assert "connected on" in shown[0]["text/html"]


def test_labs_server_gets_nothing_of_dask_by_importing_us() -> None:
    source = (
        "import sys, shopfloor_lab, shopfloor_lab.app\n"
        "assert {'Cluster', 'client'} <= set(dir(shopfloor_lab))\n"
        "assert not {'dask', 'distributed', 'ipywidgets'} & set(sys.modules)\n"
        "from shopfloor_lab import Cluster, client\n"
        "assert 'distributed' in sys.modules and 'ipywidgets' not in sys.modules\n"
        "print(Cluster.__name__, client.__name__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.returncode) == ("Cluster client\n", 0), ran.stderr
