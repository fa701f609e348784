"""What is said to Slurm's commands and what they answer, as pure functions; slurm.py and helper.py run them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .job import TAG, Job, Seen, State
from .reasons import cause_words, reason_words
from .request import Request
from .scheduler import Description, NodeInfo, PartitionInfo

MB = 1024**2

STATES = {
    "PENDING": State.PENDING,
    "REQUEUED": State.PENDING,
    "REQUEUE_HOLD": State.PENDING,
    "REQUEUE_FED": State.PENDING,
    "SPECIAL_EXIT": State.PENDING,
    "RESV_DEL_HOLD": State.PENDING,
    "CONFIGURING": State.STARTING,
    "RUNNING": State.RUNNING,
    "RESIZING": State.RUNNING,
    "SIGNALING": State.RUNNING,
    "STAGE_OUT": State.RUNNING,
    "STOPPED": State.RUNNING,
    "SUSPENDED": State.RUNNING,
    "COMPLETING": State.RUNNING,  # it is ending, and Slurm does not yet tell why
}  # every other state is an end

# What slurmctld's absence looks like; every other failure of sbatch is its answer. From slurm_errno.c.
NO_ANSWER = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Zero Bytes were transmitted",
    "Unexpected message received",
    "Slurm backup controller in standby mode",
    "Slurm controller in standby mode",
    "Transport endpoint is not connected",
    "Resource temporarily unavailable",
    "Unable to resolve",
    "authentication plugin",
    "Munge",
)


def request_arguments(request: Request) -> list[str]:
    """The options of ``sbatch`` that ask for this request (sbatch(1)); memory rounds up to MB, time to minutes."""
    arguments = [
        f"--nodes={request.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={request.cpus}",
        f"--mem={math.ceil(request.memory / MB)}M",
        f"--time={math.ceil(request.time / 60)}",
    ]
    if request.gpus:
        kind = f"{request.gpu_type}:" if request.gpu_type else ""
        arguments.append(f"--gres=gpu:{kind}{request.gpus}")
    for option in ("partition", "account", "qos", "reservation"):
        if value := getattr(request, option):
            arguments.append(f"--{option}={value}")
    return arguments


def sbatch_arguments(
    job: Job, directory: Path, home: Path, environment_fd: int, count: int = 1
) -> list[str]:
    """The whole ``sbatch`` command for a prepared directory; the environment is read from a descriptor."""
    copies = [f"--array=0-{count - 1}"] if count > 1 else []
    return [
        "sbatch",
        "--parsable",
        f"--job-name={job.tag}",
        f"--chdir={home}",
        f"--output={directory}/output-{'%a' if count > 1 else '0'}.log",
        "--open-mode=append",
        "--no-requeue",
        "--input=/dev/null",
        f"--export-file={environment_fd}",
        *copies,
        *request_arguments(job.request),
        str(directory / "script"),
        str(directory),
    ]


def environment_bytes(environment: Mapping[str, str]) -> bytes:
    """The environment as ``--export-file`` reads it: NUL-separated, so that values may hold anything else."""
    return b"".join(f"{key}={value}".encode() + b"\0" for key, value in environment.items())


def parse_sbatch(output: str) -> str:
    """The job id in what ``sbatch --parsable`` printed (``17`` or ``17;cluster``). Raises ValueError."""
    lines = output.strip().splitlines()
    job_id = lines[-1].split(";")[0] if lines else ""
    if not job_id.isdigit():
        raise ValueError(f"sbatch printed no job id but {output[:200]!r}")
    return job_id


def squeue_arguments(names: Sequence[str] = ()) -> list[str]:
    """``squeue`` over all jobs, those that ended lately included; :func:`squeue_environment` has its columns.

    The header line proves that ``squeue`` did answer, even when there is no job. An array that waits is one line
    (somebody's may have a hundred thousand tasks), of any length by SLURM_BITSTR_LEN (see helper.py).
    """
    only = [f"--name={','.join(names)}"] if names else []
    # All: hidden partitions too, for what is not shown would be taken for gone.
    return ["squeue", "--all", "--states=all", *only]


def squeue_environment(mark: str) -> dict[str, str]:
    """What ``squeue`` prints (squeue(1), ENVIRONMENT VARIABLES).

    ``mark`` is a random word that opens each line and parts its columns: job names are other people's text and may
    hold newlines. Who knew it while ``squeue`` runs could write lines of anybody's, so that it stands in no command
    line. (The long names of ``--Format`` would cut what is longer than their columns.)
    """
    return {"SQUEUE_FORMAT": mark + mark.join(COLUMNS)}


# Id, owner, state, reason, nodes, partition, submitted, started, ends, priority; the name comes last.
COLUMNS = ("%i", "%u", "%T", "%r", "%N", "%P", "%V", "%S", "%e", "%Q", "%j")
MOST_TASKS = 5000
NOT_IN_LINE = ("Held", "Dependency", "BeginTime", "JobArrayTaskLimit", "Reservation")


def parse_squeue(output: str, mark: str, addresses: Mapping[str, str] | None = None) -> list[Seen]:
    """Shopfloor's jobs in the output of :func:`squeue_arguments`. Raises ValueError if it is not such output.

    Everybody's waiting jobs are read, for they make a job's place in line.
    """
    header, *lines = output.splitlines() or [""]
    # An error printed as a success, or nothing at all, must not look like a cluster without jobs.
    if not output.endswith("\n") or header.split(mark)[:2] != ["", "JOBID"]:
        raise ValueError(f"squeue printed {header[:200]!r} where its header belongs")
    seen, line_up = [], []
    for line in lines:
        head, *columns = line.split(mark, len(COLUMNS))
        if len(columns) != len(COLUMNS) or head:
            if mark in line:
                raise ValueError(f"squeue printed {line[:200]!r}")
            continue  # the rest of somebody's job name that holds a newline
        job_id, owner, code, reason, nodes, partition = columns[:6]
        submitted, started, ends, priority, name = columns[6:]
        state = STATES.get(code, State.ENDED)
        waits = state is State.PENDING
        if waits and not any(word in reason for word in NOT_IN_LINE):
            array = job_id.split("_")[0]
            line_up.append((partition, -_number(priority), _number(array), array))
        if not TAG.fullmatch(name):
            continue
        node = first_node(nodes)
        seen += [
            Seen(
                id=one,
                tag=name,
                owner=owner,
                state=state,
                reason=reason_words(reason) if waits else "",
                cause=cause_words(code, reason) if state is State.ENDED else "",
                detail=reason if waits else code,
                node=node,
                address=(addresses or {}).get(node, node),
                partition=partition,
                submitted=epoch(submitted),
                started=None if waits else epoch(started),
                ends=None if waits else epoch(ends),
                expected=epoch(started) if waits else None,
            )
            for one in task_ids(job_id)
        ]
    places = _places(line_up)
    # What is left of an array when all that waited of it was cancelled is a line without an index: no copy of it.
    arrays = {array for array, parted, _ in (job.id.partition("_") for job in seen) if parted}
    return [
        replace(job, place=places.get(job.id.split("_")[0])) if job.state is State.PENDING else job
        for job in seen
        if job.id not in arrays
    ]


def task_ids(job_id: str) -> list[str]:
    """The ids in one line of ``squeue``: ``17``, ``17_3``, or all of an array that waits, ``17_[0-2,5%2]``.

    Of one that is larger than any of ours, and has a name of ours all the same, the first are told.
    """
    array, bracket, rest = job_id.partition("_[")
    if not bracket:
        return [job_id]
    found = []
    for part in rest.rstrip("]").split("%")[0].split(","):
        first, _, last = part.partition("-")
        last, _, step = last.partition(":")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ValueError(f"squeue printed the array {job_id[:200]!r}")
        found += [
            f"{array}_{index}"
            for index in range(int(first), int(last or first) + 1, int(step or 1))[:MOST_TASKS]
        ]
    return found[:MOST_TASKS]


def _places(line_up: list[tuple[str, int, int, str]]) -> dict[str, int]:
    """Places by job id; each partition has its own line, highest priority first, then the older one."""
    counts: dict[str, int] = {}
    places = {}
    for partition, _, _, job_id in sorted(line_up):
        counts[partition] = counts.get(partition, 0) + 1
        places[job_id] = counts[partition]
    return places


def first_node(nodes: str) -> str:
    """The first name of a node list such as ``gpu01`` or ``gpu[01-03,07],cpu1``."""
    head, bracket, rest = nodes.partition("[")
    if "," in head or not bracket:
        return head.split(",")[0]
    return head + rest.split("]")[0].split(",")[0].split("-")[0]


def epoch(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def parse_pairs(line: str) -> dict[str, str]:
    """One line of ``scontrol --oneliner``: ``Key=value`` pairs; words without ``=`` belong to the value before."""
    pairs: dict[str, str] = {}
    key = ""
    for word in line.split():
        name, equals, value = word.partition("=")
        if equals and name[:1].isalpha():
            key = name
            pairs[key] = value
        elif key:
            pairs[key] += f" {word}"
    return pairs


def parse_gres(text: str) -> dict[str, int]:
    """GPUs by type in ``gpu:a100:4(S:0-1),gpu:l40:2``; a type without name is ``gpu``."""
    gpus: dict[str, int] = {}
    depth_free = "".join(_outside_brackets(text))
    for item in depth_free.split(","):
        parts = item.strip().split(":")
        if parts[0] != "gpu":
            continue
        kind = parts[1] if len(parts) == 3 else "gpu"
        number = parts[-1] if len(parts) > 1 and parts[-1].isdigit() else "1"
        gpus[kind] = gpus.get(kind, 0) + int(number)
    return gpus


def _outside_brackets(text: str):
    depth = 0
    for letter in text:
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif depth == 0:
            yield letter


def parse_walltime(text: str) -> int | None:
    """Slurm's time format in seconds; None for UNLIMITED and the like."""
    days, dash, clock = text.partition("-")
    if not dash:
        days, clock = "0", text
    parts = clock.split(":")
    if not days.isdigit() or not all(part.isdigit() for part in parts):
        return None
    if dash:
        parts += ["0"] * (3 - len(parts))
    elif len(parts) == 1:
        parts = ["0", parts[0], "0"]
    elif len(parts) == 2:
        parts = ["0", *parts]
    hours, minutes, seconds = (int(part) for part in parts)
    return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds


def describe(partitions: str, nodes: str, name: str, version: str) -> Description:
    """The machine, from ``scontrol --oneliner show partition`` and ``… --details show node``."""
    rows = [pairs for line in nodes.splitlines() if "NodeName" in (pairs := parse_pairs(line))]
    known = tuple(_node(row) for row in rows)
    found = []
    for line in partitions.splitlines():
        pairs = parse_pairs(line)
        if "PartitionName" not in pairs:
            continue
        mine = [node for node in known if pairs["PartitionName"] in node.partitions]
        gpus: dict[str, int] = {}
        for node in mine:
            for kind, number in node.gpus.items():
                gpus[kind] = max(number, gpus.get(kind, 0))
        found.append(
            PartitionInfo(
                name=pairs["PartitionName"],
                nodes=len(mine),
                cpus=max((node.cpus for node in mine), default=0),
                memory=max((node.memory for node in mine), default=0),
                gpus=gpus,
                time=parse_walltime(pairs.get("MaxTime", "")),
                default=pairs.get("Default") == "YES",
                up=pairs.get("State") == "UP",
                submit_from="" if pairs.get("AllocNodes", "ALL") == "ALL" else pairs["AllocNodes"],
            )
        )
    addresses = {row["NodeName"]: row.get("NodeAddr", row["NodeName"]) for row in rows}
    return Description(name, version, tuple(found), addresses, known)


def _node(row: Mapping[str, str]) -> NodeInfo:
    cpus, memory = _number(row.get("CPUTot", "")), _number(row.get("RealMemory", "")) * MB
    gpus, used = parse_gres(row.get("Gres", "")), parse_gres(row.get("GresUsed", ""))
    state = row.get("State", "")
    usable = state.split("+")[0].rstrip("*~#!%$@^-") in ("IDLE", "MIXED", "ALLOCATED")
    return NodeInfo(
        name=row["NodeName"],
        partitions=tuple(row.get("Partitions", "").split(",")),
        cpus=cpus,
        memory=memory,
        gpus=gpus,
        # CPUEfctv leaves out what is set aside for the system; older Slurms do not know it.
        free_cpus=max(0, _number(row.get("CPUEfctv", "")) or cpus)
        - _number(row.get("CPUAlloc", "")),
        free_memory=max(0, memory - _number(row.get("AllocMem", "")) * MB),
        free_gpus={kind: max(0, number - used.get(kind, 0)) for kind, number in gpus.items()},
        usable=usable and not any(word in state for word in NOT_USABLE),
    )


# Flags in a node's state, from sinfo(1), NODE STATE CODES; "*" is a node that does not answer.
NOT_USABLE = ("DOWN", "DRAIN", "FAIL", "MAINT", "RESERVED", "NOT_RESPONDING", "REBOOT", "*")
ESTIMATE = re.compile(r"Job \d+ to start at (\S+) using .* on nodes (\S*) in partition (\S+)")


def parse_estimate(text: str) -> float:
    """When ``sbatch --test-only`` says that a job would start, in epoch seconds. Raises ValueError."""
    found = ESTIMATE.search(text)
    started = epoch(found.group(1)) if found else None
    if started is None:
        raise ValueError(f"sbatch --test-only printed {text[:200]!r}")
    return started


def is_no_answer(text: str) -> bool:
    """Whether a command's complaint means that Slurm did not answer, rather than that it said no."""
    return any(sign.lower() in text.lower() for sign in NO_ANSWER)


def clean_complaint(text: str) -> str:
    """A command's complaint without its ``sbatch: error:`` prefixes, repeated lines and endings."""
    lines = []
    for line in text.splitlines():
        for prefix in ("sbatch: ", "scancel: ", "squeue: ", "scontrol: ", "error: "):
            line = line.removeprefix(prefix)
        line = line.removeprefix("Batch job submission failed: ").strip()
        if line and line not in lines:
            lines.append(line)
    return "; ".join(lines)[:1000] or "no reason was given"
