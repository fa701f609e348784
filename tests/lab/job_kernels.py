"""Kernelspecs whose kernels are jobs, an offer that the hub left in a home, and a notebook's talk with a kernel."""

from __future__ import annotations

import json
import pwd
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from shopfloor_jobs import directory
from shopfloor_jobs.job import State
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request

from tests.cluster.cluster import Cluster

from .cluster_parts import Person

NAME = "ipython-job"  # of the kernelspec in the fixture kernel_home
IPYTHON = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
R = ["/usr/bin/R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]

# How many of the suite's tests each kernel leaves out; kernel_conformance.py says which and why.
GB = 1024**3
SKIPPED = {"IPython": 1, "R": 2}
TESTS = 12


def kernelspec(
    folder: Path, name: str, argv: list[str], language: str, request: Mapping[str, Any], **more: Any
) -> None:
    """Write a kernelspec below ``folder``, which is one of JUPYTER_PATH's."""
    path = folder / "kernels" / name
    path.mkdir(parents=True, exist_ok=True)
    provisioner = {"provisioner_name": "shopfloor", "config": {"request": dict(request)}}
    spec = {
        "argv": argv,
        "display_name": f"{name}, as a job",
        "language": language,
        "metadata": {"kernel_provisioner": provisioner},
        **more,
    }
    (path / "kernel.json").write_text(json.dumps(spec))


def leave_offer(home: Path, offer: Offer) -> Path:
    """As the person's last server cached it; returns the file."""
    path = cached_offer(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**offer.to_json(), "version": 1}))
    return path


@contextmanager
def at_home(cluster: Cluster, person: str, **terms: Any) -> Iterator[dict[str, str]]:
    """The environment of a person's programs at a test cluster: kernelspecs ``ipython-job`` and ``r-job`` (a CPU node),
    ``ipython-gpu`` (a GPU) and the suite; and in their home an offer as from an earlier session, with these terms."""
    shared = Path(tempfile.mkdtemp(prefix=".kernels-", dir="/opt"))
    shared.chmod(0o755)
    kernelspec(shared, "ipython-job", IPYTHON, "python", {"partition": "cpu"})
    kernelspec(shared, "r-job", R, "R", {"partition": "cpu"})
    kernelspec(shared, "ipython-gpu", IPYTHON, "python", {"partition": "gpu", "gpus": 1})
    limits = {"cpus": 2, "memory": 2 * GB, "gpus": 2, "nodes": 1, "time": 7200}
    offer = Offer(
        person=person,
        site="Test cluster",
        scheduler={"type": "slurm", "conf": cluster.state["slurm_conf"]},
        partitions=(
            Partition("cpu", "cpu", {**limits, "gpus": 0}),
            Partition("gpu", "gpu", limits, {"a100": 4, "l40": 2}),
        ),
        presets=(Preset("small", "Small", Request(memory=GB, time=600).to_json()),),
        **terms,
    )
    cached = cached_offer(Path(pwd.getpwnam(person).pw_dir))
    cluster.run(["mkdir", "-p", cached.parent], person, check=True)
    cluster.run(["cp", leave_offer(shared, offer), cached], person, check=True)
    suite = conformance(shared / "suite")
    try:
        yield {"JUPYTER_PATH": str(shared), "PYTHONPATH": str(suite)}
    finally:
        cluster.run(["scancel", "--user", person], check=True)
        cached.unlink()
        shutil.rmtree(shared)


def cached_offer(home: Path) -> Path:
    return home / ".local" / "share" / "shopfloor" / "offer.json"


def conformance(folder: Path) -> Path:
    """A folder for PYTHONPATH with the suite and ours, readable by everybody: the people's software has no tests."""
    import jupyter_kernel_test

    suite = Path(jupyter_kernel_test.__file__).parent
    shutil.copytree(suite, folder / suite.name)
    shutil.copy(Path(__file__).parent / "kernel_conformance.py", folder)
    return folder


def all_passed(printed: str, kernel: str) -> bool:
    """Whether unittest printed that the whole suite passed, but for what this kernel leaves out."""
    *_, ran, _, result = printed.splitlines()
    return ran.startswith(f"Ran {TESTS} tests") and result == f"OK (skipped={SKIPPED[kernel]})"


def jobs(person: Person) -> list[Path]:
    return sorted(directory.jobs_root(person.home).glob("shopfloor-kernel-*"))


async def states(person: Person) -> list[State]:
    return [one.state for one in await person.scheduler.look()]


async def nothing_runs(person: Person) -> bool:
    return await states(person) == [State.ENDED] and not person.processes()


class Talk:
    """A notebook's conversation with a kernel."""

    def __init__(self, manager: AsyncKernelManager):
        self.client: AsyncKernelClient = manager.client()
        self.client.start_channels()

    async def __aenter__(self) -> Talk:
        await self.client.wait_for_ready(timeout=30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.stop_channels()

    async def run(self, code: str, **given: Any) -> tuple[str, str]:
        """The reply's status (with the error's name) and what was printed."""
        printed: list[str] = []

        def note(message: dict[str, Any]) -> None:
            printed.append(message["content"].get("text", ""))

        reply = await self.client.execute_interactive(code, timeout=30, output_hook=note, **given)
        content = reply["content"]
        return content.get("ename", content["status"]), "".join(printed)

    async def until(self, asked: str, kind: str, **content: str) -> dict[str, Any]:
        """The first message of this kind and content that a cell sends to everybody."""
        while True:
            message = await self.client.get_iopub_msg(timeout=20)
            if message["parent_header"].get("msg_id") != asked or message["msg_type"] != kind:
                continue
            if all(message["content"][name] == value for name, value in content.items()):
                return message["content"]
