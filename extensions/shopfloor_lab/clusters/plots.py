"""Which of Dask's own plots people are offered, in their words; pages.py draws them, and doors.py lets people in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plot:
    """``page`` is what dask calls it among its own pages; ``gpus`` marks those that need GPUs to say anything."""

    name: str
    title: str
    page: str
    gpus: bool = False


# Those first that answer "what is it doing?", then "is there room?", then "what takes so long?".
PLOTS = (
    Plot("task-stream", "Task stream", "/individual-task-stream"),
    Plot("progress", "Progress", "/individual-progress"),
    Plot("graph", "Task graph", "/individual-graph"),
    Plot("workers", "Table of workers", "/individual-workers"),
    Plot("cpu", "CPU of each worker", "/individual-cpu"),
    Plot("memory", "Memory of each worker", "/individual-workers-memory"),
    Plot("cluster-memory", "Memory of the cluster", "/individual-cluster-memory"),
    Plot("results", "Memory by kind of result", "/individual-memory-by-key"),
    Plot("processing", "Tasks on each worker", "/individual-nprocessing"),
    Plot("time", "Time by kind of task", "/individual-compute-time-per-key"),
    Plot("network", "Network of each worker", "/individual-workers-network"),
    Plot("profile", "Profile of the code", "/individual-profile"),
    Plot("gpu", "Use of each GPU", "/individual-gpu-utilization", gpus=True),
    Plot("gpu-memory", "Memory of each GPU", "/individual-gpu-memory", gpus=True),
)
BY_NAME = {plot.name: plot for plot in PLOTS}


def offered(gpus: bool) -> list[dict[str, Any]]:
    """The plots of a cluster whose workers have GPUs, or have none, as the panel lists them."""
    return [{"name": one.name, "title": one.title} for one in PLOTS if gpus or not one.gpus]
