"""A kernel's process, as its agent has it: however it ends, that is noticed and said."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from shopfloor_lab.kernels.order import Launch
from shopfloor_lab.kernels.process import Kernel

from tests.jobs.waiting import async_wait_until

UNNAMED = 40  # between SIGRTMIN and SIGRTMAX


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "was killed by signal 11 (SIGSEGV)"),
        (UNNAMED, "was killed by signal 40"),
    ],
)
async def test_a_kernel_that_a_signal_killed_says_which(tmp_path: Path, number: int, words: str):
    changes: list[bool] = []
    kernel = Kernel(tmp_path, {}, lambda: changes.append(kernel.lives))
    await kernel.start(Launch([sys.executable, "-c", f"import os; os.kill(os.getpid(), {number})"]))
    await async_wait_until(lambda: changes == [True, False], 20, "it is told that it ended")
    assert kernel.death is not None and kernel.death["cause"] == words
