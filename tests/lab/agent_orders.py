"""A Lab's talk with a kernel's agent, beside that of the provisioner; and GPUs that are as busy as a file says."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import zmq
from shopfloor_lab.kernels.order import ORDER, Arrival, Order

from tests.jobs.waiting import async_wait_until

# A module of this name, first on the path of a job, reads from a file beside it what the GPUs do.
GPUS_OF_A_FILE = """
import json
from pathlib import Path
from types import SimpleNamespace

class NVMLError(Exception):
    pass

def _gpus():
    return json.loads(Path(__file__).with_name("gpus.json").read_text())

def nvmlInit():
    pass

def nvmlDeviceGetCount():
    return len(_gpus())

def nvmlDeviceGetHandleByIndex(index):
    return index

def nvmlDeviceGetName(index):
    return "A100"

def nvmlDeviceGetMemoryInfo(index):
    return SimpleNamespace(used=30 << 30, total=80 << 30)

def nvmlDeviceGetUtilizationRates(index):
    busy = _gpus()[index]
    if busy is None:
        raise NVMLError("Not Supported")
    return SimpleNamespace(gpu=busy, memory=0)
"""


class FileGpus:
    """GPUs that hold 30 GB each, and are as busy as :meth:`compute` says; ``folder`` goes on PYTHONPATH."""

    def __init__(self, folder: Path, count: int = 1):
        self.folder, self._count = folder, count
        folder.mkdir()
        (folder / "pynvml.py").write_text(GPUS_OF_A_FILE)
        self.compute(0)

    def compute(self, percent: int | None) -> None:
        """None is a GPU that does not say how busy it is."""
        new = self.folder / "gpus.new"
        new.write_text(json.dumps([percent] * self._count))
        new.replace(self.folder / "gpus.json")


class Orders:
    """Of the agent of the job in this directory; ``heard`` is all that it said, answered or unasked."""

    def __init__(self, job: Path):
        order, arrival = Order.read(job / "private" / ORDER), Arrival.read(job)
        assert arrival is not None
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.curve_serverkey = self._socket.curve_publickey = order.publickey.encode()
        self._socket.curve_secretkey = order.secretkey.encode()
        self._socket.connect(f"tcp://{arrival.host}:{arrival.orders}")
        self._numbers = itertools.count(1)
        self.heard: list[dict[str, Any]] = []

    def listen(self) -> list[dict[str, Any]]:
        while self._socket.poll(0):
            self.heard.append(json.loads(self._socket.recv()))
        return self.heard

    async def ask(self, what: str = "report", **more: Any) -> dict[str, Any]:
        """What it answers of its job."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "do": what, **more}).encode())

        def answer() -> dict[str, Any] | None:
            return next((one for one in self.listen() if one.get("id") == number), None)

        answered = await async_wait_until(answer, 10, f"it answers to {what}")
        assert "error" not in answered, answered
        return answered.get("job", {})

    async def until(self, kind: str, state: Any, seconds: float = 20) -> dict[str, Any]:
        """The first job that was told unasked in which ``kind`` is so, such as ``idle`` with a state of ``warned``."""

        def told() -> dict[str, Any] | None:
            for one in self.listen():
                value = one.get("job", {}).get(kind)
                if "id" not in one and (value == state or _state(value) == state):
                    return one["job"]
            return None

        return await async_wait_until(told, seconds, f"{kind} is {state}")

    def close(self) -> None:
        self._socket.close()


def _state(value: Any) -> Any:
    return value.get("state") if isinstance(value, dict) else None
