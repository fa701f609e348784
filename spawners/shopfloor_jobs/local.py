"""The scheduler of one machine: starts each job's runner at once, detached, or says what cannot be given."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from . import __version__, bundle, directory, processes
from .accounts import Accounts
from .fields import Refused
from .job import Job, Seen, State
from .local_index import Entry, Index, boot_id
from .machine import Machine, this_machine
from .request import FIELDS, Request
from .runner import AWAITED, send
from .scheduler import (
    Description,
    NodeInfo,
    PartitionInfo,
    SubmitRefused,
    Unreachable,
    check_signal,
)

PARTITION = "local"
LONGEST = 7 * 24 * 3600  # seconds; what is forgotten must end some day
PATIENCE = 8  # seconds beyond the grace in which a runner ends what its command left behind
POLL_SECONDS = 0.05
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ")
RUNNERS_OWN = ("SHOPFLOOR_JOB_DIR", "SHOPFLOOR_TAG", "SHOPFLOOR_INDEX", "SHOPFLOOR_ENDS")


class Local:
    """A :class:`~shopfloor_jobs.scheduler.Scheduler` that runs jobs here, as whoever runs it.

    ``state`` is the directory that the hub and all Lab servers share; whoever names the same one manages the same jobs.
    Each owner's HOME is ``<state>/people/<owner>``, or ``home`` for all where it is given. ``grace`` is
    the time in seconds between TERM and KILL. ``python`` runs the runner.

    Jobs start at once or are refused: memory and GPUs are promised to one job at a time, CPUs are shared.
    A job may use as many cores as it asked for, the least used ones first (``os.sched_getaffinity`` tells it
    which); its runner ends it when it uses more memory than it asked for. Both hold well-meaning people only:
    all jobs run under one Unix account.
    """

    def __init__(
        self,
        state: str,
        home: str | None = None,
        python: str = sys.executable,
        grace: float = 10,
        machine: Machine | None = None,
    ):
        self.state, self.python, self.grace = Path(state).expanduser().absolute(), python, grace
        self.home = Path(home) if home else None
        self._machine = machine
        self._index = Index(self.state / "jobs")
        self._children: list[subprocess.Popen[bytes]] = []

    async def submit(self, job: Job, count: int = 1) -> list[str]:
        machine = await self._known_machine()
        return await asyncio.to_thread(self._submit, machine, job, count)

    def shown(self, job: Job, count: int = 1) -> list[str]:
        path = directory.directory_of(self.home_of(job.owner), job.tag)
        return directory.runner_command(self.python, path, 0)

    async def cancel(self, owner: str, ids: Sequence[str]) -> None:
        """End these jobs, and return when nothing of them is left."""
        wanted = set(ids)
        await self._end(lambda entry: entry.owner == owner and entry.id in wanted)

    async def stop_all(self) -> None:
        """End every job, whoever owns it, and return when nothing is left."""
        await self._end(lambda entry: True)

    def end_before_exit(self, seconds: float) -> None:
        """End what this process started, which is about to end: without loop and threads, and for so long at most."""
        mine = [child for child in self._children if child.poll() is None]
        for child in mine:
            child.terminate()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(child.poll() is None for child in mine):
            time.sleep(POLL_SECONDS)

    async def signal(self, owner: str, ids: Sequence[str], signal: int) -> None:
        """See the protocol; raises SchedulerError for signals that the runner does not pass on."""
        check_signal(signal)
        wanted = set(ids)
        for entry in await self._entries():
            if entry.alive and entry.owner == owner and entry.id in wanted and entry.pid:
                processes.signal_runner(entry.pid, entry.ticks or 0, signal)

    async def look(self) -> list[Seen]:
        return [_seen(entry) for entry in await self._entries()]

    async def past(self, owner: str, tag: str) -> None:
        """Nothing: what ended lately is shown, and no accounts are kept."""

    async def describe(self) -> Description:
        machine = await self._known_machine()
        partition = PartitionInfo(
            name=PARTITION,
            nodes=1,
            cpus=len(machine.cores),
            memory=machine.memory,
            gpus=machine.gpu_types(),
            time=LONGEST,
            default=True,
        )
        living = [entry for entry in await self._entries() if entry.alive]
        node = _free_of(machine, living)
        return Description("local", __version__, (partition,), {_node(): "127.0.0.1"}, (node,))

    async def accounts(self) -> Accounts:
        return Accounts()

    async def estimate(self, owner: str, request: Request) -> float:
        """Now, for nothing ever waits here. Raises SubmitRefused where it would be refused."""
        machine = await self._known_machine()
        living = [entry for entry in await self._entries() if entry.alive]
        try:
            refuse_impossible(machine, request)
            place(machine, living, request, 1)
        except Refused as refusal:
            raise SubmitRefused(str(refusal)) from refusal
        return time.time()

    async def tail(self, owner: str, tag: str, lines: int = 20) -> str:
        path = directory.directory_of(self.home_of(owner), tag)
        return await asyncio.to_thread(directory.tail, path, lines)

    async def records(self, owner: str, tag: str, index: int = 0) -> dict[str, Any]:
        """The runner's records of a job: ``{"start": …, "exit": …}``, None where there is none yet."""
        path = directory.directory_of(self.home_of(owner), tag)
        return await asyncio.to_thread(
            lambda: {
                "start": directory.start_record(path, index),
                "exit": directory.exit_record(path, index),
            }
        )

    async def files(self, owner: str, tag: str) -> dict[str, str]:
        path = directory.directory_of(self.home_of(owner), tag)
        if not path.is_dir():
            raise SubmitRefused("the records of this job were tidied away")
        return await asyncio.to_thread(bundle.read_files, path)

    async def discard(self, owner: str, tag: str) -> None:
        path = directory.directory_of(self.home_of(owner), tag)
        try:
            await asyncio.to_thread(directory.discard, path)
        except OSError as error:
            raise Unreachable(_disk_words(error, self.state)) from error

    def home_of(self, owner: str) -> Path:
        """The owner's HOME; a name that could lead elsewhere (``..``, ``a/b``) is escaped."""
        if self.home:
            return self.home
        name = quote(owner, safe="@+ ")
        return self.state / "people" / (name.replace(".", "%2E") if name[:1] == "." else name)

    async def _known_machine(self) -> Machine:
        if self._machine is None:
            self._machine = await asyncio.to_thread(this_machine)
        return self._machine

    async def _entries(self) -> list[Entry]:
        try:
            return await asyncio.to_thread(self._settle)
        except OSError as error:
            raise Unreachable(_disk_words(error, self.state)) from error

    def _settle(self) -> list[Entry]:
        with self._index.locked():
            # Ours to collect: a runner that ended stays a zombie until its starter asks.
            self._children = [child for child in self._children if child.poll() is None]
            return self._index.settle()

    def _submit(self, machine: Machine, job: Job, count: int) -> list[str]:
        try:
            refuse_impossible(machine, job.request)
            with self._index.locked():
                living = [entry for entry in self._index.settle() if entry.alive]
                if found := [entry for entry in living if entry.tag == job.tag]:
                    if found[0].owner != job.owner:
                        raise SubmitRefused(f"tag: {job.tag} is another person's job")
                    return [entry.id for entry in found]
                return self._start_all(place(machine, living, job.request, count), job)
        except Refused as refusal:
            raise SubmitRefused(str(refusal)) from refusal
        except OSError as error:
            raise SubmitRefused(_disk_words(error, self.state)) from error

    def _start_all(self, places: list[tuple[list[int], list[str]]], job: Job) -> list[str]:
        home = self.home_of(job.owner)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        limits = {
            "memory": job.request.memory,
            "time": job.request.time,
            "grace": self.grace,
            "copies": len(places),
        }
        path = directory.prepare(home, job, limits, self.python)
        env = {**job.env, **directory.file_variables(path, job)}
        number = self._index.next_number()
        started: list[Entry] = []
        try:
            for index, (cores, gpus) in enumerate(places):
                entry = Entry(
                    id=f"local-{number}_{index}" if len(places) > 1 else f"local-{number}",
                    tag=job.tag,
                    owner=job.owner,
                    index=index,
                    directory=str(path),
                    cores=cores,
                    gpus=gpus,
                    memory=job.request.memory,
                    submitted=time.time(),
                    boot=boot_id(),
                )
                self._index.save(entry)
                try:
                    pid = self._start(entry, home, env)
                except OSError:
                    self._index.forget(entry.id)
                    raise
                started.append(replace(entry, pid=pid, ticks=processes.start_ticks(pid)))
                self._index.save(started[-1])
        except OSError:
            send([entry.pid for entry in started], signals.SIGTERM)
            raise
        directory.tidy(home)
        return [entry.id for entry in started]

    def _start(self, entry: Entry, home: Path, env: Mapping[str, str]) -> int:
        path = Path(entry.directory)
        command = directory.runner_command(self.python, path, entry.index)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        output = os.open(path / f"output-{entry.index}.log", flags, 0o600)
        # A thread's cores and blocked signals pass to what it starts: so the runner never runs on other
        # cores, and a TERM that comes before it listens waits for it instead of killing it.
        ours = os.sched_getaffinity(0)
        blocked = signals.pthread_sigmask(signals.SIG_BLOCK, AWAITED)
        try:
            os.sched_setaffinity(0, entry.cores)
            child = subprocess.Popen(
                command,
                env=environment(entry, home, env),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                close_fds=True,
            )
        finally:
            os.sched_setaffinity(0, ours)
            signals.pthread_sigmask(signals.SIG_SETMASK, blocked)
            os.close(output)
        self._children.append(child)
        return child.pid

    async def _end(self, chosen: Callable[[Entry], bool]) -> None:
        ending = [entry for entry in await self._entries() if entry.alive and chosen(entry)]
        for entry in ending:
            processes.signal_runner(entry.pid or 0, entry.ticks or 0, signals.SIGTERM)
        ids = {entry.id for entry in ending}
        deadline = time.monotonic() + self.grace + PATIENCE
        while ids:
            await asyncio.sleep(POLL_SECONDS)
            left = [entry for entry in await self._entries() if entry.alive and entry.id in ids]
            ids = {entry.id for entry in left}
            if time.monotonic() > deadline:
                for entry in left:
                    processes.kill_tree(entry.pid or 0, entry.ticks or 0)


