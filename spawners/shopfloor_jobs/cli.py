"""The command ``shopfloor-jobs``: submit, list, show and cancel jobs on Slurm or on this machine, without a hub."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import pwd
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .fields import Refused, show_seconds
from .job import Job, Seen, State, new_tag
from .request import FIELDS, Request, parse_fields
from .scheduler import Scheduler, SchedulerError, scheduler_from

LOOK_SECONDS = 1
REFUSED, FAILED = 2, 1
METAVARS = {"integer": "NUMBER", "bytes": "SIZE", "seconds": "TIME", "choice": "NAME"}
# What belongs to the job or server that this command runs in, and would mislead the one it starts.
NOT_PASSED_ON = ("SLURM_", "SBATCH_", "SHOPFLOOR_", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exits with 2 for input that cannot be, with 1 when the scheduler says no."""
    options = parser().parse_args(arguments)
    try:
        sys.exit(asyncio.run(options.verb(options)))
    except Refused as error:
        fail(error, REFUSED)
    except (SchedulerError, OSError) as error:
        fail(error, FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


def fail(error: Exception, status: int) -> None:
    print(f"shopfloor-jobs: {error}", file=sys.stderr)
    sys.exit(status)


def parser() -> argparse.ArgumentParser:
    """The whole command line; the options of ``submit`` are the table of fields."""
    top = argparse.ArgumentParser(prog="shopfloor-jobs", description=__doc__)
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    submit = _verb(verbs, "submit", run_submit, "Start a command as a job.")
    for name, field in FIELDS.items():
        default = f"Default: {field.show(field.default)}." if field.default != "" else ""
        submit.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=METAVARS[field.type],
            help=" ".join(filter(None, (field.help, default))).replace("%", "%%"),
        )
    submit.add_argument("--count", type=int, default=1, help="How many copies. Default: 1.")
    submit.add_argument("--title", default="", help="A name for people.")
    submit.add_argument("--wait", action="store_true", help="Wait for the end, and exit as it did.")
    submit.add_argument(
        "command", nargs="+", metavar="COMMAND", help="What to run; put -- before it."
    )

    listed = _verb(verbs, "list", run_list, "List your jobs, those that ended lately included.")
    listed.add_argument("--all", action="store_true", help="Everybody's jobs.")
    show = _verb(verbs, "show", run_show, "Show one job and the last lines that it wrote.")
    show.add_argument("job", metavar="JOB", help="Its id or tag.")
    show.add_argument("--lines", type=int, default=20, help="How many last lines. Default: 20.")
    cancel = _verb(verbs, "cancel", run_cancel, "End jobs.")
    cancel.add_argument("job", metavar="JOB", nargs="+", help="Its id, or its tag for all copies.")
    return top


def _verb(verbs: Any, name: str, run: Any, help_: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help_, description=help_)
    verb.set_defaults(verb=run)
    verb.add_argument("--json", action="store_true", help="Print JSON.")
    verb.add_argument(
        "--scheduler",
        metavar="NAME",
        help="'slurm', 'local', or a JSON object with its settings. Default: SHOPFLOOR_SCHEDULER in the "
        "environment, else slurm where sbatch is on the PATH, else local.",
    )
    return verb


def scheduler_config(named: str | None, environment: Any = os.environ) -> dict[str, Any]:
    """The configuration for :func:`scheduler_from`. Raises Refused for what is neither a name nor an object."""
    text = named or environment.get("SHOPFLOOR_SCHEDULER") or ""
    if not text:
        text = "slurm" if shutil.which("sbatch", path=environment.get("PATH")) else "local"
    if text == "slurm":
        return {"type": "slurm"}
    if text == "local":
        # Alone, without a hub, there is one person, who keeps the HOME that they have.
        home = str(Path.home())
        return {"type": "local", "state": f"{home}/.local/share/shopfloor/local", "home": home}
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict) or config.get("type") not in ("slurm", "local"):
        raise Refused("scheduler", text, "'slurm', 'local' or a JSON object with such a type")
    return config


