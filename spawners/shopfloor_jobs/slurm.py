"""The Slurm scheduler: looks as whoever runs it, and acts as the person, through sudo and the helper or in-process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from . import directory, slurm_accounts, slurm_caps, slurm_past, slurm_text
from . import helper as verbs
from .accounts import Accounts
from .job import Job, Seen
from .request import Request
from .scheduler import Description, SchedulerError, SubmitRefused, Unreachable

AT_ONCE = 8  # helpers that run at the same time
OF_ONE = 2  # of them for one person, whose own files may hold each up
LONGEST_ANSWER = (
    16 * 1024**2
)  # bytes of a helper's answer, which is made in a process of the person's
LOOK_WITHIN = 10.0  # seconds; who waits for a look waits for all of Shopfloor
DESCRIBE_AGAIN = 30.0  # seconds
SHOWN_DESCRIPTOR = 3  # stands for whichever one the environment comes in on


class Slurm:
    """A :class:`~shopfloor_jobs.scheduler.Scheduler` on the Slurm that ``conf`` names (None: the system's).

    ``helper`` is the absolute path of ``shopfloor-helper`` as it stands in sudoers; without it, jobs can
    be submitted for the current user only. ``python`` is the interpreter on the nodes that runs the
    runner; ``timeout`` bounds each command, in seconds. ``observe``, where it is set, is told each command of
    Slurm's that was run, its seconds, and "ok", "refused" or "no_answer".
    """

    observe: Callable[[str, float, str], None] | None = None

    def __init__(
        self,
        conf: str | None = None,
        helper: str | None = None,
        python: str = "/usr/bin/python3",
        timeout: float = 30,
    ):
        self.conf, self.helper, self.python, self.timeout = conf, helper, python, timeout
        self._addresses: dict[str, str] = {}
        self._described_at = float("-inf")
        self._version = ""
        # A course that starts at once takes turns here, rather than all descriptors and cores of the hub.
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def submit(self, job: Job, count: int = 1) -> list[str]:
        answer = await self._act(
            job.owner,
            "submit",
            {
                "job": job.to_json(),
                "confidential": job.confidential(),
                "count": count,
                "python": self.python,
            },
        )
        return answer["ids"]

    def shown(self, job: Job, count: int = 1) -> list[str]:
        home = Path(pwd.getpwnam(job.owner).pw_dir)
        path = directory.directory_of(home, job.tag)
        return slurm_text.sbatch_arguments(job, path, home, SHOWN_DESCRIPTOR, count)

    async def cancel(self, owner: str, ids: Sequence[str]) -> None:
        await self._act(owner, "cancel", {"ids": list(ids)})

    async def signal(self, owner: str, ids: Sequence[str], signal: int) -> None:
        await self._act(owner, "signal", {"ids": list(ids), "signal": int(signal)})

    async def estimate(self, owner: str, request: Request) -> float:
        answer = await self._act(owner, "estimate", {"request": request.to_json()})
        return answer["starts"]

    async def tail(self, owner: str, tag: str, lines: int = 20) -> str:
        return (await self._act(owner, "tail", {"tag": tag, "lines": lines}))["text"]

    async def records(self, owner: str, tag: str, index: int = 0) -> dict[str, Any]:
        """The runner's records of a job: ``{"start": …, "exit": …}``, None where there is none yet."""
        return await self._act(owner, "records", {"tag": tag, "index": index})

    async def files(self, owner: str, tag: str) -> dict[str, str]:
        return (await self._act(owner, "files", {"tag": tag}))["texts"]

    async def discard(self, owner: str, tag: str) -> None:
        await self._act(owner, "discard", {"tag": tag})

    async def look(self) -> list[Seen]:
        mark = secrets.token_hex(8)
        within = min(LOOK_WITHIN, self.timeout)
        output = await self._ask(
            slurm_text.squeue_arguments(), within, slurm_text.squeue_environment(mark)
        )
        try:
            seen = slurm_text.parse_squeue(output, mark, self._addresses)
            unknown = any(job.node and job.node not in self._addresses for job in seen)
            # A node that Slurm does not describe, such as one that was taken away, is not asked for each time.
            if unknown and time.monotonic() - self._described_at > DESCRIBE_AGAIN:
                await self.describe()
                seen = slurm_text.parse_squeue(output, mark, self._addresses)
        except ValueError as error:
            raise Unreachable(str(error)) from error
        return seen

    async def past(self, owner: str, tag: str) -> Seen | None:
        output = await self._ask(slurm_past.sacct_arguments(owner, tag))
        try:
            return slurm_past.parse_sacct(output, owner, tag)
        except ValueError as error:
            raise Unreachable(str(error)) from error

    async def describe(self) -> Description:
        partitions, nodes, version = await asyncio.gather(
            self._ask(["scontrol", "--all", "--oneliner", "show", "partition"]),
            self._ask(["scontrol", "--all", "--details", "--oneliner", "show", "node"]),
            self._known_version(),
        )
        described = slurm_text.describe(partitions, nodes, "slurm", version)
        self._addresses.update(described.addresses)
        self._described_at = time.monotonic()
        return described

    async def _known_version(self) -> str:
        if not self._version:
            self._version = (await self._ask(["scontrol", "--version"])).strip()
        return self._version

    async def accounts(self) -> Accounts:
        told = await asyncio.gather(
            self._ask(slurm_accounts.ASSOCIATIONS),
            self._ask(slurm_accounts.ALLOWED_QOS),
            self._ask(slurm_accounts.RESERVATIONS),
            self._ask(slurm_accounts.CONFIG),
            self._ask(slurm_caps.QOS),
        )
        return slurm_accounts.parse(*told)

    async def _ask(
        self,
        command: Sequence[str],
        timeout: float | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run a query as ourselves; whatever goes wrong with one means that nothing is known."""
        with verbs.recorded() as ran:
            try:
                return await asyncio.to_thread(
                    verbs.run,
                    command,
                    self.conf,
                    timeout or self.timeout,
                    variables=variables,
                )
            except SubmitRefused as error:
                raise Unreachable(str(error)) from error
            finally:
                self._observed(ran)

    def _observed(self, ran: Sequence[Sequence[Any]]) -> None:
        if self.observe:
            for command, seconds, outcome in ran:
                self.observe(command, seconds, outcome)

    async def _act(self, owner: str, verb: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        payload = {**payload, "conf": self.conf, "timeout": self.timeout}
        if self.helper:
            own = self._turns.setdefault(owner, asyncio.Semaphore(OF_ONE))
            async with own, self._turn:
                answer = await self._through_sudo(owner, verb, payload)
        elif owner == pwd.getpwuid(os.getuid()).pw_name:
            answer = await asyncio.to_thread(verbs.answer, verb, payload)
        else:
            raise SchedulerError(
                f"no helper is configured, so nothing can be done for {owner}: set scheduler.helper"
            )
        self._observed(answer.get("ran", ()))
        if "ok" in answer:
            return answer["ok"]
        if "refused" in answer:
            raise SubmitRefused(answer["refused"])
        raise Unreachable(answer.get("no_answer", "the helper gave no answer"))

    async def _through_sudo(
        self, owner: str, verb: str, payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        try:
            process = await asyncio.create_subprocess_exec(
                *sudo_command(owner, str(self.helper), verb),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Unreachable(f"sudo could not be run: {error.strerror}") from error
        text = json.dumps(payload).encode()
        try:
            # The verb has its own time limit for each of its commands; this one is for sudo itself.
            out, err = await asyncio.wait_for(_exchange(process, text), verbs.LASTS * self.timeout)
        except asyncio.TimeoutError as error:
            _give_up(process)
            lasted = verbs.LASTS * self.timeout
            raise Unreachable(f"the helper did not answer within {lasted:g} s") from error
        except ValueError as error:
            _give_up(process)
            raise Unreachable(str(error)) from error
        complaint = err.decode(errors="replace").strip()
        if process.returncode != 0:
            raise SubmitRefused(sudo_words(owner, complaint))
        try:
            return json.loads(out)
        except ValueError as error:
            raise Unreachable(f"the helper printed no answer: {complaint[:200]}") from error


async def _exchange(process: asyncio.subprocess.Process, text: bytes) -> tuple[bytes, bytes]:
    """As ``process.communicate``, but for answers of a bounded length. Raises ValueError for a longer one."""
    assert process.stdin and process.stdout and process.stderr

    async def feed(stdin: asyncio.StreamWriter) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(text)
            await stdin.drain()
        stdin.close()

    async def read(stream: asyncio.StreamReader) -> bytes:
        found = bytearray()
        while chunk := await stream.read(64 * 1024):
            found += chunk
            if len(found) > LONGEST_ANSWER:
                raise ValueError(f"the helper's answer is longer than {LONGEST_ANSWER} bytes")
        return bytes(found)

    _, out, err = await asyncio.gather(
        feed(process.stdin), read(process.stdout), read(process.stderr)
    )
    await process.wait()
    return out, err


def _give_up(process: asyncio.subprocess.Process) -> None:
    """Let go of its pipes, and end it where it is ours: sudo is root's, and ends by the helper's own alarm."""
    with contextlib.suppress(PermissionError, ProcessLookupError):
        process._transport.close()  # type: ignore[attr-defined]


def sudo_command(owner: str, helper: str, verb: str) -> list[str]:
    """The command that does a verb as the owner (sudo(8)); user names cannot be taken for options."""
    return ["sudo", "--non-interactive", f"--user={owner}", "--", helper, verb]


def sudo_words(owner: str, complaint: str) -> str:
    """What sudo's complaint means to the person, with its own words."""
    if "unknown user" in complaint:
        return f"there is no Unix account {owner!r} on this machine: ask your administrator for one"
    if "password is required" in complaint or "not allowed" in complaint:
        return f"Shopfloor may not start jobs for {owner!r}: ask your administrator ({complaint[:200]})"
    return complaint[:500] or "sudo failed without a word"
