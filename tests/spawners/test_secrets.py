"""No token stands where others can read it, and a neighbour on the same node gets nothing."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cases import Case, end_case, slurm_case
from tests.harness import wait_until
from tests.kernels import Kernel

pytestmark = pytest.mark.slurm

# Every token is taken down where the spawner hands it over, whatever else becomes of it.
CAPTURE = """
import json, os
c.JupyterHub.log_level = "DEBUG"
def capture(spawner):
    with open(os.environ["HOME"] + "/captured", "a") as file:
        file.write(json.dumps([spawner.user.name, spawner.api_token]) + "\\n")
c.Spawner.pre_spawn_hook = capture
"""


@pytest.fixture(scope="module")
def hub(slurm_cluster: Any, software: Path) -> Iterator[Case]:
    case = slurm_case(slurm_cluster, software, config=CAPTURE)
    (case.hub.directory / "captured").touch(mode=0o600)
    subprocess.run(["chown", "shopfloor", case.hub.directory / "captured"], check=True)
    yield case
    end_case(case)


@pytest.fixture(scope="module")
def running(hub: Case) -> dict[str, Any]:
    """Alice's server on gpu01 with a kernel in it."""
    token = hub.hub.add_user("alice")
    hub.hub.start_server("alice", {"preset": "one-gpu"})
    hub.hub.wait_server("alice")
    kernel = Kernel(hub.hub.url, "alice", token)
    kernel.run("marker = 'a-marker-of-alices'")
    [job] = hub.jobs()
    return {"job": job, "token": token, "kernel": kernel, "intent": intent(hub, "alice")}


def intent(case: Case, name: str) -> dict[str, Any]:
    return case.hub.server(name)["state"]["shopfloor"]


def captured(case: Case) -> list[str]:
    lines = (case.hub.directory / "captured").read_text().splitlines()
    return [json.loads(line)[1] for line in lines]


KNOCK = """
import zmq
context = zmq.Context()
got = []
for kind in (zmq.SUB, zmq.PULL, zmq.DEALER, zmq.REQ):
    one = context.socket(kind)
    one.linger = 0
    if kind == zmq.SUB: one.subscribe(b"")
    one.connect("tcp://{host}:{port}")
    if kind in (zmq.DEALER, zmq.REQ): one.send(b"print(marker)", zmq.NOBLOCK) if one.poll(500, zmq.POLLOUT) else None
    if one.poll(1000): got.append(one.recv())
push = context.socket(zmq.PUSH)
push.linger = 500
push.connect("tcp://{host}:{port}")
push.send_multipart([b"0" * 16, b"forged"])
print(got or "nothing")
"""


