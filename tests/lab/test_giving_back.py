"""Memory that Arrow freed goes back to the system at once: a worker that was paused for it would stay so for good."""

from __future__ import annotations

import asyncio

from shopfloor_lab.clusters.client import connect
from shopfloor_lab.clusters.command import memory_limit

from .cluster_parts import GB, Person

SOON = 30  # seconds
FULL = 0.87  # of a worker's limit: dask pauses it at 0.8, and would end it at 0.95

# Fills the allocator that Arrow brings along, in the thread of a task, and frees every byte of it.
FILL = """
import numpy, psutil, pyarrow
process, pool, held = psutil.Process(), pyarrow.mimalloc_memory_pool(), []
while process.memory_info().rss < {full}:
    held.append(pyarrow.allocate_buffer(2**20, memory_pool=pool))
    numpy.frombuffer(held[-1], dtype="u1").fill(1)
del held
"""


async def test_a_worker_that_was_full_of_freed_memory_goes_on(person: Person):
    await person.start(person.lab(), 1, request={"memory": GB})
    client = await asyncio.to_thread(connect, home=person.home)
    try:
        code = FILL.format(full=int(FULL * memory_limit(GB)))
        filled = client.submit(exec, code, {}, retries=0)
        await asyncio.to_thread(filled.result, timeout=SOON)
        assert await asyncio.to_thread(client.submit(abs, -1).result, timeout=SOON) == 1
    finally:
        await asyncio.to_thread(client.close)
