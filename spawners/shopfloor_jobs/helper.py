"""The few verbs that are done as the person: sudo runs them for the hub, slurm.py runs them in-process on nodes.

A verb takes one JSON object on standard input and prints one on standard output: ``{"ok": …}``,
``{"refused": "words"}`` or ``{"no_answer": "words"}``, each with ``"ran"``, the commands that it took.
Environment and certificates come in on standard input only, so that they are in no command line.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import pwd
import secrets
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from . import __version__, bundle, directory
from .job import TAG, Job
from .request import Request
from .scheduler import SchedulerError, SubmitRefused, Unreachable, check_signal
from .slurm_text import (
    clean_complaint,
    environment_bytes,
    is_no_answer,
    parse_estimate,
    parse_sbatch,
    parse_squeue,
    request_arguments,
    sbatch_arguments,
    squeue_arguments,
    squeue_environment,
)

INPUT_LIMIT = 8 * 1024**2  # bytes
LASTS = 3  # times the time limit of one command
RUNNER_GRACE = 10  # seconds between TERM and KILL of what a command leaves behind

# Each command that was run: its name, how many seconds it took, and "ok", "refused" or "no_answer".
Ran = list[tuple[str, float, str]]
_ran: ContextVar[Ran | None] = ContextVar("ran", default=None)


@contextmanager
def recorded() -> Iterator[Ran]:
    """The commands that :func:`run` runs meanwhile, in threads that are started from here too."""
    ran: Ran = []
    before = _ran.set(ran)
    try:
        yield ran
    finally:
        _ran.reset(before)


def slurm_environment(conf: str | None) -> dict[str, str]:
    """The environment of Slurm's commands: nothing of an enclosing job, which would change what they do."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key in ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ") or key == "SLURM_CONF"
    }
    environment["SLURM_TIME_FORMAT"] = "%s"
    environment["SLURM_BITSTR_LEN"] = "0"  # the tasks of an array are printed to the last one
    if conf:
        environment["SLURM_CONF"] = conf
    return environment


