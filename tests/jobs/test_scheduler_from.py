"""What a configuration may say of its scheduler; all else is refused with the field, before anything is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from shopfloor_jobs.local import Local
from shopfloor_jobs.scheduler import scheduler_from
from shopfloor_jobs.slurm import Slurm


def test_what_it_names_is_made():
    slurm = scheduler_from({"type": "slurm", "conf": "/etc/slurm.conf", "timeout": 5})
    assert isinstance(slurm, Slurm)
    assert (slurm.conf, slurm.timeout) == ("/etc/slurm.conf", 5)
    local = scheduler_from({"type": "local", "state": "/tmp/state", "home": None, "grace": 0.5})
    assert isinstance(local, Local)
    assert (local.home, local.grace) == (None, 0.5)


@pytest.mark.parametrize("kind", [Slurm, Local])
def test_all_but_what_a_test_sets_of_a_machine_can_be_said(kind: Callable[..., Any]):
    name = kind.__name__.lower()
    with pytest.raises(ValueError, match=f"unknown for '{name}'") as refusal:
        scheduler_from({"type": name, "no such": 1})
    possible = str(refusal.value).partition("possible are ")[2].split(", ")
    assert possible == [one for one in inspect.signature(kind).parameters if one != "machine"]


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
        (
            {"type": "local", "state": "/s", "machine": {"cores": [0]}},
            "scheduler.machine: unknown for 'local'; possible are state, home, python, grace",
        ),
        ({"type": "local", "state": 5}, "scheduler.state: 5 is not possible: text"),
        ({"type": "local", "state": None}, "scheduler.state: None is not possible: text"),
        (
            {"type": "local", "state": "/s", "home": ["/h"]},
            "scheduler.home: ['/h'] is not possible: text",
        ),
        ({"type": "slurm", "timeout": "30"}, "scheduler.timeout: '30' is not possible: a number"),
        ({"type": "slurm", "timeout": True}, "scheduler.timeout: True is not possible: a number"),
        ({"type": "slurm", "timeout": None}, "scheduler.timeout: None is not possible: a number"),
    ],
)
def test_what_it_cannot_be_is_refused_with_the_field(config: dict[str, Any], message: str):
    with pytest.raises(ValueError) as refusal:
        scheduler_from(config)
    assert str(refusal.value) == message
