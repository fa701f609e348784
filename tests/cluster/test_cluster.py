"""The test cluster itself, on real Slurm: what every other test and demo takes for granted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import network, people, registry
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.layout import PEOPLE_GROUP, ROOT, SERVICE_USER
from tests.cluster.processes import wait_until

pytestmark = pytest.mark.slurm

CHECKOUT = Path(__file__).parents[2]


def submit(cluster: Cluster, user: str, script: str, *options: str) -> str:
    """sbatch a shell script whose output goes to the user's home; the job id."""
    # Clusters side by side share the homes and count their jobs alike.
    home = Path(f"~{user}").expanduser()
    where = [
        f"--chdir={home}",
        f"--output={cluster.name}-%j.out",
        "--open-mode=truncate",
        "--parsable",
    ]
    text = f"#!/bin/sh\n{script}\n"
    done = cluster.run(["sbatch", *where, *options], user, text=text, check=True)
    return done.stdout.strip()


def output_of(cluster: Cluster, user: str, job: str) -> str:
    return output_file(cluster, user, job).read_text()


def output_file(cluster: Cluster, user: str, job: str) -> Path:
    return Path(f"~{user}").expanduser() / f"{cluster.name}-{job}.out"


def run_batch(cluster: Cluster, user: str, script: str, *options: str) -> str:
    job = submit(cluster, user, script, *options)
    assert cluster.wait_for_job(job) == "COMPLETED", output_of(cluster, user, job)
    return output_of(cluster, user, job)


def test_a_job_sees_its_node_and_its_name_resolves_at_once(slurm_cluster: Cluster) -> None:
    look_up = (
        "import socket, time; start = time.monotonic(); "
        "print(socket.gethostname(), socket.getfqdn(), socket.gethostbyname(socket.gethostname()), "
        "socket.gethostbyname('cpu01'), time.monotonic() - start < 1)"
    )
    done = slurm_cluster.run(
        ["srun", "-p", "gpu", "-w", "gpu01", "python3", "-c", look_up], "alice"
    )
    address, other = slurm_cluster.address("gpu01"), slurm_cluster.address("cpu01")
    assert done.stdout.split() == ["gpu01", "gpu01", address, other, "True"], done.stderr
    assert socket.gethostname() != "gpu01"


def test_a_job_over_its_memory_ends_out_of_memory(slurm_cluster: Cluster) -> None:
    script = "exec python3 -c 'bytearray(400_000_000)'"
    job = submit(slurm_cluster, "bob", script, "--mem=150M")
    assert slurm_cluster.wait_for_job(job) == "OUT_OF_MEMORY"
    within = submit(slurm_cluster, "bob", script, "--mem=600M")
    assert slurm_cluster.wait_for_job(within) == "COMPLETED"


def test_a_job_opens_the_gpu_it_was_granted_and_no_other(slurm_cluster: Cluster) -> None:
    devices = slurm_cluster.layout.run / "dev" / "gpu01"
    # No driver stands behind the device nodes: ENXIO means that the cgroup let the open through.
    script = f"""exec python3 - <<'END'
import errno, os
print(os.environ["CUDA_VISIBLE_DEVICES"], os.environ["SLURM_JOB_GPUS"])
for number in range(4):
    try:
        os.open("{devices}/nvidia%d" % number, os.O_RDONLY)
    except OSError as error:
        print(number, errno.errorcode[error.errno])
END"""
    lines = run_batch(slurm_cluster, "alice", script, "-p", "gpu", "--gpus=a100:1").splitlines()
    # Under ConstrainDevices CUDA counts only what the cgroup shows; Slurm's number is the node's.
    visible, granted = lines[0].split()
    assert visible == "0"
    opened = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert opened == {str(n): "ENXIO" if str(n) == granted else "EPERM" for n in range(4)}


