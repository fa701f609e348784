"""What the local scheduler gives out and what it refuses: cores, memory, GPUs, and to whom."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_jobs import machine
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Job, State
from shopfloor_jobs.local import Local, place, refuse_impossible
from shopfloor_jobs.local_index import Entry
from shopfloor_jobs.machine import Machine
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import SubmitRefused

from tests.jobs.case import SMALL, SchedulerCase
from tests.jobs.contract import SLEEP, WRITE

GB = 1024**3
BIG = Machine(
    cores=tuple(range(8)), memory=16 * GB, gpus={"0": "a100", "1": "a100", "2": "l40", "3": "l40"}
)


@pytest.fixture
def small(local: SchedulerCase) -> SchedulerCase:
    """A machine of 1 GB with two GPUs."""
    ours = Machine(machine.usable_cores(), GB, {"0": "a100", "1": "l40"})
    local.scheduler = Local(str(local.scheduler.state), grace=3, machine=ours)
    return local


def living(cores: list[int] | None = None, gpus: list[str] | None = None, memory: int = 0) -> Entry:
    return Entry(
        id="local-1",
        tag="shopfloor-test-0123456789abcdef",
        owner="alice",
        index=0,
        directory="/nowhere",
        cores=cores or [],
        gpus=gpus or [],
        memory=memory,
        submitted=0,
        boot="",
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"cpus": 9}, "cpus: '9' is not possible: at most 8 on this machine"),
        ({"memory": 17 * GB}, "memory: '17 GB' is not possible: at most 16 GB on this machine"),
        ({"gpus": 5}, "gpus: '5' is not possible: at most 4 on this machine"),
        ({"nodes": 2}, "nodes: '2' is not possible: at most 1 on this machine"),
        ({"gpus": 1, "gpu_type": "h100"}, "gpu_type: 'h100' .* has 2 a100, 2 l40"),
        ({"gpus": 3, "gpu_type": "a100"}, "gpu_type: 'a100' .* has 2 a100, 2 l40"),
        ({"partition": "gpu"}, "partition: 'gpu' is not possible: only local"),
        ({"account": "x"}, "account: 'x' is not possible: there is none"),
        ({"qos": "x"}, "qos: 'x'"),
        ({"reservation": "x"}, "reservation: 'x'"),
    ],
)
def test_what_the_machine_never_has_is_refused_with_its_limit(asked: dict, words: str):
    with pytest.raises(Refused, match=words):
        refuse_impossible(BIG, replace(SMALL, **asked))


def test_what_the_machine_has_is_not_refused():
    everything = Request(cpus=8, memory=16 * GB, gpus=2, gpu_type="l40", partition="local")
    refuse_impossible(BIG, everything)


def test_memory_is_promised_once():
    with pytest.raises(Refused, match=r"memory: '4 GB' .* 2 GB of this machine's 16 GB is free"):
        place(BIG, [living(memory=14 * GB)], replace(SMALL, memory=4 * GB), 1)
    with pytest.raises(Refused, match=r"memory: '3 x 4 GB' .* 8 GB"):
        place(BIG, [living(memory=8 * GB)], replace(SMALL, memory=4 * GB), 3)
    assert len(place(BIG, [living(memory=8 * GB)], replace(SMALL, memory=4 * GB), 2)) == 2


def test_cpus_are_shared_and_the_least_used_cores_come_first():
    ((cores, _),) = place(BIG, [living([0, 1, 2]), living([3])], replace(SMALL, cpus=4), 1)
    assert cores == [4, 5, 6, 7]
    ((cores, _),) = place(BIG, [living(list(range(8)))] * 3, replace(SMALL, cpus=8), 1)
    assert cores == list(range(8))


def test_copies_get_different_cores():
    places = place(BIG, [], replace(SMALL, cpus=3), 2)
    assert [cores for cores, _ in places] == [[0, 1, 2], [3, 4, 5]]


def test_gpus_are_promised_once_and_of_the_type_asked_for():
    request = replace(SMALL, gpus=1, gpu_type="l40")
    assert place(BIG, [living(gpus=["2"])], request, 1)[0][1] == ["3"]
    assert [gpus for _, gpus in place(BIG, [], replace(SMALL, gpus=2), 2)] == [
        ["0", "1"],
        ["2", "3"],
    ]
    with pytest.raises(Refused, match="gpus: 2 is not possible: 1 free at the moment"):
        place(BIG, [living(gpus=["2"])], request, 2)


async def test_a_command_sees_its_gpus_and_its_cores_only(small: SchedulerCase):
    code = WRITE + (
        "facts = [os.environ['CUDA_VISIBLE_DEVICES'], sorted(os.sched_getaffinity(0))]\n"
        "write(sys.argv[2], json.dumps(facts))\n"
        "time.sleep(600)"
    )
    granted = {}
    for name, request in (("first", {"gpus": 1}), ("second", {"gpus": 1}), ("none", {})):
        await small.submit(small.script(code, name, **request))
        granted[name] = json.loads(await small.evidence(name))
    assert [granted[name][0] for name in ("first", "second", "none")] == ["0", "1", ""]
    assert [len(cores) for _, cores in granted.values()] == [1, 1, 1]
    if len(machine.usable_cores()) > 1:
        assert granted["first"][1] != granted["second"][1]
    with pytest.raises(SubmitRefused, match="gpus: 1 is not possible: 0 free"):
        await small.submit(small.script(code, "third", gpus=1))


async def test_our_own_cores_and_signals_stay_as_they_are(local: SchedulerCase):
    def facts() -> list[tuple]:
        tasks = Path("/proc/self/task").iterdir()
        return sorted(
            tuple(line for line in (task / "status").read_text().splitlines() if keeps(line))
            for task in tasks
        )

    def keeps(line: str) -> bool:
        return line.startswith(("Cpus_allowed_list", "SigBlk"))

    before = set(facts())
    await asyncio.gather(*(local.submit(local.script(SLEEP, memory=64 * 2**20)) for _ in range(4)))
    assert set(facts()) == before


async def test_what_an_ended_job_held_is_free_again(small: SchedulerCase):
    first = small.script(SLEEP, memory=GB, gpus=2)
    (job_id,) = await small.submit(first)
    with pytest.raises(SubmitRefused, match="memory: '64 MB' is not possible"):
        await small.submit(small.script(SLEEP, memory=64 * 2**20))
    await small.scheduler.cancel("alice", [job_id])
    await small.submit(small.script(SLEEP, memory=GB, gpus=2))


async def test_two_processes_never_promise_the_same_memory(small: SchedulerCase):
    """As the hub and Lab servers do; each asks for more than half of the machine."""
    code = (
        "import asyncio, sys\n"
        "from shopfloor_jobs.job import Job, new_tag\n"
        "from shopfloor_jobs.local import Local\n"
        "from shopfloor_jobs.machine import Machine\n"
        "from shopfloor_jobs.request import Request\n"
        "from shopfloor_jobs.scheduler import SubmitRefused\n"
        "local = Local(sys.argv[1], machine=Machine((0,), 1 << 30))\n"
        "job = Job(new_tag('test'), 'alice', 'test', Request(memory=600 << 20), ('sleep', '600'))\n"
        "try: print(asyncio.run(local.submit(job)))\n"
        "except SubmitRefused as error: print(error)\n"
    )
    state = str(small.scheduler.state)
    starters = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, state, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    answers = [(await one.communicate())[0].decode() for one in starters]
    assert sorted("refused" if "memory" in one else "started" for one in answers) == [
        "refused",
        "refused",
        "refused",
        "started",
    ], answers


async def test_two_processes_start_one_job_for_one_tag(local: SchedulerCase):
    job = local.script(SLEEP)
    code = (
        "import asyncio, json, sys\n"
        "from shopfloor_jobs.job import Job\n"
        "from shopfloor_jobs.local import Local\n"
        "local = Local(sys.argv[1])\n"
        "print(*asyncio.run(local.submit(Job.from_json(json.loads(sys.argv[2])))))\n"
    )
    arguments = (sys.executable, "-c", code, str(local.scheduler.state), json.dumps(job.to_json()))
    starters = [
        await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
        for _ in range(4)
    ]
    answers = {(await one.communicate())[0].decode() for one in starters}
    assert len(answers) == 1, answers
    assert [one.tag for one in await local.scheduler.look()] == [job.tag]


async def test_a_job_gets_nothing_of_its_starters_environment(
    local: SchedulerCase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "hub's own")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("PYTHONPATH", "/hub")
    code = WRITE + "write('env', json.dumps(dict(os.environ)))"
    await local.submit(local.script(code, env={"WANTED": "yes"}))
    got = json.loads(await local.evidence("env"))
    assert got["WANTED"] == "yes"
    assert (got["USER"], got["LOGNAME"], got["HOME"]) == ("alice", "alice", str(local.home))
    known = {"PATH", "LANG", "LC_ALL", "TZ", "HOME", "USER", "LOGNAME", "SHELL", "WANTED"}
    assert {k for k in got if not k.startswith(("SHOPFLOOR_", "CUDA_"))} <= known
    assert local.home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["../x", "/etc", "..", ".", "a/../../b", ".ssh", "a\nb", "ü"])
def test_a_persons_name_never_leads_out_of_the_people(tmp_path: Path, name: str):
    home = Local(str(tmp_path)).home_of(name)
    assert home.parent == tmp_path / "people"
    assert Path(os.path.normpath(home)) == home
    assert home.name.isascii() and home.name.isprintable()


def test_people_with_odd_names_do_not_share_a_home(tmp_path: Path):
    names = ["a", "a/b", "a%2Fb", "a.b", ".a", "%2Ea", "A", "a b", "a@b"]
    homes = {Local(str(tmp_path)).home_of(name) for name in names}
    assert len(homes) == len(names)


async def test_a_tag_of_another_person_is_not_handed_over(local: SchedulerCase):
    job = local.script(SLEEP)
    await local.submit(job)
    theirs = Job(job.tag, "bob", job.kind, job.request, job.command)
    with pytest.raises(SubmitRefused, match="another person's"):
        await local.scheduler.submit(theirs)


async def test_a_state_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path):
    (tmp_path / "state").write_text("a file, no directory")
    job = SchedulerCase(
        Local(str(tmp_path / "state")), "alice", "bob", tmp_path, tmp_path, ""
    ).script("pass")
    with pytest.raises(SubmitRefused, match=r"state.*: (Not a directory|File exists)"):
        await Local(str(tmp_path / "state")).submit(job)


async def test_an_interpreter_that_is_missing_is_said_and_leaves_no_job(tmp_path: Path):
    local = Local(str(tmp_path / "state"), python="/no/such/python")
    job = SchedulerCase(local, "alice", "bob", tmp_path, tmp_path, "").script("pass")
    with pytest.raises(SubmitRefused, match="/no/such/python: No such file"):
        await local.submit(job)
    assert await local.look() == []


async def test_one_machine_is_described_as_one_partition(small: SchedulerCase):
    described = await small.scheduler.describe()
    (partition,) = described.partitions
    assert (partition.name, partition.nodes, partition.memory) == ("local", 1, GB)
    assert partition.gpus == {"a100": 1, "l40": 1}
    assert described.addresses == {os.uname().nodename: "127.0.0.1"}


def test_this_machine_is_what_the_kernel_says_even_for_a_job_with_fewer_cores():
    before = os.sched_getaffinity(0)
    everything = machine.usable_cores()
    try:
        os.sched_setaffinity(0, {everything[0]})
        assert machine.usable_cores() == everything
        assert os.sched_getaffinity(0) == {everything[0]}
    finally:
        os.sched_setaffinity(0, before)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 64 * 2**20 < machine.usable_memory() <= total


def test_gpus_are_read_from_what_nvidia_smi_prints():
    text = (
        "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5f1b)\n"
        "  MIG 1g.5gb     Device  0: (UUID: MIG-8e2c)\n"
        "GPU 1: NVIDIA GeForce RTX 4090 (UUID: GPU-77aa)\n"
        "GPU 2: Tesla T4 (UUID: GPU-11bb)\n"
    )
    assert machine.parse_gpus(text) == {"0": "a100-sxm4-40gb", "1": "rtx-4090", "2": "t4"}


async def test_stop_all_ends_everybodys_jobs(local: SchedulerCase):
    mine, theirs = local.script(SLEEP), local.script(SLEEP, owner="bob")
    await local.submit(mine)
    await local.submit(theirs)
    await local.scheduler.stop_all()
    await local.gone(mine.tag)
    await local.gone(theirs.tag)
    assert {one.state for one in await local.scheduler.look()} == {State.ENDED}