def refuse_impossible(machine: Machine, request: Request) -> None:
    """Raise :class:`Refused` for what this machine can give to nobody."""
    for name, most in (
        ("cpus", len(machine.cores)),
        ("memory", machine.memory),
        ("gpus", len(machine.gpus)),
        ("nodes", 1),
    ):
        if getattr(request, name) > most:
            shown = FIELDS[name].show(getattr(request, name))
            raise Refused(name, shown, f"at most {FIELDS[name].show(most)} on this machine")
    if request.partition not in ("", PARTITION):
        raise Refused("partition", request.partition, f"only {PARTITION} on one machine")
    for name in ("account", "qos", "reservation"):
        if value := getattr(request, name):
            raise Refused(name, value, "there is none on one machine; leave it empty")
    types = machine.gpu_types()
    if request.gpus and request.gpu_type and request.gpus > types.get(request.gpu_type, 0):
        have = ", ".join(f"{count} {kind}" for kind, count in types.items())
        raise Refused("gpu_type", request.gpu_type, f"this machine has {have}")


def place(
    machine: Machine, living: Sequence[Entry], request: Request, count: int
) -> list[tuple[list[int], list[str]]]:
    """Cores and GPUs for each copy, beside the living jobs. Raises :class:`Refused` when there is too little."""
    promised = sum(entry.memory for entry in living)
    free = max(0, machine.memory - promised)
    if request.memory * count > free:
        show = FIELDS["memory"].show
        asked = show(request.memory) if count == 1 else f"{count} x {show(request.memory)}"
        total = f"{show(free)} of this machine's {show(machine.memory)} is free"
        raise Refused("memory", asked, f"running jobs have the rest, {total}")
    taken = {gpu for entry in living for gpu in entry.gpus}
    fitting = [
        gpu
        for gpu, kind in machine.gpus.items()
        if gpu not in taken and request.gpu_type in ("", kind)
    ]
    if request.gpus * count > len(fitting):
        raise Refused("gpus", request.gpus * count, f"{len(fitting)} free at the moment")
    load = dict.fromkeys(machine.cores, 0)
    for entry in living:
        for core in entry.cores:
            load[core] = load.get(core, 0) + 1
    places = []
    for copy in range(count):
        cores = sorted(machine.cores, key=lambda core: load[core])[: request.cpus]
        for core in cores:
            load[core] += 1
        places.append((cores, fitting[copy * request.gpus : (copy + 1) * request.gpus]))
    return places


