"""Steps of a person with a cluster, as the Lab server on a node does them; tests pipe it there.

``python - CONF PEER VERB [ARGUMENT…]`` prints one JSON object; each such step is a Lab that just started.
``serve`` is one that goes on: it reads such steps, a JSON list on each line, and answers each with a line,
``{"ok": …}`` or ``{"error": …}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopfloor_jobs.offer import ClusterTerms, Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_lab.clusters import connect
from shopfloor_lab.clusters.listing import Clusters
from shopfloor_lab.clusters.tickets import Tickets
from shopfloor_lab.hub import Hub
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

GB = 1024**3
LIMITS = {"cpus": 8, "memory": 4 * GB, "nodes": 1, "time": 7200}


def offer(conf: str) -> Offer:
    return Offer(
        person=os.environ["USER"],
        site="Test cluster",
        scheduler={"type": "slurm", "conf": conf},
        partitions=(
            Partition("cpu", "cpu", {**LIMITS, "gpus": 0}),
            Partition("gpu", "gpu", {**LIMITS, "gpus": 4}, {"a100": 4, "l40": 2}),
        ),
        presets=(Preset("small", "Small", Request(memory=GB, partition="cpu").to_json()),),
        clusters=ClusterTerms(beside_lab="SHOPFLOOR_BESIDE_LAB" in os.environ),
    )


async def step(lab: Clusters, verb: str, arguments: list[str]) -> Any:
    if verb == "start":
        asked = {"partition": "gpu", "gpus": 1, "gpu_type": "a100"}
        if len(arguments) > 1:
            asked = arguments[1]
        return await lab.start({"workers": int(arguments[0]), "request": asked})
    if verb == "scale":
        return await lab.scale(arguments[0], int(arguments[1]))
    if verb == "end":
        await lab.end(arguments[0])
        return await lab.one(arguments[0])
    if verb == "show":
        return await lab.one(arguments[0])
    if verb == "run":
        return await asyncio.to_thread(run, *arguments)
    if verb == "plots":
        connection, host, port = await lab.plots(arguments[0])
        ticket = Tickets().give(connection, host, port)
        request = HTTPRequest(ticket.url("https", "task-stream"), ssl_options=ticket.context)
        page = await AsyncHTTPClient().fetch(request)
        return {"address": [host, port], "title": b"<title>Task stream</title>" in page.body}
    return await asyncio.to_thread(compute)


def run(source: str) -> Any:
    """What a cell of a notebook says: ``client`` is connected, the last value is ``answer``."""
    names: dict[str, Any] = {}
    with connect() as client:
        exec(source, {"client": client}, names)
    return names.get("answer")


def compute() -> dict[str, Any]:
    with connect() as client:
        started = time.time()
        answer = client.submit(pow, 6, 2).result(timeout=60)
        workers = client.run(
            lambda: {
                "node": os.uname().nodename,
                "gpus": os.environ["CUDA_VISIBLE_DEVICES"],
                "granted": os.environ["SLURM_JOB_GPUS"],
                "tokens": [name for name in os.environ if "TOKEN" in name],
            }
        )
        return {
            "answer": answer,
            "seconds": time.time() - started,
            "address": client.scheduler.address,
            "workers": workers,
        }


class Peer(Hub):
    """No hub to ask, only the address of one, by which a node finds its own; there is always room."""

    host = ""

    def __init__(self, host: str):
        super().__init__({})
        self.host = host

    async def post(self, path: str, body: Mapping[str, Any], within: float) -> dict[str, Any]:
        return {"room": 1} if path == "outlook" else await super().post(path, body, within)


async def serve(lab: Clusters) -> None:
    """Do what each line of the standard input asks, at the same time if they come at the same time."""

    async def answer(number: int, verb: str, arguments: list[Any]) -> None:
        try:
            said = {"ok": await step(lab, verb, arguments)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shall read it
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"number": number, **said}), flush=True)

    async with asyncio.TaskGroup() as group:
        while line := await asyncio.to_thread(sys.stdin.readline):
            group.create_task(answer(*json.loads(line)))


async def main(conf: str, peer: str, verb: str, *arguments: str) -> None:
    async def get() -> Offer:
        return offer(conf)

    environment = {"JUPYTERHUB_API_TOKEN": "secret", **os.environ}
    hub = Hub(environment)
    lab = Clusters(Path.home(), get, environment, hub if hub else Peer(peer))
    if verb == "serve":
        await serve(lab)
    else:
        print(json.dumps(await step(lab, verb, list(arguments))))


asyncio.run(main(*sys.argv[1:]))
