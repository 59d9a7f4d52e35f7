"""Many adapters on record at once, written straight into the tables; the keys go to whoever makes the load."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from sqlalchemy import insert, literal, select

from controller.main import Daemon
from controller.phonehome.pki import ADAPTER_CA
from controller.store import configs, contractors, counts
from controller.store.database import Tx
from controller.store.scope import By, Scope
from controller.store.tables import inventory as tables
from controller.store.tables.phonehome import arms_contacts, arms_identities
from controller.store.tables.push import config_versions, startup_trials
from inventory import onboarding
from inventory.explain import Contact
from inventory.plans import ConfigText
from inventory.secrets import Secret

LS_KEY = "bench-ls-key-of-every-simulated-adapter"
RS_KEY = "bench-rs-key-of-every-simulated-adapter"
CONFIG_BYTES = 10_240
"""Size of each startup config (arms-protocol §13.3)."""


@dataclass(frozen=True, slots=True)
class Member:
    """What a simulated adapter knows of itself. All have the same keys: they are compared, not looked up."""

    serial: str
    distribution_id: str


def members(count: int) -> list[Member]:
    """The first `count` adapters."""
    return [
        Member(f"BENCH-{n:06d}", f"0001-0000-0101-000B-0200-5EFF-{n // 65536:04X}-{n % 65536:04X}")
        for n in range(count)
    ]


async def register(
    daemon: Daemon, count: int, *, pem: tuple[str, str] | None = None, startups: bool = True, read: bool = False
) -> None:
    """`count` adapters in entries of one management, installed, with keys, certificates and startup configs.

    Those of `members(count)`. One certificate and key serve all as the text that a pull hands out.
    Without `startups` they have no configs. `read`: their running configs stand as read until tomorrow, so that the
    daemon does not read them when they come into contact.
    """
    certificate, key = pem or await _pem(daemon)
    by, everything = By("bench", daemon.clock.now_ms()), Scope.everything()
    async with daemon.db.write() as tx:
        owner = await contractors.create(tx, everything, by, name="bench")
        management = await counts.create_management(
            tx,
            everything,
            by,
            contractor_id=owner.id,
            service="mpc",
            classes=["I"],
            name="bench",
            entry_count=count,
            standby_count=0,
        )
        entries = await _entries(tx, management.id)
        await _adapters(tx, owner.id, by, members(count))
        ids = list(range(1, count + 1))
        await tx.execute(
            insert(tables.placements),
            [
                {"adapter_id": adapter, "entry_id": entry, "from_ms": by.at_ms, "cause": "seat", "actor": by.actor}
                for adapter, entry in zip(ids, entries, strict=True)
            ],
        )
        await tx.execute(
            insert(tables.checklist_items),
            [
                {"adapter_id": adapter, "item": item, "note": "", "actor": by.actor, "at_ms": by.at_ms}
                for adapter in ids
                for item in onboarding.required("I")
            ],
        )
        await _identities(daemon, tx, members(count), certificate, key)
        if startups:
            await _startups(daemon, tx, entries, by.at_ms)
        if read:
            await _truths(daemon, tx, entries, by.at_ms)


async def _truths(daemon: Daemon, tx: Tx, entries: list[int], at_ms: int) -> None:
    text = configs.pack(ConfigText.single("hostname: bench\n"))
    await tx.execute(
        insert(config_versions),
        [
            {
                "entry_id": entry,
                "kind": "truth",
                "digest": "bench",
                "text_sealed": daemon.keyring.seal(text, context=f"config_versions/{entry}/truth/bench/{at_ms}"),
                "author": "bench",
                "reason": "bench",
                "at_ms": at_ms,
                "seen_ms": at_ms + 86_400_000,
            }
            for entry in entries
        ],
    )


async def _entries(tx: Tx, management_id: int) -> list[int]:
    found = await tx.execute(
        tables.entries.select().where(tables.entries.c.management_id == management_id).order_by(tables.entries.c.id)
    )
    return [row.id for row in found]


async def _startups(daemon: Daemon, tx: Tx, entries: list[int], at_ms: int) -> None:
    lines = (f"route.ipv4.{number}.gateway: 192.0.2.{number % 250}\n" for number in range(400))
    text = configs.pack(ConfigText.single("".join(lines)[:CONFIG_BYTES]))
    await tx.execute(
        insert(config_versions),
        [
            {
                "entry_id": entry,
                "kind": "startup",
                "digest": "bench",
                "text_sealed": daemon.keyring.seal(text, context=f"config_versions/{entry}/startup/bench/{at_ms}"),
                "author": "bench",
                "reason": "bench",
                "at_ms": at_ms,
                "seen_ms": at_ms,
            }
            for entry in entries
        ],
    )
    # As in a fleet that has been in service: what is pulled has proven itself before.
    version = config_versions.c
    await tx.execute(
        insert(startup_trials).from_select(
            ["version_id", "entry_id", "digest", "proven_ms", "proven_by", "failures"],
            select(version.id, version.entry_id, version.digest, version.at_ms, version.author, literal(0)),
        )
    )


async def _adapters(tx: Tx, contractor_id: int, by: By, fleet: list[Member]) -> None:
    rows = [
        {
            "id": number,
            "contractor_id": contractor_id,
            "serial_key": member.serial,
            "serial_shown": member.serial,
            "service": "mpc",
            "device_class": "I",
            "model": "sa-w2",
            "hardware": "",
            "holding": "lent",
            "path": "arms",
            "distribution_id": member.distribution_id,
            "life": "in-service",
            "life_at_ms": by.at_ms,
            "registered_ms": by.at_ms,
            "version": 1,
        }
        for number, member in enumerate(fleet, 1)
    ]
    await tx.execute(insert(tables.adapters), rows)


async def _identities(daemon: Daemon, tx: Tx, fleet: list[Member], certificate: str, key: str) -> None:
    ring = daemon.keyring
    authority, made_ms = daemon.phonehome.pki.adapter_authority, daemon.clock.now_ms()
    digest = ring.digest(Secret(LS_KEY))

    def sealed(text: str, column: str, adapter_id: int) -> bytes:
        return ring.seal(text, context=f"arms_identities.{column}.{adapter_id}")

    await tx.execute(
        insert(arms_identities),
        [
            {
                "adapter_id": number,
                "distribution_id": member.distribution_id,
                "ls_key_digest": digest,
                "rs_key_sealed": sealed(RS_KEY, "rs_key", number),
                "passphrase_sealed": sealed(RS_KEY, "passphrase", number),
                "certificate": certificate,
                "certificate_authority": authority,
                "certificate_made_ms": made_ms,
                "certificate_until_ms": made_ms + 700 * 86_400_000,
                "certificate_key_sealed": sealed(key, "certificate_key", number),
                "made_ms": 0,
            }
            for number, member in enumerate(fleet, 1)
        ],
    )
    await tx.execute(
        insert(arms_contacts),
        [
            {"adapter_id": number, "stage": Contact.NEVER_SEEN, "tunnel_open": 0, "refusal_count": 0}
            for number in range(1, len(fleet) + 1)
        ],
    )


async def _pem(daemon: Daemon) -> tuple[str, str]:
    pair = daemon.phonehome.pki.issue("0001-0000-0101-000B-0200-5EFF-FFFF-FFFF", now_ms=daemon.clock.now_ms())
    return pair.certificate, pair.key.reveal()


def certificates(pki: Path, folder: Path, fleet: list[Member]) -> None:
    """A certificate for each, all with one key (`key.pem`), so that it does not take 50 ms each."""
    name = ADAPTER_CA.lower().replace(" ", "-")
    authority = x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())
    signer = load_pem_private_key((pki / f"{name}.key").read_bytes(), password=None)
    assert isinstance(signer, rsa.RSAPrivateKey)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    folder.mkdir()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    for number, member in enumerate(fleet):
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member.distribution_id)]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(number + 1)
            .not_valid_before(authority.not_valid_before_utc)
            .not_valid_after(authority.not_valid_before_utc + datetime.timedelta(days=3650))
            .sign(signer, hashes.SHA256())
        )
        (folder / f"{number}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
