"""The command ``shopfloor-jobs`` as a person types it, on a local scheduler of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shopfloor_jobs import cli
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.request import FIELDS

from tests.jobs.case import processes_of
from tests.jobs.waiting import wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]
LINE = re.compile(r"(shopfloor-run-[0-9a-f]{16})((?: local-\d+(?:_\d+)?)+)\n")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    config = {"type": "local", "state": str(tmp_path / "state"), "home": str(tmp_path / "home")}
    return {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "LOGNAME": "carol",
        "SHOPFLOOR_SCHEDULER": json.dumps(config),
    }


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Iterator[Run]:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "shopfloor_jobs.cli", *arguments],
            env={**environment, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield run
    tags = {one["tag"] for one in json.loads(run("list", "--all", "--json").stdout)}
    for tag in tags:
        run("cancel", tag)
    assert all(processes_of(tag) == {} for tag in tags)


def test_a_job_is_submitted_listed_shown_and_cancelled(run: Run):
    submitted = run("submit", "--memory", "64M", "--title", "mine", "--", "sleep", "600")
    assert (submitted.returncode, submitted.stderr) == (0, "")
    tag, job_id = LINE.fullmatch(submitted.stdout).groups()
    assert job_id.strip() in run("list").stdout
    shown = wait_until(
        lambda: text if " running " in (text := run("show", tag).stdout) else "", 15, "it runs"
    )
    assert "1 h 59 min left" in shown or "2 h left" in shown
    assert run("cancel", tag).returncode == 0
    (copy,) = json.loads(run("show", "--json", job_id.strip()).stdout)["copies"]
    assert (copy["tag"], copy["state"], copy["cause"]) == (tag, "ended", "was stopped")


def test_waiting_ends_as_the_command_did_and_says_so(run: Run):
    waited = run("submit", "--wait", "--", "sh", "-c", "echo hello; exit 7")
    assert waited.returncode == 7
    assert "failed with exit code 7" in waited.stdout
    killed = run("submit", "--wait", "--json", "--", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 128 + signal.SIGKILL
    (ended,) = json.loads(killed.stdout)["ended"]
    assert ended["cause"] == "killed by signal 9 (SIGKILL)"


def test_a_command_runs_here_with_this_environment_but_for_an_enclosing_jobs(
    run: Run, tmp_path: Path
):
    submitted = run(
        "submit", "--wait", "--json", "--", "sh", "-c", "pwd; echo $MINE; echo $SLURM_JOB_ID-; echo $HOME",
        MINE="yes", SLURM_JOB_ID="77",
    )  # fmt: skip
    tail = json.loads(run("show", "--json", json.loads(submitted.stdout)["tag"]).stdout)["tail"]
    assert tail.splitlines() == [str(tmp_path), "yes", "-", str(tmp_path / "home")]


def test_copies_are_shown_and_cancelled_together_or_one_by_one(run: Run):
    submitted = run("submit", "--json", "--count", "2", "--memory", "64M", "--", "sleep", "600")
    job = json.loads(submitted.stdout)
    assert len(job["ids"]) == 2
    assert (
        run("cancel", "--json", job["ids"][0]).stdout
        == json.dumps({"cancelled": job["ids"][:1]}) + "\n"
    )
    copies = json.loads(run("show", "--json", job["tag"]).stdout)["copies"]
    assert [copy["state"] == "ended" for copy in copies] == [True, False]


def test_only_your_own_jobs_are_listed_and_cancelled(run: Run):
    submitted = run("submit", "--json", "--", "sleep", "600", LOGNAME="dave")
    (job_id,) = json.loads(submitted.stdout)["ids"]
    assert json.loads(run("list", "--json").stdout) == []
    assert [one["owner"] for one in json.loads(run("list", "--all", "--json").stdout)] == ["dave"]
    refused = run("cancel", job_id)
    assert (refused.returncode, refused.stderr) == (
        1,
        f"shopfloor-jobs: you have no job '{job_id}'\n",
    )
    assert run("cancel", job_id, LOGNAME="dave").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("submit", "--cpus", "0", "--", "true"), 2, "cpus: '0' is not possible: at least 1"),
        (("submit", "--memory", "much", "--", "true"), 2, "memory: 'much' .* a size such as 4G"),
        (("submit", "--count", "0", "--", "true"), 2, "count: 0 is not possible: at least 1"),
        (("submit", "--cpus", "90000", "--", "true"), 1, "cpus: '90000' .* on this machine"),
        (("list", "--scheduler", "pbs"), 2, "scheduler: 'pbs' is not possible: 'slurm', 'local'"),
        (
            ("list", "--scheduler", '{"type": "local", "stat": 1}'),
            2,
            "scheduler: .*.stat: unknown for",
        ),
        (("show", "nothing"), 1, "you have no job 'nothing'"),
    ],
)
def test_a_refusal_is_one_sentence(run: Run, arguments: tuple[str, ...], status: int, words: str):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert re.fullmatch(f"shopfloor-jobs: {words}.*\n", done.stderr), done.stderr


def test_every_field_has_its_option_with_its_help(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["submit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in FIELDS.values():
        assert f"--{field.name.replace('_', '-')} " in text
        assert field.help in text


def test_the_scheduler_is_the_named_one_or_what_is_here(tmp_path: Path):
    assert cli.scheduler_config("slurm", {}) == {"type": "slurm"}
    assert cli.scheduler_config(None, {"SHOPFLOOR_SCHEDULER": "slurm"}) == {"type": "slurm"}
    assert cli.scheduler_config(None, {"PATH": str(tmp_path)})["type"] == "local"
    (tmp_path / "sbatch").touch(mode=0o755)
    assert cli.scheduler_config(None, {"PATH": str(tmp_path)}) == {"type": "slurm"}
    assert cli.scheduler_config("local", {"PATH": str(tmp_path)})["type"] == "local"
    with pytest.raises(Refused):
        cli.scheduler_config('["slurm"]', {})
