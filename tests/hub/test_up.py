"""`shopfloor up`: it comes up, heals, tells what is in its way in a sentence, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import requests
from shopfloor_hub import cli, proxy, state
from shopfloor_hub.site import load
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.processes import start_ticks
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import scheduler_from

from tests.cluster.site_file import tables as slurm_tables
from tests.harness import CONFIG, free_ports, wait_until


class Up:
    """A running `shopfloor up` on a site file of its own."""

    def __init__(self, directory: Path, tables: str = "", python: Path = Path(sys.executable)):
        self.python = python
        self.directory, self.output = directory, directory / "output.txt"
        self.port, internal, api = free_ports(3)
        self.site = directory / "site.toml"
        self.site.write_text(
            f"[hub]\nport = {self.port}\ninternal_port = {internal}\nproxy_api_port = {api}\n{tables}"
        )
        self.state = directory / ".shopfloor"

    @property
    def command(self) -> list[str]:
        return [str(self.python), "-m", "shopfloor_hub.cli", "up", "--site", str(self.site)]

    def start(self) -> Up:
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.wait_for("Ready after")

    def wait_for(self, words: str) -> Up:
        def said() -> bool:
            if words in self.output.read_text():
                return True
            assert self.process.poll() is None, self.output.read_text()
            return False

        wait_until(said, 60, f"it says {words!r}")
        return self

    def children(self) -> list[int]:
        return [int(pid) for pid in json.loads((self.state / "up.json").read_text())]

    def login_page(self) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}/hub/login", timeout=10)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def run_again(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def running(tmp_path):
    one = Up(tmp_path).start()
    yield one
    if one.process.poll() is None:
        one.stop()


def sleeper(owner: str) -> Job:
    request = Request(memory=64 * 1024**2, time=600)
    return Job(new_tag("server"), owner, "server", request, ("sleep", "600"))


def submit(state_directory: Path) -> int:
    """A job of the local scheduler; the process number of its runner."""
    scheduler = scheduler_from({"type": "local", "state": str(state_directory)})
    job = sleeper("alice")
    asyncio.run(scheduler.submit(job))
    pattern = f"people/alice/.local/share/shopfloor/jobs/{job.tag}/start-0.json"
    [record] = wait_until(lambda: list(state_directory.glob(pattern)), 30, "the job runs")
    return json.loads(record.read_text())["pid"]


def test_ready_means_that_people_can_log_in_and_ctrl_c_ends_everything_jobs_included(running):
    assert running.login_page().status_code == 200
    shown = running.output.read_text()
    passwords = json.loads((running.state / "passwords.json").read_text())
    assert set(passwords) == {"alice", "bob", "trainer"}
    for name, password in passwords.items():
        assert f"{name:<10}{password}" in shown
    job, children = submit(running.state), running.children()
    assert len(children) == 2 and start_ticks(job)
    assert running.stop() == 0
    assert [pid for pid in (job, *children) if start_ticks(pid)] == []
    assert not (running.state / "up.json").exists()
    for password in passwords.values():
        for log in (running.state / "logs").iterdir():
            assert password not in log.read_text()


def test_the_second_start_shows_no_passwords_and_changes_none(tmp_path):
    one = Up(tmp_path).start()
    kept = (one.state / "passwords.json").read_text()
    one.stop(signal.SIGTERM)
    one.start()
    assert one.stop() == 0
    assert (one.state / "passwords.json").read_text() == kept
    assert not [word for word in json.loads(kept).values() if word in one.output.read_text()]


def test_a_hub_or_proxy_that_dies_is_started_again_and_the_jobs_live_on(running):
    job = submit(running.state)
    proxy, hub = running.children()
    os.killpg(hub, signal.SIGKILL)
    running.wait_for("The hub died and is started again").wait_for("It answers again")
    os.killpg(proxy, signal.SIGKILL)
    running.wait_for("The proxy died and is started again")
    wait_until(lambda: running.output.read_text().count("It answers again") == 2, 60, "it answers")
    assert running.login_page().status_code == 200
    assert start_ticks(job)


def test_a_hub_that_cannot_start_ends_it_with_the_hubs_own_words(tmp_path):
    one = Up(tmp_path)
    extra = tmp_path / "jupyterhub_config.d"
    extra.mkdir()
    (extra / "bad.py").write_text("raise SystemExit('the extra file is wrong')\n")
    done = one.run_again()
    assert done.returncode == 1
    assert "The hub ended as it started" in done.stderr
    assert "the extra file is wrong" in done.stderr


def test_what_a_killed_up_left_behind_is_ended_by_the_next(running):
    left = running.children()
    running.process.kill()
    running.process.wait()
    assert all(start_ticks(pid) for pid in left)
    running.start()
    assert "an earlier `up` that was killed" in running.output.read_text()
    assert not [pid for pid in left if start_ticks(pid)]


def test_a_second_up_on_the_same_state_is_refused_with_its_process(running):
    done = running.run_again()
    assert done.returncode == 1
    expected = f"Another `shopfloor up` (process {running.process.pid}) runs on {running.state}"
    assert expected in done.stderr
    assert running.login_page().status_code == 200


def test_a_port_in_use_is_one_sentence(tmp_path):
    one = Up(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", one.port))
        taken.listen()
        done = one.run_again()
    assert done.returncode == 1
    assert f"hub.port: port {one.port} on 127.0.0.1 is in use by another program" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_bad_site_file_is_one_sentence(tmp_path):
    one = Up(tmp_path, "[login]\nadmin = ['alice']\n")
    done = one.run_again()
    assert done.returncode == 1
    assert done.stderr == (
        f"shopfloor: {one.site}, line 6: login.admin: there is no such key, did you mean 'admins'?\n"
    )


def test_a_missing_proxy_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(proxy, "path", lambda: str(tmp_path))
    one = Up(tmp_path)
    assert cli.main(["up", "--site", str(one.site)]) == 1
    assert "configurable-http-proxy is missing: `make up` installs it" in capsys.readouterr().err


def test_a_state_directory_that_cannot_be_made_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    one = Up(tmp_path, 'state = "file/state"\n')
    assert cli.main(["up", "--site", str(one.site)]) == 1
    error = capsys.readouterr().err
    assert f"hub.state: {tmp_path}/file/state cannot be used: Not a directory" in error


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, capsys):
    def full(site):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(site.state))

    monkeypatch.setattr(state, "prepare", full)
    one = Up(tmp_path)
    assert cli.main(["up", "--site", str(one.site)]) == 1
    assert f"The disk of {one.state} is full; make room and start again." in capsys.readouterr().err


def test_the_proxys_token_is_kept_and_private(tmp_path):
    site = load(Up(tmp_path).site)
    state.prepare(site)
    token = state.proxy_token(site)
    assert state.proxy_token(site) == token
    assert state.proxy_file(site).stat().st_mode & 0o777 == 0o600


@pytest.fixture
def on_slurm(slurm_cluster, software):
    """What `make up SITE=…` needs on the test cluster: a place that the hub's user may read."""
    slurm_cluster.allow_helper(software / "bin" / "shopfloor-helper")
    directory = Path(tempfile.mkdtemp(prefix="shopfloor-up-"))
    directory.chmod(0o755)
    token = secrets.token_hex(16)
    tables = f'internal_address = "{slurm_cluster.hub_address}"\n' + slurm_tables(
        slurm_cluster, software
    )
    one = Up(directory, tables, python=software / "bin" / "python")
    (directory / "jupyterhub_config.py").write_text(CONFIG.read_text())
    extra = directory / "jupyterhub_config.d"
    extra.mkdir()
    (extra / "tests.py").write_text(
        f"c.JupyterHub.services = [{{'name': 'tests', 'api_token': {token!r}}}]\n"
        "c.JupyterHub.load_roles = [{'name': 'tests', 'services': ['tests'],"
        " 'scopes': ['admin:users', 'admin:servers']}]\n"
    )
    yield one, {"Authorization": f"token {token}"}
    if one.process.poll() is None:
        one.stop()
    shutil.rmtree(directory)


