"""Rows 6 to 15, 17 and 20 on a stock hub: what Slurm, its nodes, its administrators or the person do to a job."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import neighbour
from tests.cluster.outages import cut_off, down, hanging
from tests.faults import homes
from tests.faults.commands import HOLD_AFTER, HOLD_BEFORE, complains, prints
from tests.faults.test_refused import REFUSALS, somebody_who_left
from tests.harness import wait_until

from .case import LOOKS_EVERY, Stock
from .play import play

HANG = 15  # seconds
SLURM_IS_AWAY = "[Ss]lurm|does not answer|not responding|timed out"
# Who cancelled knows why: that it no longer runs is enough.
CANCELLED = "cancell?ed|stopp(ed|ing)|not running"


def slurm_is_away(stock: Stock, outage: contextlib.AbstractContextManager[None]) -> None:
    """For 15 s, while a server runs, one waits, which the hub looks after twice a second, and one is asked for."""
    blocker = neighbour.hold_cpu_node(stock.cluster)
    try:
        kept = [stock.running("alice", partition="gpu"), stock.waiting("bob")]
        wait_until(lambda: stock.job_id("bob"), 20, "the hub knows bob's job")
        carol = stock.person("carol")
        with outage:
            began = time.monotonic()
            stock.hear("carol", SLURM_IS_AWAY, HANG, carol.open())
            wait_until(lambda: time.monotonic() - began > HANG, HANG, "it lasts 15 s", pause=0.2)
        stock.judge(kept=kept)
    finally:
        neighbour.release(stock.cluster, blocker)


@play(6, "slurmctld hangs for 15 s")
def slurmctld_hangs(stock: Stock) -> None:
    slurm_is_away(stock, hanging(stock.cluster, "slurmctld"))


@play(6, "slurmctld is down for 15 s")
def slurmctld_down(stock: Stock) -> None:
    slurm_is_away(stock, down(stock.cluster, "slurmctld"))


def squeue_talks(stock: Stock, order: str) -> None:
    """Squeue does as ordered while two servers run and one waits, until the hub has looked after each."""
    blocker = neighbour.hold_cpu_node(stock.cluster)
    try:
        kept = [stock.running(name, partition="gpu") for name in ("alice", "bob")]
        kept.append(stock.waiting("carol"))
        wait_until(lambda: stock.job_id("carol"), 20, "the hub knows carol's job")
        stock.person("carol").told()  # the page is open
        with stock.commands.ordered("squeue", order):
            began = time.monotonic()
            stock.hear("carol", SLURM_IS_AWAY)
            looked = LOOKS_EVERY + 2
            wait_until(lambda: time.monotonic() - began > looked, 60, "it has looked", pause=0.2)
            stock.judge(kept=kept)
    finally:
        neighbour.release(stock.cluster, blocker)


@play(6, "squeue prints an unlisted error")
def squeue_complains(stock: Stock) -> None:
    squeue_talks(stock, complains("slurm_load_jobs error: Flux capacitor discharged"))


@play(6, "squeue prints garbage")
def squeue_prints_garbage(stock: Stock) -> None:
    squeue_talks(stock, prints("\\001\\377 %PDF-1.4 <html>"))


@play(7, "node lost", seconds=300)
def lost_node(stock: Stock) -> None:
    stock.running("alice", partition="gpu")
    kept = stock.running("bob")
    lost = next(job for job in stock.jobs() if job.owner == "alice")
    with cut_off(stock.cluster, lost.node):
        wait_until(lambda: lost not in stock.jobs(), 90, "Slurm has noticed", pause=0.5)
        stock.judge("alice", r"\bnode\b|gpu0\d", kept=[kept])
    show = ["sinfo", "--noheader", f"--nodes={lost.node}", "--format=%T"]
    back = {"idle", "mixed"}
    wait_until(
        lambda: stock.cluster.run(show).stdout.strip() in back, 60, "the node is back", pause=0.5
    )


@play(8, "scancel from outside, of a ready server")
def cancelled_when_ready(stock: Stock) -> None:
    job = stock.running("alice")
    kept = stock.running("bob")
    stock.cluster.run(["scancel", job], check=True)
    stock.judge("alice", "cancell?ed|outside", kept=[kept])


@play(8, "scancel from outside, of a server that waits")
def cancelled_when_waiting(stock: Stock) -> None:
    blocker = neighbour.hold_cpu_node(stock.cluster)
    try:
        job = stock.waiting("alice")
        stock.person("alice").told()  # the page is open
        stock.cluster.run(["scancel", job], check=True)
        stock.judge("alice", "cancell?ed|outside")
    finally:
        neighbour.release(stock.cluster, blocker)


@play(9, "requeued, and started on another node")
def requeued(stock: Stock) -> None:
    job = stock.running("alice")
    stock.cluster.run(["scontrol", "requeuehold", job], check=True)
    stock.wait_job("alice", "PENDING")
    stock.hear("alice", r"\bwait|[Pp]ending|queue")
    # Slurm itself lets a requeued job wait for two minutes, until the old one's credential has expired.
    change = ["scontrol", "update", f"jobid={job}", "partition=gpu", "starttime=now"]
    stock.cluster.run(change, check=True)
    stock.cluster.run(["scontrol", "release", job], check=True)
    stock.wait_job("alice", "RUNNING")
    stock.judge(kept=[job])


@play(10, "preempted")
def preempted(stock: Stock) -> None:
    modify = ["sacctmgr", "--immediate", "modify", "qos", "short", "set"]
    stock.cluster.run([*modify, "preempt=normal"], check=True)
    urgent = ["sbatch", "--parsable", "--qos=short", "--partition=cpu", "--mem=4800M", "--time=5"]
    urgent += ["--output=/dev/null", "--wrap=sleep 300"]
    job = stock.running("alice", memory="4800M")
    kept = stock.running("bob", partition="gpu")
    higher = stock.cluster.run(urgent, user="trainer", check=True).stdout.strip()
    try:
        stock.wait_gone(job, 30)
        stock.judge("alice", "[Pp]reempt", kept=[kept])
    finally:
        stock.cluster.run(["scancel", higher])
        stock.cluster.run([*modify, "preempt="], check=True)


@play(11, "time limit of one minute", seconds=300)
def out_of_time(stock: Stock) -> None:
    job = stock.running("alice", runtime="1")
    stock.wait_gone(job, 150)
    stock.judge("alice", "[Tt]ime ?limit|TIMEOUT|walltime")


@play(12, "out of memory")
def out_of_memory(stock: Stock) -> None:
    job = stock.running("alice")
    kept = stock.running("bob")
    stock.order("alice", "eat")
    stock.wait_gone(job, 60)
    stock.judge("alice", "[Mm]emory|OUT_OF_MEMORY|oom", kept=[kept])


@play(13, "cancelled while pending")
def cancelled_by_its_owner(stock: Stock) -> None:
    blocker = neighbour.hold_cpu_node(stock.cluster)
    try:
        stock.waiting("alice")
        wait_until(lambda: stock.job_id("alice"), 20, "the hub knows its job")
        stock.person("alice").stop()
        stock.reload()
        stock.judge("alice", CANCELLED, gone=["alice"])
    finally:
        neighbour.release(stock.cluster, blocker)


@play(13, "cancelled in the second of starting, and reported late")
def reported_late(stock: Stock) -> None:
    stock.order("alice", "hold")
    job = stock.waiting("alice", "RUNNING")
    token = wait_until(lambda: token_of(job), 20, "its server was started")
    stock.person("alice").stop()
    stock.reload()
    answer = stock.hub.api("POST", "batchspawner", token=token, json={"port": 40000})
    stock.judge("alice", CANCELLED, gone=["alice"])
    stock.verdict.note(f"the late report was answered {answer.status_code}")
    stock.verdict.agree = bool(stock.verdict.agree) and answer.status_code in (403, 404)


def token_of(job: str) -> str:
    """The hub's token in the environment of a job's server; empty while it was not started."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            pairs = environ.read_bytes().split(b"\0")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        values = dict(pair.decode(errors="replace").partition("=")[::2] for pair in pairs)
        if values.get("SLURM_JOB_ID") == job and "JUPYTERHUB_API_TOKEN" in values:
            return values["JUPYTERHUB_API_TOKEN"]
    return ""


