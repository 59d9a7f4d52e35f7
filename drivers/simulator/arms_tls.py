"""TLS settings of a service adapter: whom it trusts and what it shows (arms-protocol §3)."""

from __future__ import annotations

import functools
import ssl
import tempfile
import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from inventory.secrets import Secret

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL: the client ignores not-before and not-after."""

_LS_NAMES = ("CN=ARMS Root CA", "CN=Location Server ")


@dataclass(frozen=True, slots=True)
class TlsVersions:
    """Versions a device speaks. The reference client is `TlsVersions.legacy()`."""

    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED

    @classmethod
    def legacy(cls) -> TlsVersions:
        """TLS 1.0 and nothing else."""
        return cls(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1)


@dataclass(frozen=True, slots=True)
class SaCertificate:
    """Certificate and key that the RS made for this device, as PEM."""

    certificate: str
    private_key: Secret


@functools.lru_cache(maxsize=16)
def dialling_context(ca_pem: str, versions: TlsVersions, sa_certificate: SaCertificate | None = None) -> ssl.SSLContext:
    """For LS, RS and tunnels: the chain must end in that CA; names and dates are not looked at.

    Cached, because a fleet shares one until each device has a certificate of its own.
    Raises ssl.SSLError for text that is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=ca_pem)
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    _limit(context, versions)
    if sa_certificate is not None:
        _load(context, sa_certificate)
    return context


def listening_context(rs_ca_pem: str, versions: TlsVersions, sa_certificate: SaCertificate) -> ssl.SSLContext:
    """For https-simple: asks the server for its certificate and does not insist on one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=rs_ca_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    _limit(context, versions)
    _load(context, sa_certificate)
    return context


def ls_refusal(tls: ssl.SSLObject) -> str | None:
    """Why this chain is no location server, or None: each subject must contain one of two names (§3)."""
    for der in _verified_chain(tls):
        subject = x509.load_der_x509_certificate(der).subject
        names = ", ".join(f"CN={each.value!s}" for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME))
        if not any(name in names for name in _LS_NAMES):
            return f"subject of the location server's chain: {names or 'no CN'}"
    return None


def _verified_chain(tls: ssl.SSLObject) -> list[bytes]:
    public = getattr(tls, "get_verified_chain", None)
    if public is not None:
        return [bytes(each) for each in public()]
    # Python 3.13 made this public; before that the engine below has it under the same name.
    engine = tls._sslobj  # type: ignore[attr-defined]  # not in the public interface
    return [each.public_bytes(2) for each in engine.get_verified_chain()]  # 2: DER


def _limit(context: ssl.SSLContext, versions: TlsVersions) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 is what the old clients have
        context.minimum_version = versions.lowest
        context.maximum_version = versions.highest
    if versions.lowest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")


def _load(context: ssl.SSLContext, sa_certificate: SaCertificate) -> None:
    # The ssl module reads keys from files only. The file has mode 0600 and lives for this call.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(sa_certificate.private_key.reveal() + "\n" + sa_certificate.certificate)
        file.flush()
        context.load_cert_chain(file.name)