def test_two_gpu_jobs_get_different_gpus(slurm_cluster: Cluster) -> None:
    show = "echo $SLURM_JOB_GPUS; exec sleep 60"
    jobs = [
        submit(slurm_cluster, user, show, "-p", "gpu", "--gpus=l40:1") for user in ("alice", "bob")
    ]
    seen = []
    for user, job in zip(("alice", "bob"), jobs, strict=True):
        file = output_file(slurm_cluster, user, job)
        wait_until(lambda file=file: file.exists() and file.read_text(), 20, f"job {job} to speak")
        seen.append(file.read_text().strip())
    slurm_cluster.run(["scancel", *jobs], check=True)
    assert sorted(seen) == ["0", "1"]


def test_who_has_no_slurm_account_is_refused_for_that_reason(slurm_cluster: Cluster) -> None:
    done = slurm_cluster.run(["sbatch", "--wrap=true"], "mallory")
    assert done.returncode != 0
    assert "Invalid account" in done.stderr


def test_accounts_have_gpu_minutes_and_the_short_qos_a_limit(slurm_cluster: Cluster) -> None:
    limits = slurm_cluster.run(
        ["sacctmgr", "-nP", "show", "assoc", "user=", "format=account,grptresmins"], check=True
    ).stdout.split()
    assert {"vision|gres/gpu=12000", "climate|gres/gpu=12000"} <= set(limits)
    of_others = slurm_cluster.run(["sbatch", "--account=climate", "--wrap=true"], "alice")
    assert "Invalid account" in of_others.stderr
    too_long = slurm_cluster.run(
        ["sbatch", "--parsable", "--qos=short", "--time=31", "--wrap=true"], "trainer", check=True
    )
    job = too_long.stdout.strip()
    reason = slurm_cluster.run(["squeue", "-h", "-j", job, "-o", "%r"], check=True).stdout.strip()
    slurm_cluster.run(["scancel", job], check=True)
    assert reason == "QOSMaxWallDurationPerJobLimit"


@pytest.mark.parametrize("export", ["ALL", "NONE"])
def test_a_job_can_talk_to_slurm_itself(slurm_cluster: Cluster, export: str) -> None:
    script = "squeue --noheader --job $SLURM_JOB_ID --format=%T"
    assert run_batch(slurm_cluster, "carol", script, f"--export={export}") == "RUNNING\n"


def test_what_a_job_leaves_running_ends_with_it(slurm_cluster: Cluster) -> None:
    script = (
        "setsid sh -c 'echo $$ > left.pid; exec sleep 300' & while [ ! -s left.pid ]; do :; done"
    )
    run_batch(slurm_cluster, "dave", script)
    pid = int(Path("~dave/left.pid").expanduser().read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, "the left process to end")


def test_hub_and_nodes_reach_each_others_ports(slurm_cluster: Cluster) -> None:
    with socket.create_server((slurm_cluster.hub_address, 0)) as hub:
        hub.settimeout(20)
        # The node binds first and reports its port, as a single-user server does.
        script = f"""exec python3 - <<'END'
import socket
with socket.create_server(("gpu02", 0)) as server:
    server.settimeout(20)
    with socket.create_connection(("{slurm_cluster.hub_address}", {hub.getsockname()[1]}), 20) as up:
        up.sendall(str(server.getsockname()[1]).encode())
    with server.accept()[0] as down:
        down.sendall(b"hello from gpu02")
END"""
        job = submit(slurm_cluster, "erin", script, "-p", "gpu", "-w", "gpu02")
        connection, (caller, _) = hub.accept()
        with connection:
            port = int(connection.makefile().read())
    assert caller == slurm_cluster.address("gpu02")
    with socket.create_connection((slurm_cluster.address("gpu02"), port), 20) as node:
        assert node.makefile().read() == "hello from gpu02"
    assert slurm_cluster.wait_for_job(job) == "COMPLETED"


def test_the_state_file_is_for_everybody_and_the_passwords_are_not(slurm_cluster: Cluster) -> None:
    told = slurm_cluster.run(["cat", slurm_cluster.layout.state_file], SERVICE_USER, check=True)
    assert slurm_cluster.hub_address in told.stdout
    for password in slurm_cluster.passwords.values():
        assert password not in told.stdout
    secret = slurm_cluster.run(["cat", slurm_cluster.layout.passwords_file], "alice")
    assert "Permission denied" in secret.stderr


