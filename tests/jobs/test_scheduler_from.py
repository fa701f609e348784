"""What a configuration may say of its scheduler; all else is refused with the field, before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest
from shopfloor_jobs.local import Local
from shopfloor_jobs.scheduler import scheduler_from
from shopfloor_jobs.slurm import Slurm


def test_what_it_names_is_made():
    slurm = scheduler_from({"type": "slurm", "conf": "/etc/slurm.conf", "timeout": 5})
    assert isinstance(slurm, Slurm)
    assert (slurm.conf, slurm.timeout) == ("/etc/slurm.conf", 5)
    assert isinstance(scheduler_from({"type": "local", "state": "/tmp/state"}), Local)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "scheduler.type: None is neither 'slurm' nor 'local'"),
        ({"type": "pbs"}, "scheduler.type: 'pbs' is neither 'slurm' nor 'local'"),
        (
            {"type": "slurm", "config": "/etc/slurm.conf"},
            "scheduler.config: unknown for 'slurm'; possible are conf, helper, python, timeout",
        ),
        ({"type": "local"}, "scheduler.state: is missing for 'local'"),
    ],
)
def test_what_it_cannot_be_is_refused_with_the_field(config: dict[str, Any], message: str):
    with pytest.raises(ValueError) as refusal:
        scheduler_from(config)
    assert str(refusal.value) == message
