"""`arms.client_certificates`: what each value asks of an adapter that was given its certificate (arms-protocol §12)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from controller.phonehome.certificates import DAY_MS, Pair, leaf
from controller.settings import ArmsSettings
from controller.store import arms_keys
from controller.store.arms_keys import CertificateRecord
from controller.store.database import Tx
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import PullConfig
from inventory.keys import ClientCertificates
from tests.controller.phonehome.site import Device, Site, Unit, eventually, until

WITHOUT = "it showed no certificate, though one was issued to it"


@pytest.fixture
def policy() -> ClientCertificates:
    return "require"


@pytest.fixture
def arms_settings(policy: ClientCertificates) -> ArmsSettings:
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, client_certificates=policy)


async def issued(site: Site) -> Unit:
    """A unit that a config pull has given its certificate, on record."""
    unit = await site.unit()
    site.home.provisioned()

    async def has_it() -> bool:
        await site.pull(unit)
        return (await site.contact(unit)).certificate_delivered_ms is not None

    await eventually(has_it)
    return unit


async def restarted(site: Site, unit: Unit) -> None:
    """The unit starts again from its saved state: its certificate is gone."""
    del site.certificates[unit.distribution_id]


async def codes(site: Site, unit: Unit) -> tuple[int, int, int]:
    """HTTP status of a method query, of a result, of a tunnel."""
    query, _ = await site.query(unit)
    done, _ = await site.ask(unit, "read-status-done")
    device = Device(site, unit)
    tunnel = await device.open()
    if tunnel == 200:
        await device.cut()
    return query, done, tunnel


async def test_an_adapter_gets_its_certificate_with_its_first_pull_however_early_that_comes(site: Site) -> None:
    unit = await site.unit()

    await asyncio.gather(site.pull(unit), site.pull(unit))

    assert unit.distribution_id in site.certificates
    assert (await codes(site, unit))[::2] == (200, 200)


async def test_a_certificate_that_was_issued_must_be_shown(site: Site) -> None:
    unit = await issued(site)
    assert (await codes(site, unit))[::2] == (200, 200)

    await restarted(site, unit)

    assert await codes(site, unit) == (401, 401, 401)
    claims = [claim for claim in await site.claims() if claim.claimed == unit.distribution_id]
    assert {claim.reason.removeprefix("tunnel: ") for claim in claims} == {WITHOUT}
    contact = await site.contact(unit)
    assert (contact.refusal_code, contact.refusal_reason) == (401, WITHOUT)


async def test_after_a_restart_the_ls_and_the_first_pull_come_without_and_bring_it_back(site: Site) -> None:
    unit = await issued(site)
    await restarted(site, unit)
    assert (await site.locate(unit))[0] == 200
    assert (await site.pull(unit))[0] == 200
    assert (await codes(site, unit))[::2] == (200, 200)


class Slow:
    """Certificates are made when this says so."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self._allowed, self._make = 0, threading.Semaphore(0), site.home.pki.issue
        monkeypatch.setattr(site.home.pki, "issue", self._issue)

    def _issue(self, distribution_id: str, *, now_ms: int) -> Pair:
        self.asked += 1
        assert self._allowed.acquire(timeout=20)
        return self._make(distribution_id, now_ms=now_ms)

    async def begun(self) -> None:
        await until(lambda: self.asked == 1)

    def go_on(self) -> None:
        self._allowed.release(10)