def _free_of(machine: Machine, living: Sequence[Entry]) -> NodeInfo:
    """What of this machine nobody was promised; CPUs are shared, so that they are always free."""
    taken = {gpu for entry in living for gpu in entry.gpus}
    free = [kind for gpu, kind in machine.gpus.items() if gpu not in taken]
    return NodeInfo(
        name=_node(),
        partitions=(PARTITION,),
        cpus=len(machine.cores),
        memory=machine.memory,
        gpus=machine.gpu_types(),
        free_cpus=len(machine.cores),
        free_memory=max(0, machine.memory - sum(entry.memory for entry in living)),
        free_gpus={kind: free.count(kind) for kind in machine.gpu_types()},
    )


def environment(entry: Entry, home: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The runner's whole environment: a small base without anything of the starter's, the job's, the grant."""
    base = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        shell = ""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **base,
        "HOME": str(home),
        "USER": entry.owner,
        "LOGNAME": entry.owner,
        "SHELL": shell or "/bin/sh",
        **{name: value for name, value in env.items() if name not in RUNNERS_OWN},
        "SHOPFLOOR_JOB_ID": entry.id,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(entry.gpus),
    }


def _seen(entry: Entry) -> Seen:
    if not entry.alive:
        state = State.ENDED
    elif entry.pid is None:
        state = State.SUBMITTED
    else:
        state = State.STARTING if entry.started is None else State.RUNNING
    return Seen(
        id=entry.id,
        tag=entry.tag,
        owner=entry.owner,
        state=state,
        cause=entry.cause,
        node=_node(),
        address="127.0.0.1",
        partition=PARTITION,
        submitted=entry.submitted,
        started=entry.started,
        ends=entry.ended or entry.ends,
    )


def _node() -> str:
    return os.uname().nodename


def _disk_words(error: OSError, state: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk that holds {state} is full: remove something there and try again"
    return f"{error.filename or state}: {error.strerror or error}"