def connect(options: argparse.Namespace) -> tuple[Scheduler, str]:
    """The scheduler, and who we are to it."""
    config = scheduler_config(options.scheduler)
    try:
        scheduler = scheduler_from(config)
    except ValueError as error:
        raise Refused("scheduler", json.dumps(config), str(error)) from error
    if config["type"] == "slurm":
        return scheduler, pwd.getpwuid(os.getuid()).pw_name
    # Local people share a Unix account: each job's environment names the person.
    return scheduler, getpass.getuser()


async def run_submit(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    request = Request(**parse_fields(given))
    if options.count < 1:
        raise Refused("count", options.count, "at least 1")
    scheduler, owner = connect(options)
    job = Job(
        tag=new_tag("run"),
        owner=owner,
        kind="run",
        request=request,
        # A job begins in HOME; a person who types a command means it here.
        command=("env", "-C", str(Path.cwd()), *options.command),
        env={k: v for k, v in os.environ.items() if not k.startswith(NOT_PASSED_ON)},
        title=options.title,
    )
    ids = await scheduler.submit(job, options.count)
    if options.json and not options.wait:
        print(json.dumps({"tag": job.tag, "ids": ids}))
    elif not options.json:
        print(job.tag, *ids, flush=True)
    return await _wait(options, scheduler, job, ids) if options.wait else 0


async def _wait(
    options: argparse.Namespace, scheduler: Scheduler, job: Job, ids: Sequence[str]
) -> int:
    """Until all copies have ended; the status is that of the first copy that failed."""
    while True:
        seen = {one.id: one for one in await scheduler.look() if one.id in ids}
        if not any(one.alive for one in seen.values()):
            break
        await asyncio.sleep(LOOK_SECONDS)
    status, ended = 0, []
    for index, job_id in enumerate(ids):
        record = (await scheduler.records(job.owner, job.tag, index))["exit"] or {}
        cause = record.get("cause") or (seen[job_id].cause if job_id in seen else "it is gone")
        code = 128 + record["signal"] if record.get("signal") else record.get("code", FAILED)
        status = status or code
        ended.append({"id": job_id, "cause": cause, "code": code})
        if not options.json:
            print(f"{job_id}: {cause}")
    if options.json:
        print(json.dumps({"tag": job.tag, "ids": list(ids), "ended": ended}))
    return status


async def run_list(options: argparse.Namespace) -> int:
    scheduler, owner = connect(options)
    jobs = [one for one in await scheduler.look() if options.all or one.owner == owner]
    if options.json:
        print(json.dumps([one.to_json() for one in jobs]))
        return 0
    rows = [("ID", "TAG", "OWNER", "STATE", "NODE", "WHAT")]
    rows += [(one.id, one.tag, one.owner, one.state.value, one.node, what(one)) for one in jobs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    return 0


async def run_show(options: argparse.Namespace) -> int:
    scheduler, owner = connect(options)
    found = await _find(scheduler, owner, [options.job])
    tail = await scheduler.tail(owner, found[0].tag, options.lines)
    if options.json:
        print(json.dumps({"copies": [one.to_json() for one in found], "tail": tail}))
        return 0
    for one in found:
        print(f"{one.id}  {one.tag}  {one.state.value}  {what(one)}".rstrip())
    print(tail)
    return 0


async def run_cancel(options: argparse.Namespace) -> int:
    scheduler, owner = connect(options)
    ids = [one.id for one in await _find(scheduler, owner, options.job)]
    await scheduler.cancel(owner, ids)
    if options.json:
        print(json.dumps({"cancelled": ids}))
    return 0


async def _find(scheduler: Scheduler, owner: str, names: Sequence[str]) -> list[Seen]:
    mine = [one for one in await scheduler.look() if one.owner == owner]
    for name in names:
        if not any(name in (one.id, one.tag) for one in mine):
            raise SchedulerError(f"you have no job {name!r}")
    return [one for one in mine if one.id in names or one.tag in names]


def what(seen: Seen) -> str:
    """One line on what a job is at: why it waits, how long it may run yet, why it ended."""
    if seen.state is State.ENDED:
        return seen.cause
    if seen.state is State.RUNNING and seen.ends:
        return f"{show_seconds(max(0, int(seen.ends - time.time())))} left"
    return seen.reason


if __name__ == "__main__":
    main()