async def test_what_a_first_pull_has_brought_is_not_replaced_by_what_is_made_in_the_background(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, looked, look = Slow(site, monkeypatch), asyncio.Event(), arms_keys.certificates_due

    async def due(tx: Tx, **which: Any) -> list[tuple[int, str]]:
        found = await look(tx, **which)
        looked.set()
        return found

    unit = await site.unit()
    pull = asyncio.create_task(site.pull(unit))
    await slow.begun()
    monkeypatch.setattr(arms_keys, "certificates_due", due)
    background = asyncio.create_task(site.home.renewal.issue_some())
    await looked.wait()
    slow.go_on()

    assert (await pull)[0] == 200
    assert await background

    assert (await codes(site, unit))[::2] == (200, 200)
    async with site.database.read() as tx:
        kept = (await arms_keys.certificates(tx, [unit.adapter_id]))[unit.adapter_id]
    assert kept.pem is not None
    assert kept.pem in site.certificates[unit.distribution_id].read_text()


async def test_a_pull_that_brings_the_old_certificate_while_the_new_one_is_made_does_not_end_the_old_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = await issued(site)
    slow = Slow(site, monkeypatch)
    async with site.database.write() as tx:
        at_ms = site.clock.now_ms()
        await arms_keys.rotate(tx, site.keyring, unit.adapter_id, "certificate", at_ms=at_ms, at_once=False)
    making = asyncio.create_task(site.home.renewal.issue_some())
    await slow.begun()

    assert (await site.pull(unit))[0] == 200
    slow.go_on()
    assert await making

    assert (await codes(site, unit))[::2] == (200, 200), "it has the one that its pull brought"
    assert (await site.pull(unit))[0] == 200
    assert (await codes(site, unit))[::2] == (200, 200), "and now the new one"


async def test_an_adapter_that_was_given_none_need_not_show_any(site: Site) -> None:
    unit = await site.unit()
    assert (await codes(site, unit))[::2] == (200, 200)


async def test_the_certificate_of_another_adapter_is_refused_at_every_request(site: Site) -> None:
    one, other = await issued(site), await issued(site)
    site.certificates[one.distribution_id] = site.certificates[other.distribution_id]
    assert await codes(site, one) == (401, 401, 401)
    assert (await site.pull(one))[0] == 401
    reasons = {claim.reason for claim in await site.claims() if claim.claimed == one.distribution_id}
    assert f"it showed the certificate of {other.distribution_id}" in reasons


async def test_a_certificate_that_has_ended_still_gets_its_adapter_the_next_one(site: Site, folder: Path) -> None:
    unit = await issued(site)
    ended_ms = site.clock.now_ms() - DAY_MS
    pair = leaf(site.home.pki.authority("sa-ca"), unit.distribution_id, days=1, now_ms=ended_ms - DAY_MS)
    path = folder / "ended.pem"
    path.write_text(pair.key.reveal() + pair.certificate)
    site.certificates[unit.distribution_id] = path

    assert await codes(site, unit) == (401, 401, 401)
    assert (await site.pull(unit))[0] == 200
    assert (await codes(site, unit))[::2] == (200, 200)


async def rotated(site: Site, unit: Unit, *, at_once: bool) -> None:
    """An operator asks for a new certificate, and it is made."""

    async def standing() -> CertificateRecord:
        async with site.database.read() as tx:
            return (await arms_keys.certificates(tx, [unit.adapter_id]))[unit.adapter_id]

    async with site.database.write() as tx:
        at_ms = site.clock.now_ms()
        await arms_keys.rotate(tx, site.keyring, unit.adapter_id, "certificate", at_ms=at_ms, at_once=at_once)
    await site.home.key_rotated(unit.adapter_id)

    async def made() -> bool:
        return not (await standing()).making

    await eventually(made)


@pytest.mark.parametrize("policy", ["require", "ask"])
async def test_a_certificate_that_was_replaced_is_refused_once_its_adapter_has_the_new_one(site: Site) -> None:
    unit = await issued(site)
    former = site.certificates[unit.distribution_id]
    await rotated(site, unit, at_once=False)
    assert (await codes(site, unit))[::2] == (200, 200), "until a config pull brings the new one, the old one stands"

    stolen = former.with_name("stolen.pem")
    stolen.write_text(former.read_text())
    await site.pull(unit)
    assert (await site.contact(unit)).certificate_delivered_ms
    assert (await codes(site, unit))[::2] == (200, 200)
    site.certificates[unit.distribution_id] = stolen
    assert await codes(site, unit) == (401, 401, 401)
    words = "its certificate was replaced; its next config pull brings the new one"
    assert (await site.contact(unit)).refusal_reason == words
    assert (await site.pull(unit))[0] == 200, "whoever asks for its config gets the new one, as any that has none"
    assert (await codes(site, unit))[::2] == (200, 200)


async def test_a_certificate_in_wrong_hands_ends_at_once(site: Site) -> None:
    unit = await issued(site)
    await rotated(site, unit, at_once=True)
    assert await codes(site, unit) == (401, 401, 401)
    assert (await site.pull(unit))[0] == 200
    assert (await codes(site, unit))[::2] == (200, 200)


async def test_the_tunnel_of_a_certificate_that_ends_at_once_is_closed_when_its_adapter_was_asked_to_pull(
    site: Site,
) -> None:
    unit, other = await issued(site), await issued(site)
    device, bystander = Device(site, unit), Device(site, other)
    await device.ready()
    await bystander.ready()
    await rotated(site, unit, at_once=True)
    asked = await device.next()
    assert isinstance(asked, Request)
    assert (asked.type, asked.parameters) == ("pull-config", PullConfig("RS"))
    assert not device.ended.is_set(), "an adapter that is merely cut tries its tunnel for ever and never pulls"
    device.say(Response("pull-config", 100))
    await asyncio.wait_for(device.ended.wait(), 10)
    assert await device.open() == 401
    assert (
        "phonehome.put-out",
        {"reason": "the certificate that opened its tunnel was replaced"},
    ) in await site.events(unit)
    await site.pull(unit)
    back = Device(site, unit)
    await back.ready()
    assert not bystander.ended.is_set()


async def test_a_thief_who_does_not_obey_loses_its_tunnel_all_the_same(site: Site) -> None:
    unit = await issued(site)
    thief = Device(site, unit)
    await thief.ready()
    await rotated(site, unit, at_once=True)
    assert isinstance(await thief.next(), Request)
    thief.say(Response("pull-config", 302))
    await asyncio.wait_for(thief.ended.wait(), 10)
    assert await thief.open() == 401


@pytest.mark.parametrize("policy", ["ask"])
async def test_where_it_is_only_asked_for_none_need_be_shown_but_no_wrong_one(site: Site) -> None:
    one, other = await issued(site), await issued(site)
    await restarted(site, one)
    assert (await codes(site, one))[::2] == (200, 200)
    site.certificates[one.distribution_id] = site.certificates[other.distribution_id]
    assert await codes(site, one) == (401, 401, 401)


@pytest.mark.parametrize("policy", ["off"])
async def test_where_it_is_off_nobody_is_asked(site: Site) -> None:
    one, other = await issued(site), await issued(site)
    site.certificates[one.distribution_id] = site.certificates[other.distribution_id]
    assert (await codes(site, one))[::2] == (200, 200), "what is not asked for is not shown"
    await restarted(site, one)
    assert (await codes(site, one))[::2] == (200, 200)
