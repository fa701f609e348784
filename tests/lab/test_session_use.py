"""What a job uses: control groups and process trees as Linux shows them, GPUs as NVIDIA's library does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.request import Request
from shopfloor_lab.session.given import Given, given
from shopfloor_lab.session.gpu_time import GpuTime
from shopfloor_lab.session.gpus import Gpu, Gpus
from shopfloor_lab.session.use import Meter, disk, group_memory, memory_group

from tests.jobs.waiting import wait_until

MB = 1024**2
GB = 1024**3


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def job(tmp_path: Path, **request: Any) -> Given:
    return Given(tmp_path, 0, "", Request(**request), 0.0, 0.0, Rule(), kept_by_runner=False)


def test_memory_of_a_control_group_is_without_the_cache_that_the_kernel_drops(tmp_path: Path):
    second = write(
        tmp_path / "v2",
        memory__current=f"{3 * GB}\n",
        memory__max=f"{8 * GB}\n",
        memory__stat=f"anon 5\ninactive_file {GB}\n",
    )
    assert group_memory(second) == (2 * GB, 8 * GB)
    first = write(
        tmp_path / "v1",
        memory__usage_in_bytes=f"{3 * GB}\n",
        memory__limit_in_bytes=f"{8 * GB}\n",
        memory__stat=f"cache 5\ninactive_file 7\ntotal_inactive_file {GB}\n",
    )
    assert group_memory(first) == (2 * GB, 8 * GB)


@pytest.mark.parametrize(("name", "limit"), [("max", "max"), ("limit_in_bytes", str(2**63 - 4096))])
def test_a_control_group_without_a_limit_has_none(tmp_path: Path, name: str, limit: str):
    used = "memory__current" if name == "max" else "memory__usage_in_bytes"
    group = write(tmp_path / "g", **{used: "5\n", f"memory__{name}": f"{limit}\n"}, memory__stat="")
    assert group_memory(group) == (5, None)


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("4:memory:/slurm/uid_1000/job_17/step_batch", "memory/slurm/uid_1000/job_17"),
        (
            "0::/system.slice/slurmstepd.scope/job_17/step_batch/user/task_0",
            "system.slice/slurmstepd.scope/job_17",
        ),
    ],
)
def test_the_whole_jobs_group_is_found_and_no_other_jobs(tmp_path: Path, line: str, folder: str):
    process = tmp_path / "proc"
    write(process, cgroup=f"9:cpuset:/slurm/uid_1000/job_17\n{line}\n")
    root = tmp_path / "sys"
    assert memory_group("17", process / "cgroup", root) is None, "it has no files there"
    group = write(root / folder, memory__stat="")
    assert memory_group("17", process / "cgroup", root) == group
    assert memory_group("1", process / "cgroup", root) is None
    assert memory_group("", process / "cgroup", root) is None


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    code = (
        "import sys; x = bytearray(b'x') * (200 << 20); print('up', flush=True)\nwhile True: pass"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_without_a_control_group_the_processes_are_counted(
    tmp_path: Path, child: subprocess.Popen[bytes]
):
    meter = Meter(job(tmp_path, cpus=2, memory=8 * GB), tmp_path)
    first = meter.read()
    assert first.cpu is None and first.programs == {}
    assert 200 * MB < first.memory < 2 * GB and first.memory_limit == 8 * GB

    def busy() -> Any:
        use = meter.read()
        return use if use.programs.get(child.pid, 0) > 0.2 else None

    use = wait_until(busy, 10, "the child's loop is seen")
    assert os.getpid() not in use.programs, "the server's own work is none"
    assert use.cpu >= use.programs[child.pid]
    assert set(use.to_json()) == {
        *("cpu", "cpu_limit", "memory", "memory_limit", "gpus", "home_free", "home_size")
    }


def test_a_home_that_is_not_there_is_not_known(tmp_path: Path):
    assert disk(tmp_path / "gone") == (None, None)
    free, size = disk(tmp_path)
    assert free and size and 0 < free <= size


def test_what_is_no_job_was_given_nothing_and_a_broken_record_is_said(tmp_path: Path):
    assert given({}) is None
    environment = {"SHOPFLOOR_JOB_DIR": str(tmp_path), "SHOPFLOOR_INDEX": "0"}
    with pytest.raises(ValueError, match=r"request\.json is no record of a job"):
        given(environment)


def test_the_end_is_when_the_runner_asks_the_job_to_end(tmp_path: Path):
    request = Request().to_json()
    write(
        tmp_path,
        request__json=json.dumps({"tag": "t", "request": request, "runner": {"memory": 5}}),
        **{"start-0__json": json.dumps({"started": 900, "ends": 1000, "stops": 940})},
    )
    environment = {
        "SHOPFLOOR_JOB_DIR": str(tmp_path),
        "SHOPFLOOR_INDEX": "0",
        "SHOPFLOOR_ENDS": "1000",
    }
    found = given(environment)
    assert found is not None and found.stops == 940 and found.kept_by_runner
    assert found.began == 900
    (tmp_path / "start-0.json").unlink()
    assert (given(environment) or found).stops == 1000


class NodeWithGpus:
    """NVIDIA's library on a node with these GPUs, by index and UUID; MIG slices do not tell how busy they are."""

    class NVMLError(Exception):
        pass

    def __init__(self, *uuids: str, driver: bool = True):
        self.uuids, self.driver = uuids, driver

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return self.uuids[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in self.uuids:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> str | bytes:
        return handle.encode() if handle.endswith("old") else handle

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        if handle.endswith("lost"):
            raise self.NVMLError("GPU is lost")
        return SimpleNamespace(used=GB, total=80 * GB)

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        if handle.startswith("MIG"):
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=93, memory=12)