def test_the_service_user_runs_the_helper_as_people_and_nothing_else(
    slurm_cluster: Cluster,
) -> None:
    helper = Path("/usr/bin/id")
    slurm_cluster.allow_helper(helper)
    sudo = ["sudo", "--non-interactive", "--user"]
    as_alice = slurm_cluster.run([*sudo, "alice", helper, "-un"], SERVICE_USER)
    assert as_alice.stdout == "alice\n", as_alice.stderr
    for arguments in (["root", helper], ["alice", "/usr/bin/env"]):
        assert slurm_cluster.run([*sudo, *arguments], SERVICE_USER).returncode != 0
    with pytest.raises(ClusterError, match="plain path"):
        slurm_cluster.allow_helper(Path("/bin/x, ALL"))


def test_teams_share_a_folder_and_homes_are_closed(slurm_cluster: Cluster) -> None:
    note = people.TEAM_FOLDER / "note"
    slurm_cluster.run(["touch", note], "alice", check=True)
    assert slurm_cluster.run(["ls", note], "carol").returncode == 0
    assert slurm_cluster.run(["ls", note], "bob").returncode != 0
    assert slurm_cluster.run(["ls", Path("~alice").expanduser()], "carol").returncode != 0
    note.unlink()


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a cluster that this test alone uses, gone afterwards in any case."""
    chosen = f"t{os.getpid()}"
    yield chosen
    command_line("down", "--name", chosen)


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.cluster", *arguments]
    return subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=90, check=False
    )


def in_foreground(name: str) -> subprocess.Popen[str]:
    """`up` in the foreground, returned once it says how to use the cluster."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster", "up", "--name", name],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = ""
    for line in process.stdout:
        said += line
        if line.strip().startswith("Stop "):
            return process
    raise AssertionError(f"up ended with {process.wait()} and said: {said}")


def traces(name: str) -> dict[str, list[str]]:
    """What of a cluster is left on this machine, by kind; empty when nothing is."""
    run, mark = f"{ROOT / name}/", f"shopfloor-{name}"
    found = {
        "processes": [str(pid) for pid in _processes_with(run)],
        "namespaces": [space for space in network.namespaces() if space.startswith(mark)],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{mark}")],
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if mark in line],
        "files": [
            str(path)
            for path in (ROOT / name, Path("/etc/sudoers.d") / f"shopfloor-{name}")
            if path.exists()
        ],
    }
    return {kind: things for kind, things in found.items() if things}


def _processes_with(text: str) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            content = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in content:
            yield int(folder.name)


def test_clusters_side_by_side_run_their_own_jobs_and_one_stops_alone(
    slurm_cluster: Cluster, name: str
) -> None:
    script = "cat /proc/self/cgroup; echo ready; exec sleep 100"
    with Cluster(name) as second:
        assert second.passwords == slurm_cluster.passwords
        both = {slurm_cluster: [], second: []}
        for cluster, jobs in both.items():
            jobs.append(submit(cluster, "grace", script, "-p", "gpu", "--gpus=a100:4", "--mem=1G"))
            wait_until(
                lambda cluster=cluster, jobs=jobs: cluster.job_state(jobs[0]) == "RUNNING",
                20,
                "all four GPUs of either cluster",
            )
        for cluster, jobs in both.items():
            assert [job["id"] for job in cluster.jobs()] == jobs
            assert [job["nodes"] for job in cluster.jobs()] == ["gpu01"]
        # The same memory limit bites in both, side by side.
        hungry = "exec python3 -c 'bytearray(400_000_000)'"
        ends = [
            cluster.wait_for_job(submit(cluster, "heidi", hungry, "--mem=150M")) for cluster in both
        ]
        assert ends == ["OUT_OF_MEMORY"] * 2
        interfaces = {second.layout.bridge} | {
            link for link in network.interfaces() if link.startswith(f"{second.layout.bridge}-")
        }
        second.allow_helper(Path("/usr/bin/id"))
        assert traces(name).keys() == {"processes", "namespaces", "cgroups", "mounts", "files"}
    assert traces(name) == {}
    assert not interfaces & network.interfaces()
    assert slurm_cluster.job_state(both[slurm_cluster][0]) == "RUNNING"
    slurm_cluster.run(["scancel", *both[slurm_cluster]], check=True)


