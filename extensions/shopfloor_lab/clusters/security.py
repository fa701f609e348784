"""A cluster's own certificates, made new for each one; what distributed then asks of everybody who connects.

Every key is made here, in the controller, and the authority's key is never stored: nobody can add a
certificate later, so who was not given one when the cluster started does not get in.
"""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from shopfloor_jobs.directory import write_text

if TYPE_CHECKING:
    from distributed.security import Security

ROLES = ("scheduler", "worker", "client")
SKEW = 3600  # seconds that a node's clock may be behind
LONGEST = 366 * 86400  # seconds, where the end of the job is unknown


def make_certificates(directory: Path, ends: float | None) -> None:
    """Write ``ca.pem`` and, for each role, ``<role>.pem`` and ``<role>.key`` into a new 0700 directory.

    ``ends`` is when the job's time is up (seconds since the epoch); the certificates outlive it by an hour.
    Raises OSError.
    """
    directory.mkdir(mode=0o700)
    now = time.time()
    span = _utc(now - SKEW), _utc((ends or now + LONGEST) + SKEW)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Shopfloor cluster")
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), span)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    write_text(directory / "ca.pem", _pem(ca))
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(role), ca_name, key.public_key(), span)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(_purposes(role), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                critical=False,
            )
            .sign(ca_key, hashes.SHA256())
        )
        write_text(directory / f"{role}.pem", _pem(certificate))
        write_text(directory / f"{role}.key", _key_pem(key))


def own_security(directory: Path) -> Security:
    """What the controller listens and connects with; workers get theirs as files on their command line."""
    return _security(
        directory / "ca.pem",
        {
            f"tls_{role}_{part}": str(directory / f"{role}.{suffix}")
            for role in ROLES
            for part, suffix in (("cert", "pem"), ("key", "key"))
        },
    )


def client_security(ca: str, certificate: str, key: str) -> Security:
    """What a client connects with."""
    return _security(Path(ca), {"tls_client_cert": certificate, "tls_client_key": key})


def _security(ca: Path, files: dict[str, str]) -> Security:
    from distributed.security import Security

    return Security(require_encryption=True, tls_ca_file=str(ca), **files)


def _purposes(role: str) -> x509.ExtendedKeyUsage:
    # Scheduler and workers call one another; a client's certificate must not pass as either's server.
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if role != "client" else []
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, *server])


def _usage(**given: bool) -> x509.KeyUsage:
    every: dict[str, Any] = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**every, **given})


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    span: tuple[datetime.datetime, datetime.datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
