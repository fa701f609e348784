"""Use of the GPUs that the job was given, through NVIDIA's management library where its Python module is installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """``busy`` is the share of the last moments in which it computed, None where it does not say (MIG slices).

    Memory in bytes.
    """

    name: str
    busy: float | None
    memory: int
    memory_limit: int


class Gpus:
    """``visible`` is the job's CUDA_VISIBLE_DEVICES, ``asked`` how many GPUs it asked for.

    ``nvml`` stands for the module ``pynvml``, which is imported at the first look otherwise.
    """

    def __init__(self, visible: str, asked: int, nvml: Any = None):
        self._names = [one.strip() for one in visible.split(",") if one.strip()]
        self._asked = asked
        self._nvml = nvml
        self._handles: list[Any] | None = None

    def look(self) -> list[Gpu]:
        """The job's GPUs; none where it has none, or where nothing here knows of them. Takes milliseconds."""
        if not self._asked:
            return []
        if self._handles is None:
            self._handles = self._open()
        found = []
        for handle in self._handles:
            with contextlib.suppress(self._nvml.NVMLError):  # it fell off the bus, or was reset
                found.append(self._look(handle))
        return found

    def _open(self) -> list[Any]:
        self._nvml = self._nvml or _pynvml()
        if self._nvml is None:
            return []
        try:
            self._nvml.nvmlInit()
            return list(self._allocated())
        except self._nvml.NVMLError:  # no driver here
            return []

    def _allocated(self) -> Iterator[Any]:
        count = self._nvml.nvmlDeviceGetCount()
        for name in self._names or map(str, range(count)):
            if not name.isdigit():
                yield self._nvml.nvmlDeviceGetHandleByUUID(name)
            elif int(name) < count and (self._names or count == self._asked):
                yield self._nvml.nvmlDeviceGetHandleByIndex(int(name))

    def _look(self, handle: Any) -> Gpu:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        name = self._nvml.nvmlDeviceGetName(handle)
        busy = None
        with contextlib.suppress(self._nvml.NVMLError):
            busy = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        return Gpu(
            name if isinstance(name, str) else name.decode(), busy, memory.used, memory.total
        )


def _pynvml() -> ModuleType | None:
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml
