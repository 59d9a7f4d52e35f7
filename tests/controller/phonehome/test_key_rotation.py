"""Keys are rotated under a living adapter: what it sees, what is refused, and that it always comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from controller.keyring import Keyring
from controller.phonehome.certificates import LEAF_DAYS, ROOT_DAYS, describe
from controller.settings import ArmsSettings
from controller.store import arms_keys, incidents, phonehome
from controller.store import identities as rows
from controller.store.database import Database, Tx
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import ConfigSolicitationAnswer, PullConfig, RsSolicitationAnswer
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput, Conflict, NotFound
from inventory.incidents import Incident, IncidentKind
from inventory.keys import KeyKind, RotationState
from inventory.secrets import Secret
from tests.clock import ManualClock
from tests.controller.phonehome.site import BY, Device, Site, Unit, eventually, hang_up, until
from tests.controller.phonehome.test_heartbeats import beat, send

DAY_S = 86_400.0


@pytest.fixture
def arms_settings() -> ArmsSettings:
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, heartbeat_interval_s=10)


@pytest.fixture
async def site(
    sqlite_url: str, keyring: Keyring, folder: Path, arms_settings: ArmsSettings, clock: ManualClock
) -> AsyncIterator[Site]:
    """Phone-home whose time stands still until the story moves it."""
    database = await Database.open(sqlite_url)
    site = Site(database, keyring, folder, arms_settings, 1.0, clock=clock)
    await site.home.start()
    try:
        yield site
    finally:
        await site.home.stop()
        await database.close()


async def rotate(site: Site, unit: Unit, kind: KeyKind, **how: Any) -> Secret | None:
    """An operator rotates a key."""
    async with site.database.write() as tx:
        shown = await arms_keys.rotate(tx, site.keyring, unit.adapter_id, kind, at_ms=site.clock.now_ms(), **how)
    await site.home.key_rotated(unit.adapter_id)
    return shown


async def identity(site: Site, unit: Unit) -> ArmsIdentity:
    """The record."""
    async with site.database.read() as tx:
        (found,) = await rows.by_adapter(tx, site.keyring, [unit.adapter_id])
    return found


async def located(site: Site, unit: Unit, **how: Any) -> Secret:
    """The RS key that the LS hands out."""
    status, message = await site.locate(unit, **how)
    assert status == 200
    assert message is not None
    assert isinstance(message.parameters, RsSolicitationAnswer)
    return message.parameters.rs_key


async def pulled(site: Site, unit: Unit, **how: Any) -> ConfigSolicitationAnswer:
    """What the RS hands out."""
    _, message = await site.pull(unit, **how)
    assert message is not None
    assert isinstance(message.parameters, ConfigSolicitationAnswer)
    return message.parameters


async def asked_to_pull(device: Device) -> str | None:
    """The device is asked to pull, says yes, and where from."""
    message = await device.next()
    assert isinstance(message, Request)
    assert message.type == "pull-config"
    assert isinstance(message.parameters, PullConfig)
    device.say(Response("pull-config", 100))
    return message.parameters.start


async def test_old_and_new_rs_key_are_accepted_until_the_adapter_has_asked_the_ls(site: Site) -> None:
    unit = await site.unit()
    await rotate(site, unit, "rs")
    assert (await site.pull(unit))[0] == 200, "it knows only the old key yet"

    new = await located(site, unit)

    assert new != unit.rs_key
    assert (await site.pull(unit, key=new))[0] == 200
    await eventually(lambda: refused(site, unit, unit.rs_key))
    assert (await identity(site, unit)).rs_keys.state(site.clock.now_ms()) is RotationState.SETTLED
    assert ("phonehome.key-fetched", {"key": "rs"}) in await site.events(unit)


async def refused(site: Site, unit: Unit, key: Secret) -> bool:
    """Whether the RS refuses this key."""
    return (await site.pull(unit, key=key))[0] == 401


async def test_an_adapter_in_contact_is_asked_to_begin_at_the_ls(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()

    await rotate(site, unit, "rs")

    assert await asked_to_pull(device) == "LS"
    assert await device.open(key=await located(site, unit)) == 200
    await eventually(lambda: event(site, unit, "phonehome.asked-to-pull"))


async def event(site: Site, unit: Unit, kind: str) -> bool:
    """Whether something was told of the unit."""
    return any(told == kind for told, _ in await site.events(unit))


async def test_an_adapter_that_was_away_is_asked_when_it_can_be_pushed_to_again(site: Site, clock: ManualClock) -> None:
    unit = await site.unit()
    await rotate(site, unit, "rs", deadline_s=86_400)
    device = Device(site, unit)
    await device.ready()
    clock.advance(10.0)
    assert await asked_to_pull(device) == "LS"


async def test_after_the_deadline_the_old_key_is_refused_and_the_ls_brings_the_adapter_back(
    site: Site, clock: ManualClock
) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    await rotate(site, unit, "rs", deadline_s=3600)
    await device.next()  # it is asked to pull and does not answer
    clock.advance(3600.0)

    async with asyncio.timeout(10):
        await device.ended.wait()  # its tunnel was opened with the old key
    assert await Device(site, unit).open() == 401
    assert await refused(site, unit, unit.rs_key)
    new = await located(site, unit)
    assert await Device(site, unit).open(key=new) == 200


async def test_a_key_in_wrong_hands_ends_at_once_and_its_tunnel_with_it(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()

    await rotate(site, unit, "rs", at_once=True)

    assert await asked_to_pull(device) == "LS", "one that is merely cut opens its tunnel with the old key for ever"
    async with asyncio.timeout(10):
        await device.ended.wait()
    assert await refused(site, unit, unit.rs_key)
    assert (await identity(site, unit)).rs_keys.state(site.clock.now_ms()) is RotationState.OVERDUE
    assert not await refused(site, unit, await located(site, unit))


async def test_a_second_rotation_in_flight_is_refused_unless_it_ends_every_older_key(site: Site) -> None:
    unit = await site.unit()
    for kind in ("ls", "rs", "heartbeat"):
        await rotate(site, unit, kind)
        with pytest.raises(Conflict, match="in flight"):
            await rotate(site, unit, kind)
    await rotate(site, unit, "rs", at_once=True)
    assert await refused(site, unit, unit.rs_key)


async def test_we_use_the_key_that_the_adapter_has_until_it_has_the_new_one(site: Site) -> None:
    unit = await site.unit()
    await rotate(site, unit, "rs")
    assert (await identity(site, unit)).rs_keys.known == unit.rs_key
    new = await located(site, unit)
    await eventually(lambda: settled(site, unit))
    assert (await identity(site, unit)).rs_keys.known == new


async def settled(site: Site, unit: Unit) -> bool:
    """Whether its RS key is rotated through."""
    return not (await identity(site, unit)).rs_keys.in_flight


async def test_an_old_ls_key_opens_the_ls_until_the_new_one_was_used(site: Site) -> None:
    unit = await site.unit()
    new = await rotate(site, unit, "ls")
    assert new is not None
    assert 32 <= len(new.reveal()) <= 64
    assert (await site.locate(unit))[0] == 200

    assert (await site.locate(unit, key=new))[0] == 200

    await eventually(lambda: told_401(site, unit))
    assert (await site.locate(unit, key=new))[0] == 200


async def told_401(site: Site, unit: Unit) -> bool:
    """Whether the old LS key is refused."""
    return (await site.locate(unit))[0] == 401


async def test_an_old_ls_key_ends_at_its_deadline_too(site: Site, clock: ManualClock) -> None:
    unit = await site.unit()
    new = await rotate(site, unit, "ls", deadline_s=3600)
    clock.advance(3600.0)
    assert (await site.locate(unit))[0] == 401
    assert (await site.locate(unit, key=new))[0] == 200


async def test_an_old_passphrase_is_believed_until_the_next_config_pull_and_a_grace(
    site: Site, clock: ManualClock
) -> None:
    unit = await site.unit()
    clock.advance(60.0)  # what was looked up before the clock began to run counts as fresh
    send(site, beat(unit))
    await until(lambda: len(site.beats) == 1)
    await rotate(site, unit, "heartbeat")
    send(site, beat(unit))
    await until(lambda: len(site.beats) == 2)

    new = (await pulled(site, unit)).heartbeats[0].passphrase.reveal()
    send(site, beat(unit, key=new), beat(unit))
    await until(lambda: len(site.beats) == 4)
    await eventually(lambda: event(site, unit, "phonehome.key-fetched"))
    clock.advance(31.0)  # twice the interval of 10 s, and what is remembered is looked up anew
    send(site, beat(unit))
    await until(lambda: site.home.heartbeats.counts.refused.get("wrong-key") == 1)
    send(site, beat(unit, key=new))
    await until(lambda: len(site.beats) == 5)

    async def forgotten() -> bool:
        return (await identity(site, unit)).passphrases.previous is None

    clock.advance(10.0)
    await eventually(forgotten)


async def test_a_new_passphrase_or_certificate_is_fetched_from_the_rs(site: Site, clock: ManualClock) -> None:
    for kind in ("heartbeat", "certificate"):
        unit = await site.unit()

        async def made(unit: Unit = unit) -> bool:
            return (await identity(site, unit)).certificate is not None

        site.home.provisioned()
        await eventually(made)
        first = (await pulled(site, unit)).sa_certificate
        device = Device(site, unit)
        await eventually(lambda unit=unit: issued(site, unit))  # type: ignore[misc]  # bound now
        await device.ready()

        await rotate(site, unit, kind)

        if kind == "certificate":

            async def another(unit: Unit = unit, first: str | None = first) -> bool:
                return (await identity(site, unit)).certificate != first

            await eventually(another)
            clock.advance(10.0)
        assert await asked_to_pull(device) == "RS"
        assert (await pulled(site, unit)).sa_certificate != first or kind == "heartbeat"
        await device.cut()


async def issued(site: Site, unit: Unit) -> bool:
    """Whether a pull has brought its certificate."""
    return (await site.contact(unit)).certificate_delivered_ms is not None


async def test_a_rotation_that_was_begun_before_a_start_is_seen_through(
    site: Site, keyring: Keyring, folder: Path, arms_settings: ArmsSettings, clock: ManualClock
) -> None:
    unit = await site.unit()
    async with site.database.write() as tx:
        await arms_keys.rotate(tx, site.keyring, unit.adapter_id, "rs", at_ms=clock.now_ms())
    again = Site(site.database, keyring, folder, arms_settings, 1.0, clock=clock)
    again.startups = site.startups
    await again.home.start()
    try:
        device = Device(again, unit)
        await device.ready()
        clock.advance(10.0)
        assert await asked_to_pull(device) == "LS"
    finally:
        await again.home.stop()


# --- certificates of the listeners ----------------------------------------------------------------------------------


def fingerprints(site: Site) -> dict[str, str]:
    """By role."""
    return {kept.role: kept.read.fingerprint for kept in site.home.pki.kept()}


async def test_leaves_are_renewed_in_the_background_while_a_tunnel_stays_open(site: Site, clock: ManualClock) -> None:
    device = Device(site, await site.unit())
    await device.ready()
    before = fingerprints(site)

    clock.advance(LEAF_DAYS * 3 / 4 * DAY_S)

    def renewed() -> bool:
        clock.advance(3600.0)
        return {role for role, one in fingerprints(site).items() if one != before[role]} == {"ls", "rs"}

    await until(renewed)

    for door, role in (("ls", "ls"), ("rs", "rs")):
        _, writer = await site.connect("ls" if door == "ls" else "rs")
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert describe(x509.load_der_x509_certificate(shown)).fingerprint == fingerprints(site)[role]
        await hang_up(writer)
    device.raw(b"4;echo-request;trail\r\necho\r\n")
    await until(lambda: device.echoes == 1)
    assert not device.ended.is_set()


async def test_the_end_of_the_root_is_an_incident_years_before_it(site: Site, clock: ManualClock) -> None:
    async def found() -> Incident | None:
        clock.advance(3600.0)
        async with site.database.read() as tx:
            return await incidents.open_one(tx, IncidentKind.CERTIFICATE, "certificate root")

    assert await found() is None
    clock.advance((ROOT_DAYS - 4 * 365) * DAY_S)
    incident = await eventually(found)
    assert incident is not None
    assert "devices" in str(incident.facts["next"])


# --- rows, on SQLite and PostgreSQL ---------------------------------------------------------------------------------


async def test_an_answer_from_before_a_rotation_does_not_end_its_old_key(database: Database, keyring: Keyring) -> None:
    from tests.controller.phonehome.test_parts import ID, adapter_on_record

    adapter = await adapter_on_record(database, keyring)
    async with database.write() as tx:
        await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=BY.at_ms)
        (before,) = await rows.by_adapter(tx, keyring, [adapter.id])
        await arms_keys.rotate(tx, keyring, adapter.id, "rs", at_ms=BY.at_ms)
        await arms_keys.rotate(tx, keyring, adapter.id, "heartbeat", at_ms=BY.at_ms)
        await arms_keys.fetched(tx, adapter.id, before.rs_keys)
        await arms_keys.passphrase_delivered(tx, adapter.id, before.passphrases, at_ms=BY.at_ms)
        (after,) = await rows.by_adapter(tx, keyring, [adapter.id])
        assert after.rs_keys.previous == before.rs_key
        assert after.passphrases.in_flight
        assert await arms_keys.rotating(tx) == [adapter.id]

        await arms_keys.unseated(tx, keyring, adapter.id, at_ms=BY.at_ms)
        (ended,) = await rows.by_adapter(tx, keyring, [adapter.id])
        assert ended.rs_keys.accepted(BY.at_ms) == (ended.rs_key,)
        assert ended.passphrases.accepted(BY.at_ms) == (ended.passphrase,)
        assert ended.rs_key not in {before.rs_key, after.rs_key}
        assert ended.passphrase not in {before.passphrase, after.passphrase}


async def test_what_cannot_be_rotated_is_said(database: Database, keyring: Keyring) -> None:
    from tests.controller.phonehome.test_parts import ID, adapter_on_record

    adapter = await adapter_on_record(database, keyring)
    async with database.write() as tx:
        with pytest.raises(NotFound):
            await arms_keys.rotate(tx, keyring, adapter.id, "rs", at_ms=BY.at_ms)
        await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=BY.at_ms)
        with pytest.raises(BadInput):
            await arms_keys.rotate(tx, keyring, adapter.id, "heartbeat", at_ms=BY.at_ms, deadline_s=3600)


async def test_of_two_certificates_that_two_nodes_make_at_once_the_first_counts(
    database: Database, keyring: Keyring
) -> None:
    """The first may be on its way to the adapter, which would be refused with it for ever."""
    from tests.controller.phonehome.test_parts import ID, adapter_on_record

    async def made(tx: Tx, serial: str, *, known: str | None, at_ms: int) -> bool:
        return await arms_keys.put_certificate(
            tx,
            keyring,
            adapter.id,
            f"certificate {serial}",
            Secret("key"),
            authority="ours",
            made_ms=at_ms,
            until_ms=9_000,
            serial=serial,
            known=known,
        )

    def delivered(serial: str | None, at_ms: int) -> phonehome.Batch:
        note = {"certificate_delivered_ms": at_ms, "certificate_delivered_serial": serial}
        return phonehome.Batch(contacts={adapter.id: note})

    adapter = await adapter_on_record(database, keyring)
    async with database.write() as tx:
        await rows.provision(tx, keyring, adapter.id, distribution_id=ID, at_ms=BY.at_ms)
        assert await made(tx, "a1", known=None, at_ms=1_000)
        assert not await made(tx, "b2", known=None, at_ms=1_000)
        await phonehome.write(tx, delivered("a1", 1_500))
        (first,) = await rows.by_adapter(tx, keyring, [adapter.id])
        assert (first.certificate, first.certificate_serials) == ("certificate a1", ("a1",))

        assert await made(tx, "c3", known="a1", at_ms=2_000)
        await phonehome.write(tx, delivered("a1", 2_500))  # an answer that was begun before
        (second,) = await rows.by_adapter(tx, keyring, [adapter.id])
        assert second.certificate_serials == ("c3", "a1"), "the adapter has the former one"
        await phonehome.write(tx, delivered("c3", 2_600))
        (third,) = await rows.by_adapter(tx, keyring, [adapter.id])
        assert third.certificate_serials == ("c3",)
