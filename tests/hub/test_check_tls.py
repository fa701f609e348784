"""`shopfloor check` on the encryption between login machine and nodes: files that lie there, and a hub that runs."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shopfloor_hub import check_tls, state
from shopfloor_hub.findings import FAIL, OK, WARN
from shopfloor_hub.site import Site, load, parse
from shopfloor_jobs.certificates import BOTH
from shopfloor_jobs.tls import server_context
from shopfloor_spawners.authorities import DAY, HUB, SERVERS, Authorities

from tests.harness import free_ports

SLURM = "[scheduler]\ntype = 'slurm'\nhelper = '/opt/helper'\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    port, internal, api = free_ports(3)
    file = tmp_path / "site.toml"
    file.write_text(
        f"[hub]\ntls = true\nport = {port}\ninternal_port = {internal}\nproxy_api_port = {api}\n"
    )
    return load(file)


@pytest.fixture
def made(site: Site) -> Authorities:
    state.prepare(site)
    return state.authorities(site)


def levels(site: Site, words: str, hub_answers: bool = False) -> list[str]:
    return [one.level for one in check_tls.findings(site, hub_answers) if words in one.text]


def test_on_with_slurm_and_off_on_one_machine_unless_the_key_says_otherwise():
    assert parse(SLURM).tls
    assert not parse(SLURM + "[hub]\ntls = false").tls
    assert not Site().tls
    assert parse("[hub]\ntls = true").tls


def test_off_is_a_warning_with_slurm_alone():
    assert levels(parse(SLURM + "[hub]\ntls = false"), "can listen on the nodes' network") == [WARN]
    assert levels(Site(), "stays on this machine") == [OK]


def test_before_the_first_start_and_after_it_all_is_well(site: Site):
    assert levels(site, "made at the first start") == [OK]
    state.prepare(site)
    assert levels(site, "good for") == [OK]
    assert levels(site, "hub.tls") == [OK]


@pytest.mark.parametrize("name", [".", "notebooks-ca.key"])
def test_what_others_can_read_is_named(site: Site, made: Authorities, name: str):
    path = made.directory / name
    path.chmod(0o755)
    assert levels(site, f"others can read {path}; run: chmod go= {path}") == [FAIL]


def test_a_damaged_certificate_is_named(site: Site, made: Authorities):
    Path(made.certificate(SERVERS)).write_text("nothing of the kind")
    assert levels(site, f"{made.certificate(SERVERS)} is no certificate; remove") == [FAIL]


def test_what_ends_soon_is_a_warning(site: Site, made: Authorities):
    signer = made._signer("proxy-client-ca")
    made._write("proxy-client", *signer.issue("127.0.0.1", BOTH, 10 * DAY, ("127.0.0.1",)))
    assert levels(site, "proxy-client ends in 9 days; start hub and proxy again") == [WARN]


@contextlib.contextmanager
def listening(site: Site, context: ssl.SSLContext | None) -> Iterator[None]:
    """Somebody at the hub's address who answers, in the clear or as this context says."""
    with socket.create_server(("127.0.0.1", site.hub.internal_port)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain, contextlib.suppress(OSError):
                    channel = context.wrap_socket(plain, server_side=True) if context else plain
                    channel.recv(100)
                    channel.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                    channel.close()

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def test_a_hub_that_runs_is_asked(site: Site, made: Authorities):
    own = made.key("hub-internal"), made.certificate("hub-internal")
    strict = server_context(*own, made.certificate(HUB))
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    careless.load_cert_chain(own[1], own[0])
    for context, words, level in (
        (strict, "the hub takes and shows certificates", OK),
        (careless, "answers without a certificate", FAIL),
        (None, "does not show its certificate", FAIL),
    ):
        with listening(site, context):
            assert levels(site, words, hub_answers=True) == [level], words
