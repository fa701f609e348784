"""The life of kernels that are jobs, with real ones on one machine: idle GPUs, time limits, what is done before."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from jupyter_client.manager import AsyncKernelManager
from shopfloor_jobs import directory, local
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.machine import Machine, this_machine
from shopfloor_jobs.offer import KernelTerms, Preset
from shopfloor_jobs.request import Request
from shopfloor_lab.gpu_record import months, spent

from tests.jobs.waiting import async_wait_until

from .agent_orders import FileGpus, Orders
from .cluster_parts import Person, offer_of
from .job_kernels import GB, IPYTHON, Talk, kernelspec, leave_offer

RULE = Rule(after=6, warning=3)
SAVE = """
import shopfloor, os, time
@shopfloor.before_end
def save():
    print("saving")
    open('saved', 'a').write(f'{os.getpid()} {time.time()}\\n')
"""
Start = Callable[..., Awaitable["Running"]]


class Running:
    """A kernel that is a job, its agent, and what a notebook says to it."""

    def __init__(self, manager: AsyncKernelManager, job: Path, home: Path):
        self.manager, self.job, self.home = manager, job, home
        self.agent, self.talk = Orders(job), Talk(manager)

    async def run(self, code: str) -> None:
        assert (await self.talk.run(code))[0] == "ok"

    async def begin(self, code: str) -> str:
        """Run a cell that goes on."""
        asked = self.talk.client.execute(f"print('begun', flush=True)\n{code}")
        await self.talk.until(asked, "stream", text="begun\n")
        return asked

    def saved(self) -> list[str]:
        file = self.home / "saved"
        return file.read_text().splitlines() if file.exists() else []

    async def cause(self) -> str:
        record = await async_wait_until(
            lambda: directory.exit_record(self.job), 20, "the job has ended"
        )
        return record["cause"]


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileGpus:
    """One GPU, which this machine gives to jobs."""
    found = this_machine()
    machine = Machine(found.cores, found.memory, {"0": "a100"})
    monkeypatch.setattr(local, "this_machine", lambda: machine)
    one = FileGpus(tmp_path / "nvidia")
    monkeypatch.setenv("PYTHONPATH", str(one.folder))
    return one


@pytest.fixture
async def start(
    person: Person, gpus: FileGpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Start]:
    """Start a kernel with a preset (``gpu``, ``cpu`` or ``short``) and a rule; it is ended after the test."""
    for name, value in (
        ("HOME", person.home),
        ("JUPYTER_PATH", tmp_path / "share"),
        ("JUPYTER_RUNTIME_DIR", tmp_path / "runtime"),
    ):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("JUPYTERHUB_API_URL", raising=False)
    running: list[Running] = []

    async def begin(preset: str = "gpu", rule: Rule = RULE) -> Running:
        [partition] = offer_of(person.state, gpus=1).partitions
        offer = replace(
            person.offer,
            partitions=(replace(partition, gpu_types={"a100": 1}),),
            presets=tuple(
                Preset(name, name, {**Request(memory=GB).to_json(), **values})
                for name, values in (
                    ("gpu", {"gpus": 1}),
                    ("cpu", {}),
                    ("short", {"time": 60}),
                )
            ),
            kernels=KernelTerms(idle=rule),
        )
        leave_offer(person.home, offer)
        kernelspec(tmp_path / "share", preset, IPYTHON, "python", {"preset": preset})
        manager = AsyncKernelManager(kernel_name=preset)
        await manager.start_kernel(cwd=str(person.home))
        [job] = directory.jobs_root(person.home).glob("shopfloor-kernel-*")
        one = Running(manager, job, person.home)
        running.append(one)
        await one.talk.__aenter__()
        return one

    yield begin
    for one in running:
        one.agent.close()
        await one.talk.__aexit__()
        await one.manager.shutdown_kernel(now=True)


async def test_a_gpu_that_only_holds_memory_is_warned_kept_and_given_back_after_what_is_to_be_saved(
    start: Start, gpus: FileGpus
):
    kernel = await start()
    await kernel.run(SAVE)
    began = await kernel.agent.ask()
    assert began["gpus"] == "0" and began["idle"]["after"] == RULE.after

    warned = await kernel.agent.until("idle", "warned")
    assert 0 < warned["idle"]["ends"] - time.time() <= RULE.warning + 1
    [gpu] = warned["use"]["gpus"]
    assert gpu["busy"] == 0 and gpu["memory"] == 30 * GB
    kept = await kernel.agent.ask("keep")
    assert kept["idle"] == {"state": "active", "after": RULE.after, "ends": None}
    kernel.agent.heard.clear()

    ending = await kernel.agent.until("ending", "idle")
    assert ending["idle"]["state"] == "expired"
    assert await kernel.cause() == "ended after 6 s without GPU work"
    done = [one["job"]["hook"] for one in kernel.agent.listen() if one["job"]["hook"]]
    assert done[-1] == {"state": "done", "text": "save: done in 0 s"}
    assert len(kernel.saved()) == 1
    log = (kernel.job / "output-0.log").read_text()
    assert "Idle rule: warned" in log and "Idle rule: expired" in log

    [month] = months(kernel.home)
    [(project, seconds)] = spent(kernel.home, month).items()
    assert project == "" and seconds["held"] > 6 and seconds["used"] == 0


async def test_a_kernel_is_never_ended_while_a_cell_runs_even_one_that_only_waits(start: Start):
    kernel = await start()
    await kernel.begin("import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)")
    before = time.monotonic()
    await async_wait_until(
        lambda: time.monotonic() - before > RULE.after + 1, 20, "the rule's time is over"
    )
    job = await kernel.agent.ask()
    assert (job["idle"]["state"], job["execution"]) == ("active", "busy")
    (kernel.home / "go").touch()
    assert await kernel.cause() == "ended after 6 s without GPU work"


async def test_a_cell_that_is_run_while_it_is_warned_keeps_it(start: Start):
    kernel = await start()
    await kernel.agent.ask()
    await kernel.agent.until("idle", "warned")
    kernel.agent.heard.clear()
    await kernel.run("1 + 1")
    await kernel.agent.until("idle", "active")


async def test_a_gpu_that_computes_is_work_whoever_lets_it(start: Start, gpus: FileGpus):
    kernel = await start()
    gpus.compute(80)
    before = time.monotonic()
    await async_wait_until(
        lambda: time.monotonic() - before > RULE.after + 1, 20, "the rule's time is over"
    )
    job = await kernel.agent.ask()
    assert job["idle"]["state"] == "active"
    assert job["gpu_seconds"]["used"] > 1 and job["gpu_seconds"]["held"] > RULE.after
    gpus.compute(0)
    await kernel.agent.until("idle", "warned")


async def test_a_kernel_without_gpus_works_as_long_as_a_program_of_it_does(start: Start):
    kernel = await start("cpu")
    await kernel.run("import subprocess, sys")
    await kernel.run("busy = subprocess.Popen([sys.executable, '-c', 'while True: pass'])")
    before = time.monotonic()
    await async_wait_until(
        lambda: time.monotonic() - before > RULE.after + 1, 20, "the rule's time is over"
    )
    job = await kernel.agent.ask()
    assert job["idle"]["state"] == "active" and job["use"]["cpu"] > 0.1
    await kernel.run("busy.kill()")
    assert await kernel.cause() == "ended after 6 s without work"


async def test_without_a_rule_nothing_is_ended(start: Start):
    kernel = await start("cpu", Rule())
    assert (await kernel.agent.ask())["idle"] == {"state": "off", "after": 0, "ends": None}


async def test_before_the_time_is_up_it_is_warned_saved_and_the_cell_goes_on(start: Start):
    kernel = await start("short", Rule())
    await kernel.run(SAVE)
    job = await kernel.agent.ask()
    assert job["ends"] > job["stops"] > time.time()
    await kernel.begin("while True: pass")
    await kernel.agent.until("warning", 15, 60)
    done = await kernel.agent.until("hook", "done")
    assert done["ending"] == "time" and time.time() < job["stops"]
    assert await kernel.cause() == "reached its time limit of 1 min"
    [line] = kernel.saved()
    assert job["stops"] - 8 < float(line.split()[1]) < job["stops"]


async def test_an_end_that_is_moved_is_followed_and_saved_before_each_time(start: Start):
    kernel = await start("cpu", Rule())
    await kernel.run(SAVE)
    given = (await kernel.agent.ask())["ends"]
    for times in (1, 2):
        kernel.agent.heard.clear()
        near = await kernel.agent.ask("move_end", ends=time.time() + 60)
        assert near["ends"] < given
        await kernel.agent.until("hook", "done", 30)
        assert len(kernel.saved()) == times
        far = await kernel.agent.ask("move_end", ends=given)
        assert (far["ends"], far["ending"], far["hook"]) == (given, None, None)
    await kernel.run("print('lives')")
