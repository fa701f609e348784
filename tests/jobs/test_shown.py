"""The command that a scheduler shows for a job is the one that it runs: Slurm's programs here only write it down."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path

import pytest
from shopfloor_jobs import helper
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.request import Request
from shopfloor_jobs.slurm import Slurm

SBATCH = """import json, os, sys
json.dump(sys.argv, open(os.environ["HOME"] + "/argv.json", "w"))
print(17)
"""
SQUEUE = """import json, os, sys
mark = os.environ["SQUEUE_FORMAT"].split("%")[0]
json.dump([mark, sys.argv], open(os.environ["HOME"] + "/squeue.json", "w"))
print(mark + "JOBID" + mark)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of whoever runs the tests, with programs that go by Slurm's names."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, source in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        (programs / name).write_text(f"#!/usr/bin/python3\n{source}")
        (programs / name).chmod(0o755)
    me = list(pwd.getpwuid(os.getuid()))
    me[5] = str(tmp_path)
    mine = pwd.struct_passwd(me)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: mine)
    monkeypatch.setattr(pwd, "getpwnam", lambda _: mine)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("count", [1, 4])
async def test_what_slurm_shows_is_what_it_runs(home: Path, count: int) -> None:
    job = Job(
        tag=new_tag("worker"),
        owner=pwd.getpwuid(os.getuid()).pw_name,
        kind="worker",
        request=Request(cpus=4, gpus=1, gpu_type="a100", partition="gpu", account="vision"),
        command=("python", "-m", "x"),
        env={"A": "a-value-of-a-variable"},
        secrets={"TOKEN": "a-secret"},
    )
    scheduler = Slurm()
    shown = scheduler.shown(job, count)
    assert not (home / ".local").exists(), "nothing was prepared or run"
    await scheduler.submit(job, count)
    ran = json.loads((home / "argv.json").read_text())
    descriptor = re.compile(r"--export-file=\d+")
    assert [descriptor.sub("", one) for one in shown[1:]] == [
        descriptor.sub("", one) for one in ran[1:]
    ]
    assert shown[0] == "sbatch" and "--gres=gpu:a100:1" in shown
    assert "a-secret" not in " ".join(shown) and "a-value" not in " ".join(shown)


async def test_what_parts_the_columns_stands_in_no_command_line(home: Path) -> None:
    """Else who reads /proc meanwhile writes lines of anybody's, with the name of a job of theirs."""
    assert await Slurm().look() == []
    assert helper.living(new_tag("server"), "alice", None, 10) == []
    mark, command = json.loads((home / "squeue.json").read_text())
    assert len(mark) == 16 and mark not in " ".join(command)
