"""Certificates that last over restarts, and who takes whose: nobody passes for somebody else."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from jupyterhub.utils import make_ssl_context
from shopfloor_jobs.certificates import BOTH
from shopfloor_jobs.tls import client_context, context_for_jupyterhub, named_context, server_context
from shopfloor_spawners.authorities import (
    AUTHORITIES,
    DAY,
    HUB,
    SERVERS,
    Authorities,
    DamagedError,
)
from shopfloor_spawners.encrypted import QUEUE, SLACK, Encryption

from tests.spawners.handshakes import ALICE, BOB, files_of, server_files, shake_hands

CLUSTER = "shopfloor-cluster-0123456789abcdef"

HUB_ADDRESS = "10.1.2.3"


@pytest.fixture
def made(tmp_path: Path) -> Authorities:
    one = Authorities(tmp_path / "tls")
    one.prepare(HUB_ADDRESS)
    return one


@pytest.fixture
def stranger(tmp_path: Path) -> Authorities:
    """As ours, by authorities of the same names that somebody else made."""
    one = Authorities(tmp_path / "stranger")
    one.prepare(HUB_ADDRESS)
    return one


def texts(made: Authorities) -> dict[str, str]:
    return {path.name: path.read_text() for path in made.directory.glob("*.*")}


# What is made


def test_keys_are_the_hubs_alone(made: Authorities):
    assert made.directory.stat().st_mode & 0o777 == 0o700
    keys = list(made.directory.glob("*.key"))
    assert len(keys) == 8
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    held = [path for path in made.store.rglob("*") if b"PRIVATE KEY" in path.read_bytes()]
    assert held == []


def test_a_restart_changes_nothing(made: Authorities):
    before = texts(made)
    Authorities(made.directory).prepare(HUB_ADDRESS)
    assert texts(made) == before


def test_another_address_of_the_hub_gives_it_a_new_pair_of_the_same_authority(made: Authorities):
    before = texts(made)
    made.prepare("10.9.9.9")
    after = texts(made)
    assert {name for name in after if after[name] != before[name]} == {
        "hub-internal.pem",
        "hub-internal.key",
    }
    context = client_context(
        *server_files(made, ALICE, made.directory / "alice")[:2], made.certificate(HUB)
    )
    shake_hands(context, server_context(*files_of(made, "hub-internal")), "10.9.9.9")


def test_a_pair_that_ends_within_a_year_is_renewed_and_servers_take_it(made: Authorities):
    soon = made._signer(HUB).issue(
        HUB_ADDRESS, BOTH, 300 * DAY, (HUB_ADDRESS, "127.0.0.1", "::1", "localhost")
    )
    made._write("hub-internal", *soon)
    alice = server_files(made, ALICE, made.directory / "alice")
    made.prepare(HUB_ADDRESS)
    left = made.ends()["hub-internal"] - datetime.datetime.now(datetime.timezone.utc)
    assert left.days > 700
    shake_hands(
        client_context(*alice), server_context(*files_of(made, "hub-internal")), HUB_ADDRESS
    )


@pytest.mark.parametrize("damage", ["another key", "another authority"])
def test_a_pair_that_does_not_fit_is_made_anew(
    made: Authorities, stranger: Authorities, damage: str
):
    """A crash while a pair was renewed, or authorities that were removed without the rest."""
    names = ["hub-internal.key"] if damage == "another key" else [f"{HUB}.pem", f"{HUB}.key"]
    for name in names:
        (made.directory / name).write_text((stranger.directory / name).read_text())
    again = Authorities(made.directory)
    again.prepare(HUB_ADDRESS)
    alice = server_files(again, ALICE, made.directory / "alice")
    shake_hands(
        client_context(*alice), server_context(*files_of(again, "hub-internal")), HUB_ADDRESS
    )


def test_hub_and_proxy_that_start_at_once_agree(tmp_path: Path):
    script = (
        "import sys, pathlib; from shopfloor_spawners.authorities import Authorities;"
        f"Authorities(pathlib.Path(sys.argv[1])).prepare({HUB_ADDRESS!r})"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "tls")]
    both = [subprocess.Popen(command) for _ in range(3)]
    assert [one.wait(60) for one in both] == [0, 0, 0]
    made = Authorities(tmp_path / "tls")
    for name in AUTHORITIES:
        made._signer(name).certificate.verify_directly_issued_by(made._read(name))
        key = made._signer(name).key.public_key()
        assert key.public_numbers() == made._read(name).public_key().public_numbers()
    assert made._read("hub-internal").issuer == made._read(HUB).subject
    made._read("hub-internal").verify_directly_issued_by(made._read(HUB))


@pytest.mark.parametrize("name", ["notebooks-ca.pem", "notebooks-ca.key"])
def test_a_damaged_file_is_named(made: Authorities, name: str):
    (made.directory / name).write_text("nothing of the kind")
    with pytest.raises(DamagedError, match=name):
        Authorities(made.directory).for_server(ALICE, 60)


async def test_a_servers_pair_names_its_job_alone_and_outlives_it(made: Authorities):
    files = await Encryption(made.directory).for_job(ALICE, 8 * 3600)
    certificate = x509.load_pem_x509_certificate(files["JUPYTERHUB_SSL_CERTFILE"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName(ALICE)]
    now = datetime.datetime.now(datetime.timezone.utc)
    left = (certificate.not_valid_after_utc - now).total_seconds()
    assert QUEUE + 8 * 3600 + SLACK - 60 < left <= QUEUE + 8 * 3600 + SLACK
    assert certificate.not_valid_before_utc < now - datetime.timedelta(minutes=50)
    assert "PRIVATE KEY" not in files["JUPYTERHUB_SSL_CLIENT_CA"]


async def test_a_clusters_pair_asks_the_hub_and_serves_nobody(made: Authorities):
    files = await Encryption(made.directory).for_client(CLUSTER, 3600)
    for name, text in files.items():
        (made.directory / name).write_text(text)
    names = ("KEYFILE", "CERTFILE", "CLIENT_CA")
    pair = [str(made.directory / f"JUPYTERHUB_SSL_{name}") for name in names]
    hub = server_context(
        made.key("hub-internal"), made.certificate("hub-internal"), made.certificate(SERVERS)
    )
    shake_hands(client_context(*pair), hub, "127.0.0.1")
    own = files_of(made, "hub-internal")[:2]
    with pytest.raises(ssl.SSLError):
        calling = named_context(*own, made.certificate(SERVERS), CLUSTER)
        shake_hands(calling, server_context(*pair), "ignored")


# Who takes whom


def test_a_server_takes_hub_and_proxy(made: Authorities):
    alice = server_context(*server_files(made, ALICE, made.directory / "alice"))
    own = files_of(made, "hub-internal")[:2]
    shake_hands(named_context(*own, made.certificate(SERVERS), ALICE), alice, "ignored")
    shake_hands(client_context(*files_of(made, "proxy-client")), alice, ALICE)


@pytest.mark.parametrize("who", ["itself", "another server", "a stranger's hub", "nobody"])
def test_a_server_takes_nobody_else(made: Authorities, stranger: Authorities, who: str):
    folder = made.directory
    listening = server_context(*server_files(made, ALICE, folder / "alice"))
    trust = made.certificate(SERVERS)
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_verify_locations(trust)
    if who == "itself":
        calling.load_cert_chain(
            folder / "alice/JUPYTERHUB_SSL_CERTFILE", folder / "alice/JUPYTERHUB_SSL_KEYFILE"
        )
    elif who == "another server":
        key, certificate, _ = server_files(made, BOB, folder / "bob")
        calling.load_cert_chain(certificate, key)
    elif who == "a stranger's hub":
        calling.load_cert_chain(stranger.certificate("hub-internal"), stranger.key("hub-internal"))
    with pytest.raises(ssl.SSLError):
        shake_hands(calling, listening, ALICE)


def test_another_persons_server_is_not_taken_for_alices(made: Authorities):
    """What may listen at alice's port once her job has ended, with a certificate that is as good as hers."""
    listening = server_context(*server_files(made, BOB, made.directory / "bob"))
    own = files_of(made, "hub-internal")[:2]
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(named_context(*own, made.certificate(SERVERS), ALICE), listening, "ignored")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(client_context(*files_of(made, "proxy-client")), listening, ALICE)


