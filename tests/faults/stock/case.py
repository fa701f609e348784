"""A stock hub on the cluster, and what any hub must show after a fault; the plays judge with it.

Two things are judged apart: whether hub, proxy and Slurm agree on what lives, and whether the person reads why.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.cluster.cluster import Cluster
from tests.faults.case import HOLD_BEFORE_INTENT, Scene
from tests.faults.commands import Commands
from tests.faults.person import Person
from tests.harness import wait_until
from tests.stock.hub import Request, StockHub

from .reader import Reader

STUB = Path(__file__).with_name("stub_server.py")
REQUEST = Request(cpus=1, memory=100, minutes=60)
SHOWN = 260  # characters of a page, in the table
JOB_NAME = "spawner-jupyterhub"  # batchspawner's template gives it
ORPHANS_GONE = 60  # seconds, as for Shopfloor
LOOKS_EVERY = 33  # seconds, at most: JupyterHub's 30 and its 10 % of jitter
# The table gives 30 s; what JupyterHub only notices when it looks after a running server may come later.
READ_WITHIN = 40

CONFIG = """
# The pages are read by people who logged in, which shall not start their server: each row does when its time has come.
c.JupyterHub.redirect_to_server = False
# The same commands, through wrappers that can be given faults: sudo would look for them on its own path.
c.SlurmSpawner.batch_submit_cmd = "{bin}/sbatch --parsable"
c.SlurmSpawner.batch_query_cmd = "{bin}/squeue -h -j {{job_id}} -o '%T %B'"
c.SlurmSpawner.batch_cancel_cmd = "{bin}/scancel {{job_id}}"
# A server that starts in no time, with the report of the real one.
c.SlurmSpawner.batchspawner_singleuser_cmd = "{stub}"
"""

BROKEN = """\
#!/usr/bin/python3 -IS
import does_not_exist
"""


@dataclass
class Verdict:
    """What was judged, None while nothing was; ``seen`` are a few words on it, ``differences`` all that remained."""

    agree: bool | None = None
    told: bool | None = None
    seen: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def note(self, words: str) -> None:
        if words and words not in self.seen:
            self.seen.append(words)


@dataclass(frozen=True)
class Living:
    """A job that Slurm still runs, or will."""

    id: str
    owner: str
    state: str
    node: str


class Stage:
    """What all plays share: the cluster, the wrappers, and the programs that stand in for a server."""

    def __init__(self, cluster: Cluster, prefix: Path):
        self.cluster, self.prefix = cluster, prefix
        directory = cluster.layout.run / f"stock-{os.urandom(4).hex()}"
        self.commands = Commands(directory, prefix / "bin" / "shopfloor-helper")
        self.stub = self._program("stub", STUB.read_text())
        self.broken = self._program("broken", BROKEN)

    def _program(self, name: str, text: str) -> Path:
        program = self.commands.directory / name / "bin" / "batchspawner-singleuser"
        program.parent.mkdir(parents=True)
        program.write_text(text)
        program.chmod(0o755)
        return program

    def hub(self, beside: bool = False) -> StockHub:
        """A new one, not started; with its proxy ``beside`` it or, by default, its own."""
        config = CONFIG.format(bin=self.commands.bin, stub=self.stub)
        held = HOLD_BEFORE_INTENT.format(directory=self.commands.directory)
        return StockHub(self.cluster, self.prefix, REQUEST, config + held, beside)


class Stock(Scene):
    """One play's hub, with the verdict on it."""

    person_class: type[Person] = Reader
    hub: StockHub

    def __init__(self, stage: Stage, hub: StockHub):
        self.stage, self.hub = stage, hub
        self.cluster, self.commands = stage.cluster, stage.commands
        self.passwords = self.cluster.passwords
        self.people: dict[str, Person] = {}
        self.verdict = Verdict()

    # Acting

    def click(self, name: str, server: str = "", **options: str) -> None:
        """Somebody asks for a server, and does not wait for the answer."""
        self.person(name).click(server, **options)

    def running(self, name: str, server: str = "", **options: str) -> str:
        """Start a server and wait until it is ready; the id of its job."""
        self.click(name, server, **options)
        self.hub.wait_server(name, server, 60)
        return self.job_id(name, server)

    def waiting(self, name: str, state: str = "PENDING") -> str:
        """Ask for a server and wait until its job is in this state; the job's id."""
        self.click(name)
        return self.wait_job(name, state).id

    def wait_job(self, name: str, state: str = "RUNNING", seconds: float = 30) -> Living:
        """The one job of a person once it is in this state."""

        def found() -> Living | None:
            mine = [job for job in self.jobs() if job.owner == name]
            return mine[0] if len(mine) == 1 and mine[0].state == state else None

        return wait_until(found, seconds, f"{name}'s job is {state}", pause=0.2)

    def wait_gone(self, job: str, seconds: float) -> None:
        """Wait until Slurm has ended a job."""
        living = self.jobs
        wait_until(lambda: job not in {one.id for one in living()}, seconds, f"{job} ended", 0.3)

    def restart_hub(self) -> None:
        super().restart_hub()
        self.reload()

    def reload(self) -> None:
        """Everybody reloads their page: what it said before counts no more."""
        for person in self.people.values():
            person.reload()

    # Looking

    def jobs(self) -> list[Living]:
        """Living jobs that any stock hub started."""
        form = ["squeue", "--all", "--noheader", f"--name={JOB_NAME}", "--format=%i|%u|%T|%N"]
        lines = self.cluster.run(form, check=True).stdout.splitlines()
        found = [Living(*line.split("|")) for line in lines]
        return [job for job in found if job.state != "COMPLETING"]

    def job_id(self, name: str, server: str = "") -> str:
        """The id of a server's job as the hub has it; empty while it has none."""
        return _id_of(self.hub.server(name, server) or {})

    def servers(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the hub says of each server that is not stopped, by person and name."""
        users = self.hub.api("GET", "users", expect=200).json()
        return {
            (user["name"], server["name"]): server
            for user in users
            for server in user["servers"].values()
        }

    def differences(self, kept: Collection[str] = (), gone: Collection[str] = ()) -> list[str]:
        """In words, what hub, proxy and Slurm differ in; empty when all tell the same.

        ``kept`` are jobs that must live, ``gone`` people who must have no server.
        """
        jobs = {job.id: job for job in self.jobs()}
        try:
            servers = self.servers()
        except (requests.RequestException, AssertionError) as error:
            return [f"the hub's API does not answer ({type(error).__name__})"]
        words, meant = [], set()
        for (person, name), server in servers.items():
            who, job = f"{person}/{name}" if name else person, _id_of(server)
            meant.add(job)
            if server["pending"] in ("stop", "check"):
                words.append(f"{who} is not settled: {server['pending']}")
            elif job not in jobs:
                words.append(f"the hub says {_state(server)} of {who}, whose job has ended")
            elif server["ready"] and (answer := self._through_proxy(server)) != job:
                words.append(f"the hub says ready of {who}, but its route answers {answer}")
        words += [
            f"the job of {job.owner} ({job.state.lower()}) is an orphan"
            for job in jobs.values()
            if job.id not in meant
        ]
        words += [f"{_count(lost)} lost" for lost in [set(kept) - set(jobs)] if lost]
        words += [f"{name} has a server" for name, _ in servers if name in gone]
        return words

    def _through_proxy(self, server: dict[str, Any]) -> str:
        """The id of the job that the public address of a server leads to, or what it answers instead."""
        try:
            answer = requests.get(self.hub.url + server["url"] + "api", timeout=10)
        except requests.RequestException as error:
            return f"nothing ({type(error).__name__})"
        if not answer.ok:
            return str(answer.status_code)
        if '"version"' in answer.text:  # a real server
            return _id_of(server)
        return answer.text if answer.text.isdigit() else "with a page of the hub's"

    # Judging

    def judge(
        self,
        reader: str = "",
        why: str = "",
        kept: Collection[str] = (),
        gone: Collection[str] = (),
        said: str = "",
        within: float = READ_WITHIN,
    ) -> None:
        """Wait until all agree and ``reader`` reads ``why`` (a pattern), as long as each may take, and note both.

        ``said`` is what the person was answered before. Judged more than once, everything must hold.
        """
        began = time.monotonic()
        last, read = "", _matches(why, said) if why else None
        while True:
            differences = self.differences(kept, gone)
            if read is False and reader:
                last = self.person(reader).told()
                read = _matches(why, last)
            waited = time.monotonic() - began
            if (read is not False or waited > within) and (
                not differences or waited > ORPHANS_GONE
            ):
                break
            time.sleep(0.3)
        self.verdict.agree = self.verdict.agree is not False and not differences
        self.verdict.note(_short(differences))
        self.verdict.differences += differences
        if why:
            self._note_read(reader, why, said, last)

    def hear(
        self, reader: str, why: str, within: float = READ_WITHIN, said: str = "", server: str = ""
    ) -> None:
        """Only whether ``reader`` reads ``why``, while something goes on."""
        began, last = time.monotonic(), ""
        while not _matches(why, said, last) and time.monotonic() - began < within:
            last = self.person(reader).told(server)
            time.sleep(0.3)
        self._note_read(reader, why, said, last)

    def _note_read(self, reader: str, why: str, *texts: str) -> None:
        home = self.person(reader).reads_at_home() if reader else ""
        read = _matches(why, *texts, home)
        self.verdict.told = self.verdict.told is not False and read
        shown = dict.fromkeys(f"“{text[:SHOWN]}”" for text in texts if text)
        self.verdict.note(f"reads: {', then '.join(shown)}")


def _matches(why: str, *texts: str) -> bool:
    return re.search(why, "\n".join(texts), re.MULTILINE) is not None


def _id_of(server: dict[str, Any]) -> str:
    return (server.get("state") or {}).get("job_id", "")


def _state(server: dict[str, Any]) -> str:
    return "ready" if server["ready"] else f"“{server['pending']}”"


def _count(jobs: Collection[str]) -> str:
    return "a job is" if len(jobs) == 1 else f"{len(jobs)} jobs are"


def _short(differences: list[str]) -> str:
    """The first of each kind, with how many more there are."""
    if len(differences) <= 3:
        return "; ".join(differences)
    return f"{differences[0]}; {len(differences) - 1} more such"
