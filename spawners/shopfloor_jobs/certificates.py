"""Certificate authorities and what they sign: the hub keeps some for years, a Dask cluster makes one for its life.

Needs the package cryptography, which hub and Lab bring; nothing else of shopfloor_jobs imports this.
"""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SKEW = 3600  # seconds that a node's clock may be behind
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
BOTH = (*SERVER, *CLIENT)


@dataclass(frozen=True)
class Authority:
    """A certificate that signs others, none of which may sign in turn, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str, seconds: float) -> Authority:
        """A new one, good for so many seconds from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        certificate = (
            _builder(subject, subject, key.public_key(), seconds)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    def issue(
        self,
        name: str,
        purposes: Sequence[x509.ObjectIdentifier],
        seconds: float,
        alternatives: Sequence[str] = (),
    ) -> tuple[str, str]:
        """A new certificate and its key, as text; ``alternatives`` are the hosts and addresses that it is good for."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.key.public_key()
        builder = (
            _builder(_name(name), self.certificate.subject, key.public_key(), seconds)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
        )
        if alternatives:
            names = x509.SubjectAlternativeName([alternative(one) for one in alternatives])
            builder = builder.add_extension(names, critical=False)
        return pem(builder.sign(self.key, hashes.SHA256())), key_pem(key)


def alternative(name: str) -> x509.GeneralName:
    """A host's name or address as certificates hold it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def expires(text: str) -> float:
    """When the time of a certificate (PEM) is up, in epoch seconds. Raises ValueError for what is none."""
    return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, seconds: float
) -> x509.CertificateBuilder:
    now = time.time()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_utc(now - SKEW))
        .not_valid_after(_utc(now + seconds))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**given: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: given.get(name, False) for name in every})


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)