def cancelled_amid_sbatch(stock: Stock, order: str) -> None:
    """Cancelled when sbatch has come to its moment; it goes on afterwards."""
    with stock.commands.ordered("sbatch", order):
        stock.click("alice")
        wait_until(lambda: stock.commands.held, 20, "sbatch is on its way")
        stock.person("alice").click_stop()
        wait_until(lambda: not is_starting(stock), 30, "the hub has taken the cancel")
    stock.reload()
    stock.judge("alice", CANCELLED, gone=["alice"])


def is_starting(stock: Stock) -> bool:
    return (stock.hub.server("alice") or {}).get("pending") == "spawn"


@play(13, "cancelled while sbatch is on its way, before it submits")
def cancelled_before_submitting(stock: Stock) -> None:
    cancelled_amid_sbatch(stock, HOLD_BEFORE)


@play(13, "cancelled while sbatch is on its way, after it submitted")
def cancelled_after_submitting(stock: Stock) -> None:
    cancelled_amid_sbatch(stock, HOLD_AFTER)


@play(14, "sbatch refuses: account, QOS, partition, limit", seconds=240)
def refused(stock: Stock) -> None:
    for refusal, words, *_ in REFUSALS.values():
        with refusal(stock.cluster):
            said = stock.person("erin").open()
            stock.judge("erin", re.escape(words), gone=["erin"], said=said, within=10)


