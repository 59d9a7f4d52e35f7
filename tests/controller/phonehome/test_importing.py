"""A CA of the operator's own: taken whole or not at all, and only if clients will accept what it signs."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from controller.phonehome import importing
from controller.phonehome.certificates import DAY_MS, read, split
from controller.phonehome.pki import Pki
from inventory.certificates import AuthorityRole
from inventory.errors import BadInput
from inventory.secrets import Secret

NOW_MS = 1_760_745_600_000
KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3)]
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Made:
    """What a CA of a test is like."""

    name: str = "ARMS Root CA"
    key: Key = KEYS[0]
    signer: Key | None = None
    issuer: str | None = None
    ca: bool | None = True
    path_length: int | None = None
    from_days: int = -1
    until_days: int = 3650
    sha: int = 256
    sign: bool = True
    padding: int = 0

    def pem(self) -> str:
        def subject(name: str) -> x509.Name:
            more = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x" * 60) for _ in range(self.padding)]
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), *more])

        now = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
        draft = (
            x509.CertificateBuilder()
            .subject_name(subject(self.name))
            .issuer_name(subject(self.issuer or self.name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=self.from_days))
            .not_valid_after(now + datetime.timedelta(days=self.until_days))
        )
        if self.ca is not None:
            draft = draft.add_extension(x509.BasicConstraints(self.ca, self.path_length), critical=True)
        if not self.sign:
            flags = dict.fromkeys(
                ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
            )
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=False, encipher_only=False, decipher_only=False, **flags
            )
            draft = draft.add_extension(usage, critical=True)
        made = draft.sign(self.signer or self.key, hashes.SHA224() if self.sha == 224 else hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()


def pem_of(key: Key, password: bytes | None = None) -> Secret:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return Secret(text.decode())


GOOD = Made()
BELOW = Made("Location Server CA", KEYS[1], signer=KEYS[0], issuer="ARMS Root CA")
EC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("role", "certificate", "key", "words"),
    [
        ("root", Made("Example Root").pem(), pem_of(KEYS[0]), "clients refuse"),
        ("root", Made("ARMS Root").pem(), pem_of(KEYS[0]), "clients refuse"),
        ("root", GOOD.pem(), pem_of(KEYS[1]), "does not belong"),
        ("root", GOOD.pem(), pem_of(KEYS[0], b"secret"), "is encrypted"),
        ("root", GOOD.pem(), Secret("no key"), "cannot be read"),
        ("root", GOOD.pem(), pem_of(EC), "not RSA"),
        ("root", Made(key=EC).pem(), pem_of(EC), "no RSA key"),
        ("root", replace(GOOD, ca=False).pem(), pem_of(KEYS[0]), "no CA"),
        ("root", replace(GOOD, ca=None).pem(), pem_of(KEYS[0]), "no CA"),
        ("root", replace(GOOD, sign=False).pem(), pem_of(KEYS[0]), "may not sign"),
        ("root", replace(GOOD, from_days=-9, until_days=-1).pem(), pem_of(KEYS[0]), "has expired"),
        ("root", replace(GOOD, from_days=1).pem(), pem_of(KEYS[0]), "not valid yet"),
        ("root", replace(GOOD, sha=224).pem(), pem_of(KEYS[0]), "SHA-256 or better"),
        ("root", "", pem_of(KEYS[0]), "no certificate"),
        ("root", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", pem_of(KEYS[0]), "cannot be read"),
        ("root", BELOW.pem(), pem_of(KEYS[1]), "not signed by"),
        ("root", BELOW.pem() + Made(key=KEYS[2]).pem(), pem_of(KEYS[1]), "not signed by"),
        ("root", BELOW.pem() + replace(GOOD, path_length=0).pem(), pem_of(KEYS[1]), "allows 0 CAs"),
        ("root", replace(GOOD, padding=90).pem(), pem_of(KEYS[0]), "does not fit"),
        ("root", GOOD.pem() * 9, pem_of(KEYS[0]), "no chain of 9"),
        ("rs-ca", BELOW.pem() + GOOD.pem(), pem_of(KEYS[1]), "one certificate only"),
        ("rs-ca", Made("RS", padding=12).pem(), pem_of(KEYS[0]), "too long"),
        ("sa-ca", BELOW.pem() + GOOD.pem(), pem_of(KEYS[1]), "one certificate only"),
    ],
)
def test_a_ca_that_clients_would_not_accept_is_refused_and_the_reason_is_said(
    role: AuthorityRole, certificate: str, key: Secret, words: str
) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        importing.authority(role, certificate, key, now_ms=NOW_MS)
    assert refused.value.next_step
    assert refused.value.field in {"certificate", "key"}
    assert "PRIVATE" not in refused.value.message + refused.value.next_step


@pytest.mark.parametrize(
    ("role", "certificate", "key"),
    [
        ("root", GOOD.pem(), KEYS[0]),
        ("root", BELOW.pem() + GOOD.pem(), KEYS[1]),
        ("rs-ca", Made("Example RS CA").pem(), KEYS[0]),
        ("sa-ca", Made("Example SA CA").pem(), KEYS[0]),
    ],
)
def test_a_ca_that_fits_signs_the_leaves_from_now_on(
    folder: Path, role: AuthorityRole, certificate: str, key: rsa.RSAPrivateKey
) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    before = {kept.role: kept.pem for kept in pki.kept()}
    context = pki.dialling_context("1.2")
    taken = importing.authority(role, certificate, pem_of(key), now_ms=NOW_MS)
    leaves = {name: pki.make_leaf(name, now_ms=NOW_MS, authority=taken) for name in pki.leaves_of(role)}

    pki.replace(leaves, role=role, by=taken)

    again = Pki.open(folder, now_ms=NOW_MS + DAY_MS)
    assert again.kept() == pki.kept()
    kept = [each for each in again.kept() if each.role == role]
    assert [each.pem.strip() for each in kept] == [each.strip() for each in split(certificate)]
    changed = {each.role for each in again.kept() if before[each.role] != each.pem}
    assert changed == {"root": {"root", "ls"}, "rs-ca": {"rs-ca", "rs"}, "sa-ca": {"sa-ca"}}[role]
    for each in again.kept():
        if each.role in {"ls", "rs"} and each.role in changed:
            assert each.read.issuer == read(certificate).subject
    if role == "root":
        assert read(again.root_certificate).subject == "CN=ARMS Root CA"
    assert context.cert_store_stats()["x509_ca"] == (2 if role == "sa-ca" else 1), "what the former CA signed is known"
