"""Nothing that a cluster opens answers without its certificates; looked for at every listener that there is."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client
from distributed.core import rpc
from distributed.security import Security
from shopfloor_lab.clusters.client import choose
from shopfloor_lab.clusters.security import client_security, make_certificates

from .cluster_parts import Person

QUIET = 1.0  # seconds of silence that count as no answer
HTTP = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    someone = Person(tmp_path_factory.mktemp("doors") / "state")
    yield someone
    asyncio.run(someone.scheduler.stop_all())


@pytest.fixture(scope="module")
def cluster(person: Person) -> dict[str, Any]:
    """One cluster for all tests here: they knock at its doors, and none opens."""
    return asyncio.run(_started(person))


async def _started(person: Person) -> dict[str, Any]:
    return await person.start(person.lab(), 2)


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """Certificates as good as the cluster's own, but from another authority."""
    make_certificates(tmp_path / "stranger", None)
    return tmp_path / "stranger"


def listeners(person: Person) -> list[tuple[str, int]]:
    return sorted(
        (one.laddr.ip, one.laddr.port)
        for process in person.processes()
        for one in process.net_connections(kind="inet")
        if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM
    )


def talk(address: tuple[str, int], context: ssl.SSLContext | None) -> bytes:
    """What a listener says to an HTTP request, in the clear or through TLS; empty when it refuses."""
    with socket.create_connection(address, timeout=QUIET) as plain:
        try:
            channel = context.wrap_socket(plain) if context else plain
            channel.sendall(HTTP)
            return channel.recv(4096)
        except (ssl.SSLError, TimeoutError, ConnectionError):
            return b""


def context(directory: Path | None = None, role: str = "client") -> ssl.SSLContext:
    """TLS that accepts any server; with a certificate of its own where there is a directory."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if directory:
        made.load_cert_chain(directory / f"{role}.pem", directory / f"{role}.key")
    return made


async def test_every_listener_is_on_the_nodes_own_address_and_there_are_only_the_comms(
    person: Person, cluster: dict[str, Any]
) -> None:
    found = listeners(person)
    assert {address for address, _ in found} == {"127.0.0.1"}
    # The scheduler, and for each of two workers the nanny and the worker itself; no HTTP.
    assert len(found) == 5


async def test_no_listener_says_anything_without_the_clusters_certificate(
    person: Person, cluster: dict[str, Any], stranger: Path
) -> None:
    own = person.directory(cluster["id"]) / "tls"
    before = listeners(person)
    _, *plots = await person.lab().plots(cluster["id"])
    found = listeners(person)
    assert set(found) - set(before) == {tuple(plots)}, "the plots are on the same address"
    assert b"HTTP/1.1 404" in await asyncio.to_thread(talk, tuple(plots), context(own))
    for address in found:
        for nobody in (None, context(), context(stranger), context(stranger, "worker")):
            assert await asyncio.to_thread(talk, address, nobody) == b""
        assert await asyncio.to_thread(talk, address, context(own)), "it does answer its own"


@pytest.mark.parametrize("kind", ["in the clear", "with another authority's certificate"])
async def test_a_dask_client_is_refused(
    person: Person, cluster: dict[str, Any], stranger: Path, kind: str
) -> None:
    connection = choose(person.home, None)
    address, security = connection.address.replace("tls://", "tcp://"), None
    if kind != "in the clear":
        address, own = connection.address, person.directory(cluster["id"]) / "tls"
        # It even trusts the cluster's authority; only its own certificate is from elsewhere.
        security = Security(
            require_encryption=True,
            tls_ca_file=str(own / "ca.pem"),
            tls_client_cert=str(stranger / "client.pem"),
            tls_client_key=str(stranger / "client.key"),
        )
    with pytest.raises(OSError):
        await Client(address, security=security, timeout=2, asynchronous=True)


async def test_steering_needs_the_certificate_of_this_cluster_not_of_another_one(
    person: Person, cluster: dict[str, Any]
) -> None:
    first = choose(person.home, cluster["name"])
    lab = person.lab()
    other = await person.start(lab, 0, name="other")
    theirs = choose(person.home, "other")
    foreign = client_security(theirs.ca, theirs.certificate, theirs.key)

    async with rpc(
        first.address, timeout=2, connection_args=foreign.get_connection_args("client")
    ) as door:
        with pytest.raises(OSError):
            await door.shopfloor_stop()

    assert (await lab.one(cluster["id"]))["state"] == "running"
    await lab.end(other["id"])


async def test_connection_and_keys_are_the_persons_only(
    person: Person, cluster: dict[str, Any]
) -> None:
    path = person.directory(cluster["id"])
    assert mode(path) == mode(path / "tls") == 0o700
    files = [path / "connection.json", path / "cluster.json", *(path / "tls").iterdir()]
    assert {mode(one) for one in files} == {0o600}
    assert {one.name for one in (path / "tls").iterdir()} == {
        f"{name}.{suffix}"
        for name in ("scheduler", "worker", "client")
        for suffix in ("pem", "key")
    } | {"ca.pem"}, "the authority's key is nowhere"


def test_a_clients_certificate_cannot_pose_as_a_server(tmp_path: Path) -> None:
    make_certificates(tmp_path / "tls", None)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context()
    server.load_cert_chain(tmp_path / "tls" / "client.pem", tmp_path / "tls" / "client.key")
    client.load_verify_locations(tmp_path / "tls" / "ca.pem")
    client.verify_mode = ssl.CERT_REQUIRED
    there, here = socket.socketpair()
    with there, here:
        listening = server.wrap_socket(there, server_side=True, do_handshake_on_connect=False)
        calling = client.wrap_socket(here, do_handshake_on_connect=False)
        listening.setblocking(False)
        calling.setblocking(False)
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            shake_hands(calling, listening)


def shake_hands(calling: ssl.SSLSocket, listening: ssl.SSLSocket) -> None:
    for side in [calling, listening] * 4:
        try:
            side.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            continue


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
