"""The steps of a start: the job is submitted, its server reports, its place is known; spawner.py takes them in turn."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shopfloor_jobs.job import Job, Seen, State
from shopfloor_jobs.scheduler import SchedulerError, SubmitRefused

from . import endings
from .cancelling import LONGEST_WAIT
from .intent import KIND
from .options import StartRefused

if TYPE_CHECKING:
    from .spawner import ShopfloorSpawner


# Tags that are being submitted, in the order in which they were asked for: the scheduler takes a few at a time.
_line: dict[str, None] = {}


def asked_before(tag: str) -> int:
    """How many others are being submitted before a job; 0 for one that is not."""
    return list(_line).index(tag) if tag in _line else 0


async def submit(spawner: ShopfloorSpawner) -> str:
    """The id of the job that the spawner's intent means. Raises StartRefused with the scheduler's own words."""
    assert spawner.intent is not None
    tag = spawner.intent.tag
    _line[tag] = None
    try:
        return await _submit(spawner)
    finally:
        del _line[tag]


async def _submit(spawner: ShopfloorSpawner) -> str:
    # In a task of its own: cancelling the start must not cut sbatch off, whose answer stop() needs.
    try:
        job = await job_of(spawner)
        spawner.submission = asyncio.create_task(spawner.view.scheduler.submit(job))
        return (await asyncio.shield(spawner.submission))[0]
    except SubmitRefused as error:
        raise StartRefused(f"The job was not accepted: {error}", "refused") from error
    except SchedulerError as error:
        message = f"Nothing could be started, for the scheduler does not answer: {error}"
        raise StartRefused(message, "unreachable", status=503) from error


async def job_of(spawner: ShopfloorSpawner) -> Job:
    """The job that the spawner's intent means, with new certificates. Raises SubmitRefused."""
    intent = spawner.intent
    assert intent is not None
    files: dict[str, str] = {}
    if spawner.encryption:
        files = await spawner.encryption.for_job(intent.tag, intent.request.time)
    return Job(
        tag=intent.tag,
        owner=spawner.owner,
        kind=KIND,
        request=intent.request,
        command=tuple(spawner.make_command(intent.request)),
        secrets=spawner.get_env(),
        files=files,
        title=spawner.name,
    )


async def wait_for_report(spawner: ShopfloorSpawner) -> None:
    """Return once the job's server has reported its port, however long the queue is.

    Raises StartRefused when the job has ended, or has run for ``arrival_timeout`` without a report.
    """
    running_since = None
    spawner.view.hurry()
    while not await spawner.report_or_look():
        seen = await spawner.sight.look()
        if await spawner.sight.is_gone():
            raise await ended(spawner, seen)
        if seen is None or seen.state is not State.RUNNING:
            running_since = None
            continue
        if running_since is None:
            running_since = time.monotonic()
            spawner.view.hurry()  # what fails fails soon
        if time.monotonic() - running_since > spawner.arrival_timeout:
            message = (
                f"The job runs on {seen.node}, but its server did not report within "
                f"{spawner.arrival_timeout:g} s."
            )
            raise StartRefused(message, "no_report", status=500)


async def url_of(spawner: ShopfloorSpawner) -> str:
    """Where the server that reported is, stored, without its path; waits until the view shows the job's node."""
    intent = spawner.intent
    assert intent is not None
    seen = await spawner.sight.look()
    if not (seen and seen.address):
        seen = await spawner.sight.look(max_age=0)  # it has just begun to run
    while not intent.address:
        if seen and seen.state is State.RUNNING and seen.address:
            intent.address = seen.address
            break
        if await spawner.sight.is_gone():
            raise await ended(spawner, seen)
        if await spawner.sight.waits_again():
            spawner.forget_report()
            await wait_for_report(spawner)
        spawner.view.hurry()
        await spawner.view.change(LONGEST_WAIT)
        seen = await spawner.sight.look()
    proto = "http" if spawner.encryption is None else "https"

    def note_protocol() -> None:
        spawner.server.proto = spawner.server.orm_server.proto = proto

    # Where a hub is killed before JupyterHub notes it, that itself mends address and port after the restart, and
    # leaves the protocol as it was: the server would never answer, and be cancelled.
    await spawner.stored(note_protocol)
    spawner.ip, spawner.port = intent.address, intent.port
    if spawner.encryption is not None:
        spawner.encryption.expect(spawner.server, intent.tag)
    return f"{proto}://{intent.address}:{intent.port}"


def follow(spawner: ShopfloorSpawner) -> None:
    """Let JupyterHub, which waits for the server to answer, wait for its job where that goes.

    One that is requeued before its server has answered reports again, from another place; and what has ended is
    not waited for.
    """
    server = spawner.server
    reach = server.wait_up

    async def wait_up(*args: Any, **kwargs: Any) -> Any:
        while True:
            attempt = asyncio.ensure_future(reach(*args, **kwargs))
            try:
                if not await _overtaken(spawner, attempt):
                    answer = await attempt
                    await (
                        spawner.stored()
                    )  # JupyterHub goes on with its database, and gives up where that is away
                    return answer
                spawner.forget_report()
                await wait_for_report(spawner)
                place = urlsplit(await url_of(spawner))
                server.ip, server.port = place.hostname, place.port
            except asyncio.TimeoutError:
                # Where its job is now, nobody can say: it is not to be cancelled for that.
                if not spawner.view.trouble:
                    raise
            except StartRefused as failure:
                spawner.failure = failure
                raise
            finally:
                attempt.cancel()

    server.wait_up = wait_up


async def _overtaken(spawner: ShopfloorSpawner, attempt: asyncio.Future[Any]) -> bool:
    """Wait until an attempt to reach the server is over, or its job waits again. Raises StartRefused if it ended."""
    while True:
        look = asyncio.ensure_future(spawner.view.change(LONGEST_WAIT))
        try:
            await asyncio.wait({attempt, look}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            look.cancel()
        if attempt.done():
            return False
        if await spawner.sight.is_gone():
            raise await ended(spawner, spawner.sight.last)
        if await spawner.sight.waits_again():
            return True


async def ended(spawner: ShopfloorSpawner, seen: Seen | None) -> StartRefused:
    """The failure of a start whose job has ended; from the second line on, the last lines that it wrote."""
    ending = await endings.why(spawner, seen)
    return StartRefused(f"{ending.text()}\n{ending.log}", "ended", status=500)