def names(visible: str, asked: int, *uuids: str, **node: Any) -> list[str]:
    return [gpu.name for gpu in Gpus(visible, asked, NodeWithGpus(*uuids, **node)).look()]


def test_only_the_jobs_own_gpus_are_shown():
    node = ("GPU-a", "GPU-b", "GPU-c-old", "GPU-d")
    assert names("1,2", 2, *node) == ["GPU-b", "GPU-c-old"]
    assert names("GPU-d", 1, *node) == ["GPU-d"]
    assert names("", 0, *node) == [], "none was asked for"
    assert names("1", 0, *node) == [], "whatever the environment says"
    assert names("", 1, *node) == [], "nobody says which one it is"
    assert names("", 4, *node) == list(node), "all of them"
    assert names("7", 1, *node) == [], "there is none of that number"


def test_a_gpu_says_how_busy_it_is_where_it_can():
    assert Gpus("0", 1, NodeWithGpus("GPU-a")).look() == [Gpu("GPU-a", 0.93, GB, 80 * GB)]
    assert Gpus("MIG-a", 1, NodeWithGpus("MIG-a")).look() == [Gpu("MIG-a", None, GB, 80 * GB)]


def test_who_measures_a_job_counts_its_gpu_time_along(tmp_path: Path):
    node = job(tmp_path, gpus=2)
    time_ = GpuTime(node, tmp_path, iter((0.0, 10.0, 20.0)).__next__)
    meter = Meter(node, tmp_path, Gpus("0,1", 2, NodeWithGpus("GPU-a", "GPU-b")), time_)
    meter.read()
    meter.read()
    assert time_.report() == {"held": 40.0, "used": 18.6, "unknown": 20.0}


def test_a_node_without_driver_or_with_a_lost_gpu_shows_what_it_can():
    assert names("0", 1, "GPU-a", driver=False) == []
    assert names("GPU-x", 1, "GPU-a") == []
    assert names("0,1", 2, "GPU-lost", "GPU-b") == ["GPU-b"]


def test_without_the_library_no_gpu_is_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpus("0", 1).look() == []