def run(
    command: Sequence[str],
    conf: str | None,
    timeout: float,
    pass_fds: Sequence[int] = (),
    says: bool = False,
    variables: Mapping[str, str] | None = None,
) -> str:
    """What a Slurm command prints, with ``says`` on standard error; ``variables`` it gets beside the usual ones.

    Raises SubmitRefused with its words, or Unreachable.
    """
    began, outcome = time.monotonic(), "no_answer"
    try:
        environment = {**slurm_environment(conf), **(variables or {})}
        output = _run(command, environment, timeout, pass_fds, says)
        outcome = "ok"
    except SubmitRefused:
        outcome = "refused"
        raise
    finally:
        if (ran := _ran.get()) is not None:
            ran.append((command[0], time.monotonic() - began, outcome))
    return output


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    timeout: float,
    pass_fds: Sequence[int],
    says: bool,
) -> str:
    try:
        done = subprocess.run(
            list(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            pass_fds=pass_fds,
            umask=0o077,  # sbatch hands it on to the job, whose output is the person's alone
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"Slurm did not answer {command[0]} within {timeout:g} s") from error
    except FileNotFoundError as error:
        raise Unreachable(f"{command[0]} is not installed here, or not on the PATH") from error
    except OSError as error:  # no descriptor, process or memory left: nothing is known
        raise Unreachable(f"{command[0]} could not be run: {error.strerror}") from error
    if done.returncode == 0:
        return done.stderr if says else done.stdout
    complaint = clean_complaint(done.stderr or done.stdout)
    if is_no_answer(done.stderr):
        raise Unreachable(complaint)
    raise SubmitRefused(complaint)


def submit(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Ensure that the job lives: find it by its tag, or ``sbatch`` it. One at a time for each tag."""
    job = Job.from_json(payload["job"], payload["confidential"])
    count, conf, timeout = int(payload.get("count", 1)), payload.get("conf"), payload["timeout"]
    person = pwd.getpwuid(os.getuid())
    home = Path(person.pw_dir)
    # Slurm keeps memory and time itself; the runner is told of nothing to watch.
    limits = {"memory": None, "time": None, "grace": RUNNER_GRACE, "copies": count}
    try:
        path = directory.directory_of(home, job.tag)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if found := living(job.tag, person.pw_name, conf, timeout):
                return {"ids": found, "found": True}
            path = directory.prepare(home, job, limits, payload["python"])
            environment = {
                "HOME": person.pw_dir,
                "USER": person.pw_name,
                "LOGNAME": person.pw_name,
                "SHELL": person.pw_shell or "/bin/sh",
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": os.environ.get("LANG", "C.UTF-8"),
                **job.env,
                **directory.file_variables(path, job),
            }
            job_id = _sbatch(job, path, home, environment, count, conf, timeout)
        directory.tidy(home)
    except OSError as error:
        raise SubmitRefused(directory.home_words(error, home)) from error
    ids = [job_id] if count == 1 else [f"{job_id}_{index}" for index in range(count)]
    return {"ids": ids, "found": False}


def living(tag: str, owner: str, conf: str | None, timeout: float) -> list[str]:
    """Ids of the owner's living jobs with this tag."""
    mark = secrets.token_hex(8)
    output = run(squeue_arguments([tag]), conf, timeout, variables=squeue_environment(mark))
    jobs = parse_squeue(output, mark)
    mine = [job for job in jobs if job.tag == tag and job.owner == owner and job.alive]
    return [job.id for job in mine if job.detail != "COMPLETING"]


def _sbatch(
    job: Job,
    path: Path,
    home: Path,
    environment: Mapping[str, str],
    count: int,
    conf: str | None,
    timeout: float,
) -> str:
    descriptor = os.memfd_create("environment")
    try:
        os.write(descriptor, environment_bytes(environment))
        os.lseek(descriptor, 0, os.SEEK_SET)
        command = sbatch_arguments(job, path, home, descriptor, count)
        output = run(command, conf, timeout, pass_fds=[descriptor])
    finally:
        os.close(descriptor)
    try:
        return parse_sbatch(output)
    except ValueError as error:
        raise Unreachable(str(error)) from error


def cancel(payload: Mapping[str, Any]) -> dict[str, Any]:
    return _scancel(payload, [])


def signal(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Signal the batch script, which is the runner: it passes the signal on to its command."""
    return _scancel(payload, [f"--signal={check_signal(payload['signal'])}", "--batch"])


def _scancel(payload: Mapping[str, Any], options: list[str]) -> dict[str, Any]:
    ids = [job_id for job_id in payload["ids"] if _is_job_id(job_id)]
    if ids:
        try:
            run(["scancel", *options, *ids], payload.get("conf"), payload["timeout"])
        except SubmitRefused as refusal:
            return {"said": str(refusal)}  # unknown, ended, or another's: nothing of ours is left
    return {"said": ""}


def _is_job_id(text: Any) -> bool:
    return isinstance(text, str) and text.replace("_", "", 1).isdigit()


def tail(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The last lines that a job wrote."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    path = directory.directory_of(home, payload["tag"])
    return {"text": directory.tail(path, int(payload.get("lines", 20)))}


def records(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The start and exit records of one copy of a job, None where there is none."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    path = directory.directory_of(home, payload["tag"])
    index = int(payload.get("index", 0))
    return {
        "start": directory.start_record(path, index),
        "exit": directory.exit_record(path, index),
    }


def discard(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Remove secrets and files of a job that has ended."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    try:
        directory.discard(directory.directory_of(home, payload["tag"]))
    except OSError as error:
        raise SubmitRefused(directory.home_words(error, home)) from error
    return {}


def estimate(payload: Mapping[str, Any]) -> dict[str, Any]:
    """When Slurm would start such a request; ``sbatch --test-only`` submits nothing."""
    request = Request.from_json(payload["request"])
    command = ["sbatch", "--test-only", *request_arguments(request), "--wrap=true"]
    try:
        return {
            "starts": parse_estimate(
                run(command, payload.get("conf"), payload["timeout"], says=True)
            )
        }
    except ValueError as error:
        raise Unreachable(str(error)) from error


def files(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What of a job's directory a help bundle may hold."""
    path = directory.directory_of(Path(pwd.getpwuid(os.getuid()).pw_dir), payload["tag"])
    if not path.is_dir():
        raise SubmitRefused("the records of this job were tidied away")
    return {"texts": bundle.read_files(path)}


def version(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Proof that the helper can be run for this person."""
    return {"version": __version__, "user": pwd.getpwuid(os.getuid()).pw_name}


VERBS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    verb.__name__: verb
    for verb in (submit, cancel, signal, tail, records, files, discard, estimate, version)
}


def answer(verb: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do a verb and return its answer as the object that goes over the wire, with the commands that it ran."""
    with recorded() as ran:
        return {**_answer(verb, payload), "ran": ran}


def _answer(verb: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if "tag" in payload and not TAG.fullmatch(payload["tag"]):
            raise SubmitRefused("tag: it is not a tag of Shopfloor")
        return {"ok": VERBS[verb](payload)}
    except Unreachable as error:
        return {"no_answer": str(error)}
    except (SchedulerError, subprocess.TimeoutExpired) as error:
        return {"refused": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {"refused": f"the helper was asked wrongly: {error!r:.200}"}


def main() -> None:
    """``shopfloor-helper VERB``: named in sudoers, so that the hub may run it as the people it serves."""
    if len(sys.argv) != 2 or sys.argv[1] not in VERBS:
        sys.exit(f"usage: shopfloor-helper {'|'.join(VERBS)}  (one JSON object on standard input)")
    if os.getuid() == 0:
        sys.exit("shopfloor-helper: it does nothing as root; name a group of people in sudoers")
    os.umask(0o077)
    text = sys.stdin.buffer.read(INPUT_LIMIT + 1)
    if len(text) > INPUT_LIMIT:
        sys.exit(f"shopfloor-helper: the input is longer than {INPUT_LIMIT} bytes")
    try:
        payload = json.loads(text or b"{}")
    except ValueError:
        sys.exit("shopfloor-helper: the input is no JSON")
    # Whoever waits gives up then, and cannot end what runs as somebody else.
    signals.alarm(math.ceil(LASTS * float(payload.get("timeout", 30))))
    json.dump(answer(sys.argv[1], payload), sys.stdout)


if __name__ == "__main__":
    main()