def test_up_in_the_foreground_stops_at_a_signal_and_leaves_nothing(name: str) -> None:
    with in_foreground(name) as process:
        assert f"{name}: up" in command_line("status").stdout
        again = command_line("up", "--name", name)
        assert again.returncode == 1
        assert "already up" in again.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert traces(name) == {}


def test_what_a_killed_cluster_left_is_removed_by_the_next_start(name: str) -> None:
    with in_foreground(name) as process:
        process.kill()
    assert traces(name)
    assert f"{name}: left behind" in command_line("status").stdout
    detached = command_line("up", "--detach", "--name", name)
    assert detached.returncode == 0, detached.stderr
    assert "removing what an earlier cluster" in detached.stdout
    assert not registry.abandoned(name)
    assert command_line("down", "--name", name).returncode == 0
    assert traces(name) == {}


def test_people_are_made_and_removed_but_never_somebody_elses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = f"sfa{os.getpid()}", f"sfb{os.getpid()}"
    monkeypatch.setattr(people, "PEOPLE", (people.Person(ours), people.Person(theirs)))
    monkeypatch.setattr(people, "TEAM", (ours,))
    monkeypatch.setattr(people, "SERVICE_USER", f"sfs{os.getpid()}")
    monkeypatch.setattr(people, "PEOPLE_GROUP", f"sfg{os.getpid()}")
    monkeypatch.setattr(people, "TEAM_GROUP", f"sft{os.getpid()}")
    monkeypatch.setattr(people, "TEAM_FOLDER", tmp_path / "team")
    monkeypatch.setattr(people, "ROOT", tmp_path)
    before = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
    subprocess.run(["useradd", "--no-create-home", theirs], check=True, timeout=60)
    try:
        with registry.lock():
            passwords = people.create()
            assert people.create() == passwords
        assert set(passwords) == {ours}
        assert (Path("/home") / ours).stat().st_mode & 0o777 == 0o700
        with registry.lock():
            people.remove()
        assert subprocess.run(["id", ours], capture_output=True).returncode != 0
        assert subprocess.run(["id", theirs], capture_output=True).returncode == 0
    finally:
        subprocess.run(["userdel", theirs], check=True, timeout=60)
    assert (Path("/etc/passwd").read_text(), Path("/etc/group").read_text()) == before
    assert not (Path("/home") / ours).exists()
    assert not (tmp_path / "team").exists()


def test_people_belong_to_the_group_that_sudo_names(slurm_cluster: Cluster) -> None:
    groups = slurm_cluster.run(["id", "-nG", "mallory"], check=True).stdout.split()
    assert PEOPLE_GROUP in groups
    assert slurm_cluster.run(["id", "-nG", SERVICE_USER], check=True).stdout.split() == [
        SERVICE_USER,
        "shadow",
    ]


def test_who_waits_for_the_lock_finds_the_place_though_the_last_cluster_took_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "clusters"
    monkeypatch.setattr(registry, "ROOT", root)
    found: list[bool] = []

    def come() -> None:
        with registry.lock():
            found.append(root.is_dir())

    with registry.lock():
        waiting = threading.Thread(target=come)
        waiting.start()
        wait_until(lambda: _waits_for_lock(root.with_suffix(".lock")), 10, "it waits")
        root.rmdir()
    waiting.join(10)
    assert found == [True]


def _waits_for_lock(file: Path) -> bool:
    """Whether somebody waits for this lock, as the kernel lists it."""
    listed = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{file.stat().st_ino} " in line for line in listed)