@pytest.mark.slurm
def test_on_a_cluster_the_hub_is_unprivileged_and_ctrl_c_cancels_no_job(on_slurm, slurm_cluster):
    one, headers = on_slurm
    one.start()
    service_user = pwd.getpwnam(slurm_cluster.state["service_user"]).pw_uid
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in one.children()} == {service_user}
    api = f"http://127.0.0.1:{one.port}/hub/api/users/alice"
    assert requests.post(api, headers=headers, timeout=10).status_code in (201, 409)
    options = {"preset": "small-cpu"}
    answer = requests.post(f"{api}/server", headers=headers, json=options, timeout=30)
    assert answer.status_code in (201, 202), answer.text
    scheduler = scheduler_from({"type": "slurm", "conf": slurm_cluster.state["slurm_conf"]})

    def living() -> list[str]:
        return [
            job.id for job in asyncio.run(scheduler.look()) if job.alive and job.owner == "alice"
        ]

    wait_until(living, 30, "alice's job is there", pause=0.2)
    before, children = living(), one.children()
    try:
        assert one.stop() == 0
        assert not [pid for pid in children if start_ticks(pid)]
        assert living() == before
    finally:
        for job in before:
            slurm_cluster.run(["scancel", job])
        wait_until(lambda: not living(), 60, "alice's job is gone", pause=0.2)


def test_a_missing_service_user_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tables = "user = 'nobody-here'\n[scheduler]\ntype = 'slurm'\nhelper = '/opt/helper'\n"
    assert cli.main(["up", "--site", str(Up(tmp_path, tables).site)]) == 1
    assert "hub.user: there is no Unix user 'nobody-here'" in capsys.readouterr().err
