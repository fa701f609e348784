"""Rows 1 to 5, 16, 18 and 19 on a stock hub: the hub itself, its database and its proxy fail, or are asked for much."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.cluster import neighbour
from tests.faults.commands import HOLD_AFTER, HOLD_BEFORE
from tests.faults.person import Person
from tests.faults.test_hub_killed import STARTERS
from tests.faults.test_hub_machine import LOCKED_FOR, PRINTS, locked
from tests.faults.test_refused import REFUSALS
from tests.harness import wait_until
from tests.kernels import Cell, Kernel

from .case import Stock
from .play import play

NOT_RUNNING = "not running"
COMES = "^Lab|Pending in queue|waiting to connect|starting up"
LAB = "^Lab"


@play(1, "hub killed before anything is stored of the start")
def before_anything(stock: Stock) -> None:
    stock.moment.touch()
    try:
        stock.click("alice")
        wait_until(stock.moment.with_suffix(".held").exists, 20, "the moment has come")
        stock.hub.kill_hub()
    finally:
        stock.moment.unlink()
        stock.moment.with_suffix(".held").unlink(missing_ok=True)
    stock.hub.start_hub()
    stock.reload()
    stock.judge("alice", NOT_RUNNING, gone=["alice"])


@play(2, "hub killed while sbatch is on its way")
def while_submitting(stock: Stock) -> None:
    with stock.commands.ordered("sbatch", HOLD_BEFORE):
        stock.click("alice")
        wait_until(lambda: stock.commands.held, 20, "sbatch is about to be run")
        stock.hub.kill_hub()
        stock.hub.start_hub()
        stock.reload()
    stock.wait_job("alice")
    stock.judge("alice", COMES)


@play(2, "hub and sudo killed after sbatch, before its answer is stored")
def after_submitting(stock: Stock) -> None:
    with stock.commands.ordered("sbatch", HOLD_AFTER):
        stock.click("alice")
        wait_until(lambda: stock.commands.held, 20, "sbatch has submitted")
        [job] = stock.jobs()
        stock.hub.crash()
    stock.hub.start_hub()
    stock.reload()
    stock.judge("alice", COMES, kept=[job.id])


@play(3, "hub killed while the job is pending")
def while_pending(stock: Stock) -> None:
    blocker = neighbour.hold_cpu_node(stock.cluster)
    try:
        job = stock.waiting("alice")
        wait_until(lambda: stock.job_id("alice"), 20, "the hub knows its job")
        stock.restart_hub()
        stock.judge("alice", COMES, kept=[job])
    finally:
        neighbour.release(stock.cluster, blocker)


@play(3, "hub killed while the job runs, before it reported")
def before_the_report(stock: Stock) -> None:
    stock.order("alice", "hold")
    job = stock.waiting("alice", "RUNNING")
    stock.restart_hub()
    stock.take_back("alice", "hold")
    stock.judge("alice", LAB, kept=[job])


@play(3, "hub killed while the server is ready")
def while_ready(stock: Stock) -> None:
    job = stock.running("alice")
    stock.hub.kill_hub()
    answer = requests.get(f"{stock.hub.url}/user/alice/api", timeout=10)
    if answer.text != job:
        stock.verdict.note(f"while the hub was down, the route answered {answer.status_code}")
    stock.hub.start_hub()
    stock.reload()
    stock.judge("alice", LAB, kept=[job])


@play(4, "hub killed when the first of 10 starts at once is ready")
def amid_ten_starts(stock: Stock) -> None:
    for name in STARTERS:
        stock.person(name)
    for name in STARTERS:
        stock.click(name)
    wait_until(lambda: ready(stock), 60, "the first is ready", pause=0.1)
    there = len(ready(stock))
    stock.hub.kill_hub()
    kept = [job.id for job in stock.jobs()]
    stock.verdict.note(f"killed with {len(kept)} jobs, {there} of them ready")
    stock.hub.start_hub()
    stock.judge(kept=kept)


def ready(stock: Stock) -> list[str]:
    """Ids of the jobs whose servers are ready."""
    servers = stock.servers().values()
    return [server["state"]["job_id"] for server in servers if server["ready"]]


def a_dozen(stock: Stock) -> list[str]:
    """Twelve servers of ten people, ready; the ids of their jobs."""
    wanted = [(name, "") for name in STARTERS] + [("alice", "second"), ("bob", "second")]
    for name, _ in wanted:
        stock.person(name)
    for name, server in wanted:
        stock.click(name, server)
    wait_until(lambda: len(ready(stock)) == len(wanted), 120, "12 are ready", pause=0.5)
    return ready(stock)


@play(5, "hub killed with a dozen servers ready", seconds=240)
def killed_with_a_dozen(stock: Stock) -> None:
    kept = a_dozen(stock)
    stock.restart_hub()
    stock.judge("alice", LAB, kept)


@play(5, "hub stopped in order with a dozen servers ready", seconds=240)
def stopped_with_a_dozen(stock: Stock) -> None:
    kept = a_dozen(stock)
    stock.hub.hub.terminate()
    stock.hub.hub.wait(90)
    stock.hub.start_hub()
    stock.reload()
    stock.verdict.note("cleanup_servers is on by default")
    stock.judge("alice", LAB, kept)


@play(16, "database locked for 10 s")
def locked_database(stock: Stock) -> None:
    kept = stock.running("alice")
    stock.order("bob", "hold")
    job = stock.waiting("bob", "RUNNING")
    carol = stock.person("carol")
    with locked(stock.hub.directory / "jupyterhub.sqlite"):
        began = time.monotonic()
        stock.take_back("bob", "hold")
        answered = carol.open()
        stock.hear("carol", "database|locked|[Rr]unning (sessions|servers) go on", 3, answered)
        wait_until(lambda: time.monotonic() - began > LOCKED_FOR, 20, "it lasts 10 s", pause=0.2)
    stock.judge(kept=[kept, job])


def read_a_cell(stock: Stock) -> None:
    """A real server prints while its proxy is killed; what is read afterwards are its lines."""
    real = f"{stock.stage.prefix}/bin"
    command = f"{real}/batchspawner-singleuser {real}/jupyterhub-singleuser"
    job = stock.running("alice", cmd=command, memory="512M")
    alice = stock.person("alice")
    cell = Cell(Kernel(stock.hub.url, "alice", alice.token), PRINTS)
    assert cell.read(until="line 3\n")
    stock.hub.kill_proxy()
    assert not cell.read()
    if stock.hub.beside:
        stock.hub.start_proxy()
    began = time.monotonic()
    stock.judge(kept=[job])
    if stock.verdict.agree:
        stock.verdict.note(f"the route was back after {time.monotonic() - began:.0f} s")
        cell.reconnect()
        stock.verdict.told = cell.read() and cell.printed.split("\n")[:-1] == [
            f"line {number}" for number in range(40)
        ]
        stock.verdict.note("all lines there" if stock.verdict.told else "lines are missing")
    else:
        stock.verdict.told = False


@play(18, "proxy killed while a cell prints, the hub runs the proxy")
def own_proxy_killed(stock: Stock) -> None:
    read_a_cell(stock)


@play(18, "proxy killed while a cell prints, the proxy is a service of its own", beside=True)
def proxy_beside_killed(stock: Stock) -> None:
    read_a_cell(stock)


EACH = 10  # servers of one person


@play(19, "100 starts at once", seconds=420)
def a_hundred(stock: Stock) -> None:
    people = [stock.person(name) for name in STARTERS]
    with ThreadPoolExecutor(EACH * len(people)) as pool:
        clicks = [
            pool.submit(answer_of, one, f"s{number}") for number in range(EACH) for one in people
        ]
        answers = sorted({click.result() for click in clicks})
    stock.verdict.note(f"answered {', '.join(answers)}")
    # Half of them fill the node, the others stand in line.
    half = EACH * len(people) // 2
    there = eventually(lambda: len(ready_under_load(stock)) >= half, 120)
    stock.verdict.note(f"{len(ready_under_load(stock))} ready, {len(stock.jobs())} jobs")
    name, server = somebody_in_line(stock)
    stock.hear(name, r"\bplace\b|\bposition\b", 5, server=server)
    stock.judge()
    first = set(ready_under_load(stock))
    with ThreadPoolExecutor(8) as pool:
        for (name, server), found in stock.servers().items():
            if found["ready"]:
                pool.submit(stock.hub.stop_server, name, server)
    follow = eventually(lambda: len(set(ready_under_load(stock)) - first) >= half, 120)
    stock.verdict.note(f"the others {'follow' if follow else 'do not follow'} when those stop")
    stock.judge()
    taken = set(answers) <= {"201", "202"}
    stock.verdict.agree = bool(stock.verdict.agree) and there and taken and follow


def answer_of(person: Person, server: str) -> str:
    """The status that a click is answered with, or what went wrong instead."""
    try:
        return str(person.start(server).status_code)
    except requests.RequestException as error:
        return type(error).__name__


def ready_under_load(stock: Stock) -> list[str]:
    """As ``ready``; empty when the hub does not answer in time."""
    try:
        return ready(stock)
    except requests.RequestException:
        return []


def somebody_in_line(stock: Stock) -> tuple[str, str]:
    """Person and server whose job waits; somebody's where none does."""
    waiting = {job.id for job in stock.jobs() if job.state == "PENDING"}
    for (name, server), found in stock.servers().items():
        if (found["state"] or {}).get("job_id") in waiting:
            return name, server
    return STARTERS[0], f"s{EACH - 1}"


def eventually(condition: Callable[[], object], seconds: float) -> bool:
    """Whether it comes true in time."""
    try:
        wait_until(condition, seconds, "it is so", pause=1)
    except AssertionError:
        return False
    return True


@play(19, "five failures in a row of one person")
def five_failures(stock: Stock) -> None:
    kept = stock.running("bob")
    refusal, words, *_ = REFUSALS["partition"]
    with refusal(stock.cluster):
        for _ in range(6):
            said = stock.person("carol").open()
            wait_until(lambda: stock.hub.server("carol") is None, 30, "it has failed")
    running = stock.running("alice")
    stock.judge("carol", words, kept=[kept, running], gone=["carol"], said=said, within=5)