def as_neighbour(case: Case, script: str, python: Path = Path("/usr/bin/python3")) -> str:
    """What a Python script prints that bob runs on alice's node."""
    command = [
        "srun",
        "-p",
        "gpu",
        "-w",
        "gpu01",
        "--mem=200M",
        "--time=5",
        str(python),
        "-c",
        script,
    ]
    done = case.cluster.run(command, user="bob", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_token_is_in_scripts_job_records_processes_or_logs(hub: Case, running: dict[str, Any]):
    secrets = [*captured(hub), running["intent"]["nonce"]]
    assert running["intent"]["api_token"] in secrets
    job = running["job"]
    places = {
        "scontrol show job": hub.cluster.run(["scontrol", "-d", "show", "job", job.id]).stdout,
        "batch script": hub.cluster.run(["scontrol", "write", "batch_script", job.id, "-"]).stdout,
        "ps": subprocess.run(
            ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout,
        "hub.log": hub.hub.log.read_text(),
        "proxy.log": (hub.hub.directory / "proxy.log").read_text(),
    }
    assert "runner" in places["batch script"]
    for path in (hub.home("alice") / ".local/share/shopfloor").rglob("*"):
        if path.parent.name == "private":  # where they are given to the job, and nothing else is
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        elif path.is_file():
            places[str(path)] = path.read_text(errors="replace")
    for path in Path(hub.cluster.state["logs"]).rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_text(errors="replace")
    found = [name for name, text in places.items() for secret in secrets if secret in text]
    assert found == []


def test_no_file_that_others_can_read_holds_a_token(hub: Case, running: dict[str, Any]):
    secrets = [secret.encode() for secret in (*captured(hub), running["intent"]["nonce"])]
    roots = ("/tmp", "/run", "/var/tmp", "/dev/shm", str(hub.home("alice")), str(hub.hub.directory))
    found = []
    for root in roots:
        for folder, _, names in os.walk(root):  # unlike rglob, it takes it well when folders vanish
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    mode = path.lstat().st_mode
                    small = path.stat().st_size < 5_000_000
                    if not (stat.S_ISREG(mode) and mode & 0o044 and small and reachable(path)):
                        continue
                    if any(secret in path.read_bytes() for secret in secrets):
                        found.append(str(path))
    assert found == []


def reachable(path: Path) -> bool:
    """Whether somebody else can pass through all its folders."""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def test_a_neighbour_on_the_node_gets_nothing_from_any_listener(hub: Case, running: dict[str, Any]):
    bob = hub.hub.add_user("bob")
    listeners = listeners_of(hub, "alice")
    server = [one for one in listeners if one[1] == running["intent"]["port"]]
    assert len(server) == 1
    # Kernels speak over sockets in a private directory. What is left is ipykernel's pipe for the output of
    # forked children: it only takes in, and only what begins with a secret of 16 bytes.
    others = [one for one in listeners if one not in server]
    assert len(others) <= 1, listeners
    script = f"""
import http.client, ssl, urllib.request, urllib.error
nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *a): return None
opener = urllib.request.build_opener(Stay(), urllib.request.HTTPSHandler(context=nobody))
for scheme, (host, port) in zip(("http", "https"), 2 * {server!r}):
    for path in ("/", "/user/alice/api/contents", "/user/alice/api/kernels", "/user/alice/lab",
                 "/user/alice/shopfloor/api/clusters", "/user/alice/api/terminals", "/user/alice/files/"):
        for token in ("", {bob!r}):
            request = urllib.request.Request(f"{{scheme}}://{{host}}:{{port}}{{path}}")
            if token: request.add_header("Authorization", "token " + token)
            try:
                print(path, opener.open(request, timeout=10).status)
            except urllib.error.HTTPError as error:
                print(path, error.code)
            except (OSError, http.client.HTTPException):
                print(path, "nothing")
"""
    answers = as_neighbour(hub, script).splitlines()
    assert len(answers) == 28
    assert {line.split()[1] for line in answers} == {"nothing"}, answers
    for host, port in others:
        script = KNOCK.format(host=host, port=port)
        assert as_neighbour(hub, script, hub.hub.prefix / "bin/python").strip() == "nothing"
    assert running["kernel"].run("print(marker)") == "a-marker-of-alices\n"


def listeners_of(case: Case, person: str) -> list[tuple[str, int]]:
    """Every TCP listener of a person's processes on gpu01, as a neighbour on that node reaches it."""
    namespace = case.cluster.layout.namespace(
        next(node for node in _nodes() if node.name == "gpu01")
    )
    command = ["ip", "netns", "exec", namespace, "ss", "-Hltnp"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mine = subprocess.run(
        ["pgrep", "-u", person], capture_output=True, text=True, check=True
    ).stdout.split()
    found = []
    for line in listed.splitlines():
        if any(f"pid={pid}," in line for pid in mine):
            host, _, port = line.split()[3].rpartition(":")
            found.append(("127.0.0.1" if host in ("0.0.0.0", "*", "[::]") else host, int(port)))
    return found


def _nodes() -> Any:
    from tests.cluster.layout import NODES

    return NODES


def test_a_neighbour_can_read_no_file_and_no_socket(hub: Case, running: dict[str, Any]):
    script = """
import os, pathlib, socket
got = []
def try_tree(root):
    for folder, folders, files in os.walk(root):
        got.append(folder)
try:
    try_tree("/home/alice")
    got += os.listdir("/home/alice")
except OSError: pass
for path in pathlib.Path("/tmp").glob("shopfloor-*"):
    try:
        if path.owner() == "alice": got += os.listdir(path)
    except OSError: pass
import pwd
uid = pwd.getpwnam("alice").pw_uid
seen = 0
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if process.stat().st_uid != uid: continue
        seen += 1
        got.append((process / "environ").read_bytes()[:20])
    except OSError: pass
print(seen > 0, [one for one in got if one != "/home/alice"])
"""
    assert as_neighbour(hub, script).strip() == "True []"


def test_the_stopped_servers_token_is_dead_and_a_person_sees_nothing_of_others(
    hub: Case, running: dict[str, Any]
):
    bob = hub.hub.add_user("bob")
    assert hub.hub.api("GET", "users", token=bob).status_code == 403
    assert hub.hub.api("GET", "users/alice", token=bob).status_code in (403, 404)
    assert hub.hub.api("DELETE", "users/alice/server", token=bob).status_code in (403, 404)
    assert hub.hub.api("GET", "shopfloor/offer", token=bob).json()["person"] == "bob"
    answer = requests.get(
        f"{hub.hub.url}/user/alice/api/contents",
        headers={"Authorization": f"token {bob}"},
        timeout=10,
    )
    assert answer.status_code == 403
    token = running["intent"]["api_token"]
    assert hub.hub.api("GET", "user", token=token).status_code == 200
    hub.hub.stop_server("alice")
    hub.wait_no_jobs()
    wait_until(
        lambda: hub.hub.api("GET", "user", token=token).status_code == 403, 20, "its token is dead"
    )
