"""A scheduler under test with what the contract needs around it; test_local.py and test_slurm_contract.py make one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shopfloor_jobs.directory import directory_of
from shopfloor_jobs.job import Job, Seen, State, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Scheduler

from tests.jobs.waiting import async_wait_until

SMALL = Request(cpus=1, memory=256 * 1024**2, time=600)


@dataclass
class SchedulerCase:
    """``command_dir`` is where jobs leave evidence: the owner can write there, the test can read.

    ``home`` is the owner's; ``other`` is another person, for whom the scheduler may act too. ``python`` is
    an interpreter that jobs can run. ``seconds`` bounds the wait for a job to start, or to end.
    ``refusal`` is a part of what the scheduler says to a request that it cannot fulfil.
    """

    scheduler: Scheduler
    owner: str
    other: str
    home: Path
    command_dir: Path
    refusal: str
    python: str = "/usr/bin/python3"
    seconds: float = 15
    request: Request = SMALL
    submitted: list[tuple[Job, list[str]]] = field(default_factory=list)

    def job(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        owner: str = "",
        secrets: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Job:
        return Job(
            tag=new_tag("test"),
            owner=owner or self.owner,
            kind="test",
            request=replace(self.request, **request),
            command=command,
            env=dict(env or {}),
            secrets=dict(secrets or {}),
            files=dict(files or {}),
        )

    def script(self, code: str, *args: str, **options: Any) -> Job:
        """A job that runs this Python, with the evidence directory as first argument."""
        return self.job(self.python, "-c", code, str(self.command_dir), *args, **options)

    async def submit(self, job: Job, count: int = 1) -> list[str]:
        ids = await self.scheduler.submit(job, count)
        self.submitted.append((job, ids))
        return ids

    async def clean_up(self) -> None:
        for job, ids in self.submitted:
            await self.scheduler.cancel(job.owner, ids)
        for job, _ in self.submitted:
            await self.gone(job.tag)

    async def seen(self, job_id: str) -> Seen | None:
        return next((one for one in await self.scheduler.look() if one.id == job_id), None)

    async def until(self, job_id: str, state: State) -> Seen:
        async def reached() -> Seen | None:
            seen = await self.seen(job_id)
            return seen if seen and seen.state is state else None

        what = f"job {job_id} is {state.value}"
        return await async_wait_until(reached, self.seconds, what, every=0.1)

    async def evidence(self, name: str) -> str:
        """What a job wrote to this file; jobs write it whole, by renaming."""
        path = self.command_dir / name
        return await async_wait_until(
            lambda: path.read_text() if path.exists() else None, self.seconds, f"{name} is written"
        )

    async def exit_record(self, job: Job, index: int = 0) -> dict[str, Any]:
        async def record() -> dict[str, Any] | None:
            return (await self.scheduler.records(job.owner, job.tag, index))["exit"]

        return await async_wait_until(record, self.seconds, "the exit record is there", every=0.1)

    def directory(self, job: Job) -> Path:
        return directory_of(self.home, job.tag)

    async def gone(self, tag: str) -> None:
        """Proof that no process of the job is left on this machine."""
        what = f"no process of {tag} is left"
        await async_wait_until(lambda: not processes_of(tag), self.seconds, what)


def processes_of(tag: str) -> dict[int, str]:
    """Living processes that the job's command started, and its runner, by what the kernel says of them."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
            environment = (path / "environ").read_bytes().split(b"\0")
            if f"SHOPFLOOR_TAG={tag}".encode() in environment or (
                tag.encode() in command and b"-IS" in command
            ):
                found[int(path.name)] = command.decode(errors="replace")
    found.pop(os.getpid(), None)
    return found