@pytest.mark.parametrize("who", ["a stranger's hub", "a server", "the proxy"])
def test_a_server_does_not_take_for_the_hub(made: Authorities, stranger: Authorities, who: str):
    calling = client_context(*server_files(made, ALICE, made.directory / "alice"))
    listening = {
        "a stranger's hub": files_of(stranger, "hub-internal")[:2],
        "a server": server_files(made, BOB, made.directory / "bob")[:2],
        "the proxy": files_of(made, "proxy-client")[:2],
    }[who]
    false_hub = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    false_hub.load_cert_chain(listening[1], listening[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(calling, false_hub, HUB_ADDRESS)


def test_the_hub_is_taken_at_its_own_address_only(made: Authorities):
    calling = client_context(*server_files(made, ALICE, made.directory / "alice"))
    listening = server_context(*files_of(made, "hub-internal"))
    shake_hands(calling, listening, HUB_ADDRESS)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(calling, listening, "10.1.2.4")


def test_the_operating_systems_authorities_do_not_count(
    made: Authorities, stranger: Authorities, monkeypatch: pytest.MonkeyPatch
):
    """A site whose own authority gives each person a certificate has it among those of all its machines."""
    monkeypatch.setenv("SSL_CERT_FILE", stranger.certificate("proxy-client-ca"))
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_cert_chain(stranger.certificate("proxy-client"), stranger.key("proxy-client"))
    calling.load_verify_locations(made.certificate(HUB))
    files = files_of(made, "hub-internal")
    purpose = ssl.Purpose.CLIENT_AUTH
    shake_hands(calling, make_ssl_context(*files, purpose=purpose), HUB_ADDRESS)  # JupyterHub's own
    with pytest.raises(ssl.SSLError):
        shake_hands(calling, context_for_jupyterhub(*files, purpose=purpose), HUB_ADDRESS)
