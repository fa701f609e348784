"""What `shopfloor check` reads in Slurm's own configuration: what it hides, keeps, forgets, delays and enforces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from shopfloor_jobs.scheduler import SchedulerError
from shopfloor_jobs.slurm_text import STATES
from shopfloor_jobs.view import Pace

from .findings import FAIL, OK, WARN, Finding

Ask = Callable[[Sequence[str]], str]  # runs a command of Slurm's; raises SchedulerError

# What else can be hidden, and what people miss then.
_HIDDEN = {
    "accounts": "the projects that people may choose",
    "nodes": "what is free",
    "partitions": "the hardware that people may choose",
    "reservations": "booked seats",
    "usage": "what a project has left",
    "users": "the projects that people may choose",
}


def parse(shown: str) -> dict[str, str]:
    """What ``scontrol show config`` prints, by key."""
    return dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", shown, re.MULTILINE))


def findings(config: Mapping[str, str], user: str, ask: Ask) -> Iterator[Finding]:
    """``user`` is whom the hub runs as, and ``ask`` asks Slurm as this user."""
    yield from private_data(config, user, ask)
    yield from start_delay(config)
    yield from stored_environments(config)
    yield from memory_of_ended_jobs(config)
    yield from enforcement(config)


def private_data(config: Mapping[str, str], user: str, ask: Ask) -> Iterator[Finding]:
    """Whether the hub sees other people's jobs; else a job not seen would count as ended."""
    hidden = {one.strip().lower() for one in config.get("PrivateData", "none").split(",")}
    hidden &= {"jobs", *_HIDDEN}
    operator = bool(hidden) and _is_operator(user, ask)
    remedy = f"run: sacctmgr modify user {user} set AdminLevel=Operator"
    if hidden and not operator:
        if "jobs" in hidden:
            yield Finding(
                FAIL,
                f"scheduler: PrivateData hides other people's jobs from {user}, so that living servers would"
                f" count as ended; {remedy}",
            )
        for name in sorted(hidden - {"jobs"}):
            yield Finding(
                WARN,
                f"scheduler: PrivateData hides {name} from {user}, so the start form lacks {_HIDDEN[name]};"
                f" {remedy}",
            )
    if "jobs" not in hidden or operator:
        yield _proof(user, ask, f", for {user} is {'Operator' if operator else 'not kept out'}")


def _is_operator(user: str, ask: Ask) -> bool:
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "user", user, "format=AdminLevel"]
    try:
        return ask(command).strip() in ("Operator", "Administrator")
    except SchedulerError:
        return False


def _proof(user: str, ask: Ask, why: str) -> Finding:
    """An own query, held against the number of jobs that slurmctld itself tells to anybody (sdiag(1)).

    It counts now and then only, so that those may have ended since; squeue shows ended ones for ``MinJobAge``.
    """
    try:
        counted = re.findall(r"^Jobs (?:pending|running):\s*(\d+)", ask(["sdiag"]), re.MULTILINE)
        states = ask(["squeue", "--all", "--states=all", "--noheader", "--format=%T"]).split()
    except SchedulerError as error:
        return Finding(WARN, f"scheduler: what {user} sees of others' jobs was not tried: {error}")
    there = sum(map(int, counted))
    if there and not states:
        return Finding(
            WARN,
            f"scheduler: Slurm counts {there} jobs and shows {user} none, so living servers may count as ended;"
            f" look whether something hides them: sudo -u {user} squeue --all",
        )
    living = sum(state in STATES for state in states)
    return Finding(OK, f"scheduler: the hub sees everybody's jobs{why}; {living} now")


def start_delay(config: Mapping[str, str]) -> Iterator[Finding]:
    """How long Slurm waits after ``sbatch`` until it looks whether the job can start (slurm.conf(5))."""
    found = re.search(r"\bbatch_sched_delay=(\d+)", config.get("SchedulerParameters", ""))
    delay = int(found[1]) if found else 3
    if delay <= 1:
        yield Finding(OK, f"scheduler: batch jobs start without delay (batch_sched_delay={delay})")
    else:
        yield Finding(
            WARN,
            f"scheduler: batch jobs wait up to {delay} s for a scheduling round, and so does every click;"
            " recommended: SchedulerParameters=batch_sched_delay=0, or 1 where thousands of jobs are submitted"
            " at once",
        )


def stored_environments(config: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the environments of batch jobs go to the accounting database; Shopfloor's secrets are in none."""
    flags = config.get("AccountingStoreFlags", "").lower()
    if "job_env" in re.split(r"[,\s]+", flags):
        yield Finding(
            WARN,
            "scheduler: AccountingStoreFlags stores the environment of every batch job for years, and with it"
            " each key that people have exported (Shopfloor's own are never there); take out: job_env",
        )
    else:
        yield Finding(OK, "scheduler: environments of jobs are not stored")


def memory_of_ended_jobs(config: Mapping[str, str]) -> Iterator[Finding]:
    """Whether Slurm remembers an ended job until the hub has looked twice, at its slowest."""
    found = re.match(r"\d+", config.get("MinJobAge", ""))
    needed = int(2 * Pace().longest)
    if found and 0 < int(found[0]) < needed:
        yield Finding(
            WARN,
            f"scheduler: MinJobAge={found[0]} lets Slurm forget ended jobs before the hub has surely looked, and"
            f" people would not learn why a server ended; set at least: MinJobAge={needed}",
        )


def enforcement(config: Mapping[str, str]) -> Iterator[Finding]:
    """What Slurm accepts though it can never run, and whether accounts and QOS hold anybody."""
    enforced = config.get("EnforcePartLimits", "NO").upper()
    if enforced not in ("ALL", "ANY", "YES"):
        yield Finding(
            WARN,
            f"scheduler: EnforcePartLimits={enforced} lets people queue for what a partition never gives, and"
            " wait for ever; set: EnforcePartLimits=ALL",
        )
    enforced = config.get("AccountingStorageEnforce", "none")
    if "limits" not in enforced and "safe" not in enforced:
        yield Finding(
            WARN,
            f"scheduler: AccountingStorageEnforce={enforced}, so Slurm holds nobody to the limits of"
            " accounts and QOS; set: associations,limits,qos",
        )
