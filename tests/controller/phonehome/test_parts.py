"""The parts of phone-home by themselves: certificates, rows on both databases."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cryptography import x509

from controller.keyring import Keyring
from controller.phonehome import answers
from controller.phonehome.gate import own_interval_s
from controller.phonehome.pki import Pki
from controller.phonehome.proof import shown
from controller.store import adapters, boots, contractors, phonehome
from controller.store import identities as rows
from controller.store.database import Database
from controller.store.phonehome import Batch
from drivers.arms.rules import MAX_PEM
from inventory.adapters import Adapter
from inventory.errors import BadInput, Conflict, NotFound
from inventory.explain import Contact
from inventory.secrets import Secret
from tests.controller.phonehome.site import ALL, BY

NOW_MS = 1_760_745_600_000


def test_certificates_are_kept_and_their_keys_are_for_our_eyes_only(folder: Path) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    again = Pki.open(folder, now_ms=NOW_MS + 1)
    assert pki.root_certificate == again.root_certificate
    assert all(key.stat().st_mode & 0o077 == 0 for key in folder.glob("*.key"))

    (folder / "kajitori-rs.key").chmod(0o644)
    with pytest.raises(Conflict, match="can be read by others"):
        Pki.open(folder, now_ms=NOW_MS)


def test_subjects_are_those_that_clients_look_for_and_pems_fit_their_buffers(folder: Path) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    root = x509.load_pem_x509_certificate(pki.root_certificate.encode())
    leaf = x509.load_pem_x509_certificate((folder / "location-server-1.crt").read_bytes())
    assert "CN=ARMS Root CA" in root.subject.rfc4514_string()
    assert "CN=Location Server " in leaf.subject.rfc4514_string()
    pair = pki.issue("0001-0000-0101-0000-0200-00FF-FE12-3456", now_ms=NOW_MS)
    assert x509.load_pem_x509_certificate(pair.certificate.encode()).subject.rfc4514_string() == (
        "CN=0001-0000-0101-0000-0200-00FF-FE12-3456"
    )
    assert max(len(pair.certificate), len(pair.key.reveal())) <= MAX_PEM
    assert "PRIVATE KEY" not in repr(pair)


def test_retry_intervals_are_spread_and_legal() -> None:
    intervals = {own_interval_s(30, f"SN-{number}") for number in range(500)}
    assert min(intervals) == 30
    assert max(intervals) == 60
    assert len(intervals) > 25


@pytest.mark.parametrize(
    ("firmware", "version"),
    [("5.40", "5.40.0-0"), ("4.10.2", "4.10.2-0"), (None, "0.0.0-0"), ("x", "0.0.0-0"), ("04.00", "4.0.0-0")],
)
def test_a_device_is_announced_the_version_that_it_runs(firmware: str | None, version: str) -> None:
    assert answers.module_version(firmware) == version


def test_the_serial_number_is_read_as_the_device_prints_it() -> None:
    system = "SEIL/X1 ver 5.40\n\nSerial  : AD9010J-BAA0000000001\nHost    : x\n"
    key = "Startup Key:\n  Distribution ID : 0001-0000\n"
    assert shown(system, "Serial") == "AD9010J-BAA0000000001"
    assert shown(key, "Distribution ID") == "0001-0000"
    assert shown(key, "Serial") is None


# --- rows, on SQLite and PostgreSQL ---------------------------------------------------------------------------------

ID = "0001-0000-0101-000B-0200-5EFF-0000-0001"


async def adapter_on_record(database: Database, keyring: Keyring, serial: str = "SN-1", id_: str = ID) -> Adapter:
    async with database.write() as tx:
        contractor = await contractors.create(tx, ALL, BY, name="North Foods")
        return await adapters.register(
            tx,
            ALL,
            BY,
            serial=serial,
            contractor_id=contractor.id,
            service="mpc",
            device_class="I",
            model="SA-W2",
            distribution_id=id_,
            keyring=keyring,
        )


async def test_an_identity_is_made_once_and_its_keys_are_sealed(database: Database, keyring: Keyring) -> None:
    adapter = await adapter_on_record(database, keyring)
    async with database.write() as tx:
        key = await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=NOW_MS)
    async with database.read() as tx:
        identity = await rows.by_distribution_id(tx, keyring, ID)
        assert await rows.by_distribution_id(tx, keyring, ID.replace("5EFF", "5EFE")) is None
    assert identity is not None
    assert keyring.matches(key, identity.ls_keys.current)
    assert len(identity.rs_key.reveal()) >= 32
    assert identity.rs_key.reveal() not in repr(identity)

    async with database.write() as tx:
        with pytest.raises(Conflict):
            await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=NOW_MS)
        await tx.rollback()


@pytest.mark.parametrize("bad", ["short", "with a blank in it", "x" * 65, "é" * 20])
async def test_an_ls_key_that_clients_cannot_hold_is_refused(database: Database, keyring: Keyring, bad: str) -> None:
    adapter = await adapter_on_record(database, keyring)
    async with database.write() as tx:
        with pytest.raises(BadInput):
            await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=NOW_MS, ls_key=Secret(bad))


async def test_a_batch_is_written_whole_and_claims_are_counted(database: Database, keyring: Keyring) -> None:
    adapter = await adapter_on_record(database, keyring)
    async with database.write() as tx:
        await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=NOW_MS)
        batch = Batch(
            contacts={adapter.id: {"stage": Contact.READY, "stage_ms": 5, "tunnel_open": 1}},
            refusals={adapter.id: 3},
            claims={(ID, "192.0.2.1", "wrong key"): [1, 2, 2], ("", "192.0.2.1", "cut"): [1, 1, 1]},
        )
        batch.boots.begin(adapter.id, trigger="power on boot", rs_ms=4)
        await phonehome.write(tx, batch)
        later = dataclasses.replace(batch, boots=boots.Noted())
        later.boots.step(adapter.id, ready_ms=6, shown="SN-1")
        later.boots.begin(adapter.id, trigger="retry is over", rs_ms=9)
        later.boots.step(adapter.id, ready_ms=10)
        later.boots.step(adapter.id, ready_ms=11)
        await phonehome.write(tx, later)
    async with database.read() as tx:
        contact = await phonehome.contact(tx, ALL, adapter.id)
        assert (contact.stage, contact.stage_ms, contact.tunnel_open) == (Contact.READY, 5, True)
        assert contact.refusal_count == 6
        assert [(claim.claimed, claim.count) for claim in await phonehome.claims(tx)] == [(ID, 4), ("", 2)]
        found = await boots.page(tx, adapter.id)
        assert [(boot.trigger, boot.ready_ms, boot.shown) for boot in found] == [
            ("retry is over", 10, None),
            ("power on boot", 6, "SN-1"),
        ]
        assert await boots.latest(tx, [adapter.id]) == {adapter.id: found[0]}
        with pytest.raises(NotFound):
            await phonehome.contact(tx, ALL.of(adapter.contractor_id + 1), adapter.id)


async def test_only_the_latest_claims_are_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonehome, "MAX_CLAIMS", 5)
    async with database.write() as tx:
        for number in range(9):
            await phonehome.write(tx, Batch(claims={(f"id {number}", "192.0.2.1", "unknown"): [number, number, 1]}))
    async with database.read() as tx:
        assert [claim.claimed for claim in await phonehome.claims(tx)] == [f"id {number}" for number in range(4, 9)]
