"""A CA of the operator's own instead of ours: what it must be so that clients accept what it signs (arms-protocol §3).

Everything is checked before anything is kept. The certificate's file may go on with the certificates above it; that
is for an LS authority whose root stays in a safe: every subject up to the root then follows the clients' rule.
"""

from __future__ import annotations

from typing import Final, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from controller.phonehome.certificates import Pair, Read, describe, is_authority, load, split
from drivers.arms import location
from drivers.arms.location import Line, LocationConfig
from drivers.arms.rules import MAX_PEM
from inventory.certificates import AuthorityRole
from inventory.errors import BadInput
from inventory.secrets import Secret

LS_NAMES: Final = ("CN=ARMS Root CA", "CN=Location Server ")
"""Clients look for one of them in every subject of the LS chain."""
MAX_CHAIN: Final = 8
"""The clients follow ten certificates; the leaf is one."""
MIN_BITS: Final = 2048
_DIGESTS: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CA_FIELD: Final = "certificate"


def authority(role: AuthorityRole, certificate: str, key: Secret, *, now_ms: int) -> Pair:
    """Certificate and key as they are kept: PEM, the key unencrypted. Raises BadInput that says what does not fit."""
    chain = _chain(certificate)
    for one in chain:
        _require_ca(one, now_ms)
    private = _key(key)
    if private.public_key().public_numbers() != _rsa(chain[0]).public_numbers():
        _refuse("the key does not belong to the certificate", "key", "Give the key that the certificate was made for.")
    _require_signed(chain)
    if role == "root":
        _require_names(chain)
    elif len(chain) > 1:
        _refuse(
            "adapters load one certificate only, so this CA is its own root",
            _CA_FIELD,
            "Give a self-signed CA certificate without others behind it.",
        )
    pems = [one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in chain]
    _require_short(role, pems)
    unencrypted = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair("".join(pems), Secret(unencrypted.decode("ascii")))


def _chain(certificate: str) -> list[x509.Certificate]:
    try:
        chain = [load(pem) for pem in split(certificate)]
    except ValueError as error:
        _refuse(f"the certificate cannot be read: {error}", _CA_FIELD, "Give it as PEM.")
    if not chain:
        _refuse("there is no certificate in it", _CA_FIELD, "Give PEM: -----BEGIN CERTIFICATE-----.")
    if len(chain) > MAX_CHAIN:
        _refuse(f"clients follow no chain of {len(chain)}", _CA_FIELD, f"Give at most {MAX_CHAIN} certificates.")
    return chain


def _key(key: Secret) -> rsa.RSAPrivateKey:
    text = key.reveal()
    if "ENCRYPTED" in text:
        _refuse(
            "the key is encrypted",
            "key",
            "Decrypt it first (openssl pkey -in FILE); it is kept in the data directory with mode 0600.",
        )
    try:
        private = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        _refuse("the key cannot be read", "key", "Give an unencrypted RSA key as PEM.")  # its words may quote the key
    if not isinstance(private, rsa.RSAPrivateKey):
        _refuse("the key is not RSA, and old clients know nothing else", "key", "Make an RSA key.")
    return private


def _rsa(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_BITS:
        _refuse(
            f"{_name(certificate)} has no RSA key of {MIN_BITS} bits or more",
            _CA_FIELD,
            f"Make an RSA key of {MIN_BITS} bits: old clients know no other kind.",
        )
    return key


def _require_ca(certificate: x509.Certificate, now_ms: int) -> None:
    _rsa(certificate)
    told: Read = describe(certificate)
    if not is_authority(certificate):
        _refuse(f"{told.subject} is no CA (basicConstraints)", _CA_FIELD, "Give a certificate with CA:TRUE.")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        pass
    else:
        if not usage.key_cert_sign:
            _refuse(f"{told.subject} may not sign (keyUsage)", _CA_FIELD, "Give one with keyCertSign.")
    if told.not_after_ms <= now_ms:
        _refuse(f"{told.subject} has expired", _CA_FIELD, "Give one that is valid for years.")
    if told.not_before_ms > now_ms:
        _refuse(f"{told.subject} is not valid yet", _CA_FIELD, "Wait, or look at the clock of this machine.")
    if not isinstance(certificate.signature_hash_algorithm, _DIGESTS):
        _refuse(f"{told.subject} is not signed with SHA-256 or better", _CA_FIELD, "Sign it with SHA-256.")


def _require_signed(chain: list[x509.Certificate]) -> None:
    """Each by the next, the last by itself, and none deeper than its path length allows."""
    for above, one in enumerate(chain):
        signer = chain[min(above + 1, len(chain) - 1)]
        try:
            one.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature):
            _refuse(
                f"{_name(one)} is not signed by {_name(signer)}",
                _CA_FIELD,
                "Give the certificates from the signing one up to the self-signed root, in this order.",
            )
        length = one.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if length is not None and length < above:
            _refuse(f"{_name(one)} allows {length} CAs below it, not {above}", _CA_FIELD, "Raise its pathlen.")


def _require_names(chain: list[x509.Certificate]) -> None:
    for one in chain:
        if not any(name in one.subject.rfc4514_string() for name in LS_NAMES):
            _refuse(
                f"clients refuse {_name(one)} as a Location Server's authority",
                _CA_FIELD,
                f"Every subject of this chain must contain `{LS_NAMES[0]}` or `{LS_NAMES[1]}`.",
            )


def _require_short(role: AuthorityRole, pems: list[str]) -> None:
    if max(map(len, pems)) > MAX_PEM:
        _refuse(f"a PEM of {max(map(len, pems))} bytes does not fit into clients", _CA_FIELD, f"At most {MAX_PEM}.")
    if role == "rs-ca":
        try:
            location.write(LocationConfig((Line("line-dhcp", (("ifindex", "0"),)),), pems[0]))
        except BadInput as error:
            _refuse(
                f"the certificate is too long for the answer of the Location Server: {error.message}",
                _CA_FIELD,
                f"That answer has at most {location.MAX_BYTES} bytes: use RSA 2048, a short subject, no extra fields.",
            )


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a certificate without subject"


def _refuse(message: str, field: str, next_step: str) -> NoReturn:
    raise BadInput(message, field=field, next_step=next_step)
