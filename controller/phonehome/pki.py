"""The private certificates of phone-home (arms-protocol §3, §12).

Three CAs, used for nothing else: the root that adapters are built with (LS), one for the RS and its tunnels, one for
the adapters themselves. RSA 2048 with SHA-256: that is what the old clients read. Made at the first start.
"""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.arms.rules import MAX_PEM
from inventory.errors import Conflict
from inventory.secrets import Secret

TlsFloor = Literal["1.0", "1.2"]

ROOT: Final = "ARMS Root CA"
LOCATION: Final = "Location Server 1"
"""Clients want `CN=ARMS Root CA` or `CN=Location Server ` in every subject of the LS chain (§3)."""
RESOURCE_CA: Final = "Kajitori RS CA"
RESOURCE: Final = "Kajitori RS"
ADAPTER_CA: Final = "Kajitori SA CA"
_DONT_INSERT_EMPTY_FRAGMENTS: Final = 0x800
"""Without it OpenSSL makes two TLS 1.0 records of every write, and a tunnel head must be alone in one (D8)."""
_DAYS: Final = 30 * 365
_KEY_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: str
    key: Secret


class Pki:
    """The certificates of one installation. All nodes share the folder's content."""

    def __init__(self, folder: Path, pairs: dict[str, Pair]) -> None:
        self._folder = folder
        self._pairs = pairs
        self._dialling: dict[TlsFloor, ssl.SSLContext] = {}

    @classmethod
    def open(cls, folder: Path, *, now_ms: int) -> Pki:
        """Read the folder, and make what is missing. Raises Conflict when a key can be read by others.

        It signs, so it takes a good half second the first time; call it before the loop is busy.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pki = cls(folder, {})
        for name in (ROOT, RESOURCE_CA, ADAPTER_CA):
            pki._have(name, partial(_authority, name, now_ms))
        pki._have(LOCATION, partial(pki._leaf, ROOT, LOCATION, now_ms))
        pki._have(RESOURCE, partial(pki._leaf, RESOURCE_CA, RESOURCE, now_ms))
        return pki

    @property
    def root_certificate(self) -> str:
        """What adapters must trust for the LS: written into them by the factory, given to simulators by the demo."""
        return self._pairs[ROOT].certificate

    @property
    def resource_ca_certificate(self) -> str:
        """The CA that the LS hands out in the location-config; every RS and tunnel certificate is signed by it."""
        return self._pairs[RESOURCE_CA].certificate

    @property
    def adapter_ca_certificate(self) -> str:
        """The CA of the certificates that adapters show."""
        return self._pairs[ADAPTER_CA].certificate

    def issue(self, distribution_id: str, *, now_ms: int) -> Pair:
        """Certificate and unencrypted key of one adapter, CN = its distribution id (§12). Takes about 50 ms of CPU."""
        return self._leaf(ADAPTER_CA, distribution_id, now_ms)

    def location_context(self, floor: TlsFloor) -> ssl.SSLContext:
        """Server side of the LS: shows the LS certificate and its root, asks for none."""
        return self._server(LOCATION, ROOT, floor)

    def resource_context(self, floor: TlsFloor) -> ssl.SSLContext:
        """Server side of RS and tunnels: asks for an adapter's certificate, but lets the first pull come without."""
        context = self._server(RESOURCE, RESOURCE_CA, floor)
        context.load_verify_locations(cadata=self.adapter_ca_certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def dialling_context(self, floor: TlsFloor) -> ssl.SSLContext:
        """Our side of https-simple: verifies the adapter CA, shows the RS certificate. The caller checks the CN: the
        address of an adapter is in no certificate."""
        made = self._dialling.get(floor)
        if made is None:
            made = self._dialling[floor] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            made.check_hostname = False
            made.load_verify_locations(cadata=self.adapter_ca_certificate)
            _set_floor(made, floor)
            made.load_cert_chain(self._chain(RESOURCE, RESOURCE_CA), self._path(RESOURCE, "key"))
        return made

    def _server(self, leaf: str, authority: str, floor: TlsFloor) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _set_floor(context, floor)
        context.load_cert_chain(self._chain(leaf, authority), self._path(leaf, "key"))
        return context

    def _chain(self, leaf: str, authority: str) -> Path:
        path = self._path(leaf, "chain")
        path.write_text(self._pairs[leaf].certificate + self._pairs[authority].certificate, encoding="ascii")
        return path

    def _path(self, name: str, kind: Literal["crt", "key", "chain"]) -> Path:
        return self._folder / f"{name.lower().replace(' ', '-')}.{kind}"

    def _have(self, name: str, make: Callable[[], Pair]) -> None:
        certificate, key = self._path(name, "crt"), self._path(name, "key")
        if not certificate.exists() or not key.exists():
            pair = make()
            _write_private(key, pair.key.reveal())
            certificate.write_text(pair.certificate, encoding="ascii")
        if key.stat().st_mode & 0o077:
            raise Conflict(
                f"the key file {key.name} can be read by others",
                next_step=f"chmod 600 {key.name}, and think who read it.",
            )
        self._pairs[name] = Pair(certificate.read_text("ascii"), Secret(key.read_text("ascii")))

    def _leaf(self, authority: str, name: str, now_ms: int) -> Pair:
        signer = self._pairs[authority]
        issuer = x509.load_pem_x509_certificate(signer.certificate.encode())
        signing_key = load_pem_private_key(signer.key.reveal().encode(), password=None)
        assert isinstance(signing_key, rsa.RSAPrivateKey)
        key = _new_key()
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _draft(name, key.public_key(), now_ms)
            .issuer_name(issuer.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(signing_key, hashes.SHA256())
        )
        return _pair(certificate, key)


def _set_floor(context: ssl.SSLContext, floor: TlsFloor) -> None:
    context.options |= _DONT_INSERT_EMPTY_FRAGMENTS
    if floor == "1.0":
        # Asked for by `arms.tls_floor`: clients that know nothing newer are served, and dialled.
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_2


def _authority(name: str, now_ms: int) -> Pair:
    key = _new_key()
    certificate = (
        _draft(name, key.public_key(), now_ms)
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def _draft(name: str, public_key: rsa.RSAPublicKey, now_ms: int) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=1))
        .not_valid_after(start + datetime.timedelta(days=_DAYS))
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _pair(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Pair:
    certificate_pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    assert max(len(certificate_pem), len(key_pem)) <= MAX_PEM
    return Pair(certificate_pem, Secret(key_pem))


def common_name(peer: object) -> str | None:
    """CN of the certificate that the other side showed (`SSLObject.getpeercert()`); None if it showed none."""
    if not isinstance(peer, dict) or not peer:
        return None
    for part in peer.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
