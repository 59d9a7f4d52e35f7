"""Certificates made, and certificates read: RSA with SHA-256, which is what the old clients know (arms-protocol §3).

Nothing here touches a file. Instants are milliseconds UTC.
"""

from __future__ import annotations

import datetime
import re
import ssl
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.arms.rules import MAX_PEM
from inventory.secrets import Secret

DAY_MS: Final = 86_400_000
ROOT_DAYS: Final = 30 * 365
"""The root is built into devices: it lives as long as they may."""
CA_DAYS: Final = 20 * 365
LEAF_DAYS: Final = 2 * 365
"""LS and RS leaves, renewed without anybody's help."""
ADAPTER_DAYS: Final = 5 * 365
"""An adapter that keeps its tunnel for years gets its next one at its next pull."""
RENEW_IN_LAST: Final = 3
"""A leaf is made anew in the last third of its life: this is the divisor."""
_KEY_BITS: Final = 2048
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM. Those above it, up to the root, follow it where an authority is no root."""

    certificate: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Read:
    """What a certificate says of itself."""

    subject: str
    """RFC 4514, such as `CN=ARMS Root CA`."""
    issuer: str
    not_before_ms: int
    not_after_ms: int
    fingerprint: str
    """SHA-256 of the DER form, upper-case hex with colons."""
    key_bits: int
    authority: bool
    """Basic constraints say that it may sign."""


def split(pem: str) -> list[str]:
    """The certificates of a PEM text, one by one and in their order; whatever else stands there is left out."""
    return [found.group() + "\n" for found in _CERTIFICATE.finditer(pem)]


def load(pem: str) -> x509.Certificate:
    """The first certificate of a PEM text. Raises ValueError."""
    return x509.load_pem_x509_certificate(pem.encode("ascii"))


def read(pem: str) -> Read:
    """What the first certificate of a PEM text says. Raises ValueError."""
    return describe(load(pem))


def describe(certificate: x509.Certificate) -> Read:
    """What a certificate says of itself."""
    key = certificate.public_key()
    return Read(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        not_before_ms=_ms(certificate.not_valid_before_utc),
        not_after_ms=_ms(certificate.not_valid_after_utc),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        key_bits=key.key_size if isinstance(key, rsa.RSAPublicKey) else 0,
        authority=is_authority(certificate),
    )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether basic constraints say that it may sign certificates."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def renewal_due(leaf: Read, issuer_not_after_ms: int, now_ms: int) -> bool:
    """Whether a leaf is in the last third of its life, and a new one would live longer."""
    last_ms = (leaf.not_after_ms - leaf.not_before_ms) // RENEW_IN_LAST
    return leaf.not_after_ms - last_ms <= now_ms and leaf.not_after_ms < issuer_not_after_ms


def authority(name: str, *, days: int, now_ms: int) -> Pair:
    """A self-signed CA. Takes about 50 ms of CPU."""
    key = _new_key()
    certificate = (
        _draft(name, key.public_key(), now_ms, now_ms + days * DAY_MS)
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def leaf(signer: Pair, name: str, *, days: int, now_ms: int) -> Pair:
    """A certificate for a server and client of that name, no longer valid than its signer. About 50 ms of CPU."""
    issuer = load(signer.certificate)
    signing_key = load_pem_private_key(signer.key.reveal().encode(), password=None)
    assert isinstance(signing_key, rsa.RSAPrivateKey)
    key = _new_key()
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    until_ms = min(now_ms + days * DAY_MS, _ms(issuer.not_valid_after_utc))
    certificate = (
        _draft(name, key.public_key(), now_ms, until_ms)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def common_name(peer: object) -> str | None:
    """CN of the certificate that the other side showed (`SSLObject.getpeercert()`); None if it showed none."""
    if not isinstance(peer, dict) or not peer:
        return None
    for part in peer.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""


def serial_of(peer: object) -> str | None:
    """Serial number of the certificate that the other side showed, as `serial_number` writes it; None if none."""
    if not isinstance(peer, dict) or "serialNumber" not in peer:
        return None
    return f"{int(peer['serialNumber'], 16):X}"


def serial_number(pem: str) -> str:
    """Serial number of the first certificate of a PEM text: hex, upper case, no leading zeros. Raises ValueError."""
    return f"{load(pem).serial_number:X}"


def until_ms(peer: object) -> int | None:
    """When the certificate that the other side showed ends; None if it showed none."""
    if not isinstance(peer, dict) or "notAfter" not in peer:
        return None
    return int(ssl.cert_time_to_seconds(peer["notAfter"]) * 1000)


def _draft(name: str, public_key: rsa.RSAPublicKey, now_ms: int, until_ms: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_instant(min(now_ms, until_ms) - DAY_MS))
        .not_valid_after(_instant(until_ms))
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


def _instant(at_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)


def _ms(instant: datetime.datetime) -> int:
    return int(instant.timestamp() * 1000)
