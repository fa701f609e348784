"""Neighbours with a certificate of their own on a person's node, and hubs that are not the server's own."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_spawners.authorities import Authorities

from tests.cases import Case
from tests.harness import wait_until
from tests.spawners.handshakes import ALICE, server_files
from tests.spawners.steps import KNOCK, intent, pair, private, start

GPU = {"partition": "gpu", "gpus": 1, "gpu_type": "a100", "cpus": 1, "memory": "512M"}


@pytest.fixture
def nothing_left(slurm_hub: Case) -> Iterator[None]:
    yield
    for name in ("alice", "bob"):
        slurm_hub.hub.stop_server(name)
    slurm_hub.cancel_all()


def address_of(case: Case, name: str) -> tuple[str, int]:
    found = intent(case, name)
    return found["address"], found["port"]


@pytest.mark.slurm
@pytest.mark.usefixtures("nothing_left")
def test_a_neighbour_on_the_node_gets_nothing_with_a_certificate_of_his_own(slurm_hub: Case):
    """Bob reads his own server's files on the node where alice's server runs, and tries it with them."""
    start(slurm_hub, "alice", options=GPU)
    start(slurm_hub, "bob", options=GPU)
    address = address_of(slurm_hub, "alice")
    key, certificate = pair(private(slurm_hub, "bob"))
    script = f"""
import socket, ssl
open({str(key)!r}).read()
def said(context):
    with socket.create_connection({address!r}, timeout=5) as plain:
        try:
            channel = context.wrap_socket(plain) if context else plain
            channel.sendall({KNOCK!r})
            return channel.recv(100)
        except (ssl.SSLError, TimeoutError, ConnectionError) as error:
            return b""
nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
bob = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
bob.check_hostname, bob.verify_mode = False, ssl.CERT_NONE
bob.load_cert_chain({str(certificate)!r}, {str(key)!r})
print([said(one) for one in (None, nobody, bob)])
"""
    command = ["srun", "-p", "gpu", "-w", "gpu01", "--mem=200M", "--time=5"]
    done = slurm_hub.cluster.run(
        [*command, "/usr/bin/python3", "-c", script], user="bob", timeout=60
    )
    assert done.stdout.strip() == "[b'', b'', b'']", done.stderr


@pytest.mark.slurm
@pytest.mark.usefixtures("nothing_left")
def test_a_server_that_is_cancelled_while_it_waits_leaves_no_certificate(
    slurm_hub: Case, hold_gpus
):
    hold_gpus()
    slurm_hub.hub.add_user("alice")
    slurm_hub.hub.start_server("alice", {"preset": "one-gpu"})
    wait_until(lambda: intent(slurm_hub, "alice")["job_id"], 30, "the job is submitted")
    folder = private(slurm_hub, "alice")
    assert folder.exists()
    slurm_hub.hub.stop_server("alice")
    wait_until(lambda: not folder.exists(), 30, "its files are removed")


# A server and a hub that is not its own


class FalseHub:
    """Listens with a certificate that names its address, from an authority of its own; remembers what it heard."""

    def __init__(self, made: Authorities):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(made.certificate("hub-internal"), made.key("hub-internal"))
        self.heard, self.refusals = b"", 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}/hub/api"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError):
                try:
                    with self.context.wrap_socket(plain, server_side=True) as channel:
                        self.heard += channel.recv(65536)
                except ssl.SSLError:
                    self.refusals += 1


@pytest.mark.parametrize("whose", ["a stranger's", "its own"])
def test_a_server_tells_its_token_to_its_own_hub_alone(tmp_path: Path, whose: str):
    own, stranger = Authorities(tmp_path / "own"), Authorities(tmp_path / "stranger")
    for one in (own, stranger):
        one.prepare("127.0.0.1")
    hub = FalseHub(own if whose == "its own" else stranger)
    files = server_files(own, ALICE, tmp_path / "alice")
    names = ("JUPYTERHUB_SSL_KEYFILE", "JUPYTERHUB_SSL_CERTFILE", "JUPYTERHUB_SSL_CLIENT_CA")
    environment = {
        **os.environ,
        **dict(zip(names, files, strict=True)),
        "HOME": str(tmp_path),
        "JUPYTERHUB_API_TOKEN": "the-token",
        "JUPYTERHUB_API_URL": hub.url,
        "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
        "JUPYTERHUB_SERVICE_URL": "https://127.0.0.1:0/user/alice/",
        "JUPYTERHUB_USER": "alice",
        "SHOPFLOOR_ARRIVAL_URL": f"{hub.url}/shopfloor/arrival",
    }
    command = [str(Path(sys.prefix) / "bin" / "shopfloor-singleuser")]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    try:
        if whose == "its own":
            wait_until(lambda: hub.heard, 30, "the server speaks to its hub")
        else:
            wait_until(lambda: hub.refusals, 30, "the server refuses the false hub")
            assert hub.heard == b""
    finally:
        server.kill()
        server.wait(10)
        hub.listener.close()
