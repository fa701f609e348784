"""The certificates between login machine and nodes: authorities that last, pairs for hub, proxy and each server.

Hub, proxy and servers have authorities of their own, so that each end says whose certificates it takes: a server
takes the hub's and the proxy's, never another server's. JupyterHub's internal_ssl is told to use these instead of
making its own, whose RSA keys take 60 to 100 ms of the event loop each and whose pairs are shared by all servers of
a person, start at this second of this clock, and are never renewed.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certipy.certipy import CertStore
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from shopfloor_jobs.certificates import BOTH, CLIENT, SERVER, Authority, alternative, key_pem, pem
from shopfloor_jobs.directory import write_text

# JupyterHub's names, by which it looks them up.
HUB, SERVERS, PROXY_API, PROXY, SERVICES = (
    "hub-ca",
    "notebooks-ca",
    "proxy-api-ca",
    "proxy-client-ca",
    "services-ca",
)
AUTHORITIES = (HUB, SERVERS, PROXY_API, PROXY, SERVICES)
LOOPBACK = ("127.0.0.1", "::1", "localhost")

DAY = 24 * 3600  # seconds
AUTHORITY_LASTS = 10 * 365 * DAY
PAIR_LASTS = 2 * 365 * DAY  # of hub and proxy
RENEWED_BEFORE = 365 * DAY  # its end; only a start renews, so what runs for a year is still valid


@dataclass(frozen=True)
class Pair:
    """A pair that hub or proxy uses: its file's name, who signs it, what it may be used for."""

    name: str
    authority: str
    purposes: tuple[x509.ObjectIdentifier, ...]


PAIRS = (
    Pair("hub-internal", HUB, BOTH),
    Pair("proxy-api", PROXY_API, SERVER),
    Pair("proxy-client", PROXY, CLIENT),
)
# Whom each takes, as far as JupyterHub does not write the list itself.
TRUST = {
    "server": (HUB, PROXY),
    "proxy-api": (HUB,),
    "proxy-client": (HUB, SERVERS, SERVICES),
}


class DamagedError(Exception):
    """What lies in the directory is no certificate of ours; the text names the file."""


class Authorities:
    """The certificates in one directory (0700, keys 0600): ``<name>.pem``, ``<name>.key``, ``<name>-trust.pem``.

    Whatever reads or writes files here blocks for a millisecond or so.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self._signers: dict[str, Authority] = {}

    @property
    def store(self) -> Path:
        """Where JupyterHub finds which file is which, and writes the trust lists that it needs."""
        return self.directory / "jupyterhub"

    def key(self, name: str) -> str:
        return str(self.directory / f"{name}.key")

    def certificate(self, name: str) -> str:
        return str(self.directory / f"{name}.pem")

    def trust(self, name: str) -> str:
        """The file with the authorities that this end takes certificates of: one of :data:`TRUST`."""
        return str(self.directory / f"{name}-trust.pem")

    def prepare(self, hub_address: str) -> None:
        """Make what is missing, renew what ends within a year, and tell JupyterHub where it lies.

        The authorities stay the same, so that servers that run go on. ``hub_address`` is what nodes reach the hub
        by. Raises OSError or DamagedError.
        """
        names = {
            "hub-internal": (hub_address, *LOOPBACK),
            "proxy-api": LOOPBACK,
            "proxy-client": LOOPBACK,
        }
        with self._locked():
            for name in AUTHORITIES:
                if not Path(self.certificate(name)).exists():
                    self._make_authority(name)
            for pair in PAIRS:
                if not self._serves(pair, names[pair.name]):
                    held, signer = names[pair.name], self._signer(pair.authority)
                    text = signer.issue(held[0], pair.purposes, PAIR_LASTS, held)
                    self._write(pair.name, *text)
            for name, taken in TRUST.items():
                texts = [Path(self.certificate(one)).read_text() for one in taken]
                write_text(Path(self.trust(name)), "".join(texts))
            self._tell_jupyterhub()

    def for_server(self, tag: str, seconds: float) -> dict[str, str]:
        """The pair of one job's server, good for so many seconds from now, under the names JupyterHub knows them by.

        Its one name is the job's tag, for nobody knows on which node the job will run, and an address there would
        be that of the neighbours, too. Raises OSError or DamagedError.
        """
        return self._pair_for(tag, BOTH, seconds)

    def for_client(self, tag: str, seconds: float) -> dict[str, str]:
        """As :meth:`for_server`, for a job that asks the hub and serves nobody."""
        return self._pair_for(tag, CLIENT, seconds)

    def _pair_for(
        self, tag: str, purposes: Sequence[x509.ObjectIdentifier], seconds: float
    ) -> dict[str, str]:
        certificate, key = self._signer(SERVERS).issue(tag, purposes, seconds, (tag,))
        return {
            "JUPYTERHUB_SSL_KEYFILE": key,
            "JUPYTERHUB_SSL_CERTFILE": certificate,
            "JUPYTERHUB_SSL_CLIENT_CA": Path(self.trust("server")).read_text(),
        }

    def ends(self) -> Mapping[str, datetime.datetime]:
        """When each authority and each pair ends. Raises OSError or DamagedError."""
        names = (*AUTHORITIES, *(pair.name for pair in PAIRS))
        return {name: self._read(name).not_valid_after_utc for name in names}

    # Making

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Hub and proxy are started at the same moment, each by its own unit, and both need all of this.
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.directory.chmod(0o700)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_authority(self, name: str) -> None:
        made = Authority.make(f"Shopfloor {name}", AUTHORITY_LASTS)
        self._write(name, pem(made.certificate), key_pem(made.key))

    def _serves(self, pair: Pair, names: Sequence[str]) -> bool:
        """Whether a pair is there, whole and of our authority, with these names and a year to go."""
        if not Path(self.certificate(pair.name)).exists():
            return False
        found, key = self._read(pair.name), self._read_key(pair.name)
        try:
            found.verify_directly_issued_by(self._signer(pair.authority).certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        left = found.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
        return (
            found.public_key() == key.public_key()
            and list(held) == [alternative(one) for one in names]
            and left.total_seconds() > RENEWED_BEFORE
        )

    def _tell_jupyterhub(self) -> None:
        store = CertStore(containing_dir=str(self.store))
        for name in AUTHORITIES:
            store.add_record(name, is_ca=True, files=self._files(name, name), overwrite=True)
        for pair in PAIRS:
            files = self._files(pair.name, pair.authority)
            store.add_record(pair.name, parent_ca=pair.authority, files=files, overwrite=True)

    def _files(self, name: str, authority: str) -> dict[str, str]:
        return {
            "key": self.key(name),
            "cert": self.certificate(name),
            "ca": self.certificate(authority),
        }

    # Files

    def _write(self, name: str, certificate: str, key: str) -> None:
        # The certificate last: what has one is complete.
        write_text(Path(self.key(name)), key)
        write_text(Path(self.certificate(name)), certificate)

    def _read(self, name: str) -> x509.Certificate:
        path = Path(self.certificate(name))
        try:
            return x509.load_pem_x509_certificate(path.read_bytes())
        except ValueError as error:
            raise DamagedError(f"{path} is no certificate") from error

    def _read_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        path = Path(self.key(name))
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise DamagedError(f"{path} is no key") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise DamagedError(f"{path} is no key of ours")
        return key

    def _signer(self, name: str) -> Authority:
        if name not in self._signers:
            self._signers[name] = Authority(self._read(name), self._read_key(name))
        return self._signers[name]