@play(15, "start command missing")
def missing_command(stock: Stock) -> None:
    stock.click("alice", cmd="/nowhere/bin/batchspawner-singleuser")
    stock.judge("alice", "not found|No such file|/nowhere")


@play(15, "import error")
def import_error(stock: Stock) -> None:
    stock.click("alice", cmd=str(stock.stage.broken))
    stock.judge("alice", "does_not_exist|ModuleNotFound")


@play(17, "home full")
def full_home(stock: Stock) -> None:
    with homes.small("heidi", "64k") as home:
        homes.fill(home / "everything")
        said = stock.person("heidi").open()
        stock.judge("heidi", "home directory|disk|full|No space|quota", said=said)


@play(17, "home not writable")
def closed_home(stock: Stock) -> None:
    with home_is_closed("ivan") as name:
        said = stock.person(name).open()
        stock.judge(name, "home directory|[Pp]ermission denied|writ(e|able|ten)", said=said)


@contextlib.contextmanager
def home_is_closed(name: str) -> Iterator[str]:
    """Meanwhile somebody may not write in their home, where batchspawner's jobs have their log."""
    owner = pwd.getpwnam(name)
    os.chown(owner.pw_dir, 0, owner.pw_gid)
    try:
        Path(owner.pw_dir).chmod(0o750)
        yield name
    finally:
        os.chown(owner.pw_dir, owner.pw_uid, owner.pw_gid)
        Path(owner.pw_dir).chmod(0o700)


@play(17, "no Unix account")
def no_unix_account(stock: Stock) -> None:
    person = somebody_who_left(stock.hub)
    answer = person.start()
    stock.judge(
        why="[Aa]ccount|Unix|[Uu]nknown user", said=answer.text, gone=[person.name], within=0
    )


@play(17, "no Slurm account")
def no_slurm_account(stock: Stock) -> None:
    said = stock.person("mallory").open()
    stock.judge("mallory", "[Aa]ccount|project", said=said, gone=["mallory"], within=10)


@play(20, "clock of one node ten minutes off")
def clock_off(stock: Stock) -> None:
    stock.verdict.note("stock has no check to be tried")
