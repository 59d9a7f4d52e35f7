"""The contract governs phone-home: lines that ended or wait are refused with their rule; what was begun ends first."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from controller import explaining
from controller.store import adapters, contractday, contractors, contracts, managements
from controller.store.contracts import ContractLine
from controller.store.entitlement import lines as governing
from controller.store.scope import By
from drivers.arms.parameters import PingCounts
from inventory.applications import Wanted
from inventory.calendar import tokyo_day
from inventory.contractevents import ProviderTerminates
from inventory.errors import RuleViolation
from inventory.operations import OperationState
from tests.controller.operations.asking import asking
from tests.controller.operations.test_endings import accept
from tests.controller.phonehome.site import ALL, Device, Site, Unit, eventually
from tests.controller.phonehome.test_answer_table import codes
from tests.controller.phonehome.test_tunnel import done
from tests.controller.store.contracting import Office


def now(site: Site) -> By:
    return By("ann", site.clock.now_ms())


async def contracted(site: Site, unit: Unit, *, start: date | None = None) -> dict[str, ContractLine]:
    """Its management and itself under contract lines."""
    async with site.database.read() as tx:
        one = await adapters.get(tx, ALL, unit.adapter_id)
        who = await contractors.get(tx, ALL, one.contractor_id)
        held = await managements.get(tx, ALL, unit.management_id)
    office = Office(site.database, site.keyring)
    by = now(site)
    items = (
        Wanted(
            "management",
            name="Osaka",
            classes=held.classes,
            entries=held.entry_count,
            standbys=held.standby_count,
            management_id=held.id,
        ),
        Wanted("adapter", name="edge", device_class=one.device_class, model=one.model.names[0][1]),
    )
    application = await office.apply(who, *items, by=by)
    await office.accept(application, billing_start=start or tokyo_day(by.at_ms), by=by)
    async with site.database.read() as tx:
        made: dict[str, ContractLine] = {line.kind: line for line in await contracts.of_application(tx, application.id)}
    await office.link(made["adapter"], one, by=by)
    return made


async def ended(site: Site, line: ContractLine) -> None:
    """The provider ended the line yesterday, as of a daemon that runs one day later."""
    by = now(site)
    today = tokyo_day(by.at_ms)
    office = Office(site.database, site.keyring)
    await office.record(line, ProviderTerminates(today, today, "unavoidable", today), by=by)
    async with site.database.write() as tx:
        tomorrow = By("daemon", by.at_ms + 86_400_000)
        await contractday.settle(tx, site.keyring, tomorrow, line.contractor_id)


@pytest.mark.rule("MPC-14", "SMF-23.1")
async def test_an_ended_adapter_line_is_refused_with_its_rule_and_explain_says_so(site: Site) -> None:
    unit = await site.unit()
    lines = await contracted(site, unit)
    assert (await codes(site, unit))[:2] == (100, 100)
    await ended(site, lines["adapter"])
    assert await codes(site, unit) == (100, 404, 403)
    assert "SMF-23.1" in ((await site.contact(unit)).refusal_reason or "")
    async with site.database.read() as tx:
        (told,) = await explaining.adapters(tx, site, [await adapters.get(tx, ALL, unit.adapter_id)])
        assert await governing(tx, [unit.adapter_id]) == {
            unit.adapter_id: (lines["adapter"].key, lines["management"].key)
        }
    assert "SMF-23.1" in {fact.rule for fact in told.facts}


async def test_a_line_that_waits_for_its_billing_start_gives_no_config_yet(site: Site) -> None:
    unit = await site.unit()
    await contracted(site, unit, start=tokyo_day(site.clock.now_ms()) + timedelta(days=9))
    assert await codes(site, unit) == (100, 404, 403)
    assert "MPC-5" in ((await site.contact(unit)).refusal_reason or "")


async def test_an_adapter_without_a_contract_line_stays_controlled_and_explain_says_that_none_is_recorded(
    site: Site,
) -> None:
    unit = await site.unit()
    assert (await codes(site, unit))[:2] == (100, 100)
    async with site.database.read() as tx:
        (told,) = await explaining.adapters(tx, site, [await adapters.get(tx, ALL, unit.adapter_id)])
    assert "no contract line is recorded" in {fact.text for fact in told.facts}


@pytest.mark.rule("SMF-21")
async def test_what_was_begun_before_a_suspension_ends_first_and_nothing_new_begins(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    device.answering = False
    async with asking(site) as asked:
        number = await asked.ask(unit, "ping", address="192.0.2.1")
        await accept(device, "ping-start", 7)
        waits = await asked.ask(unit, "ping", address="192.0.2.2")
        await site.suspend(unit)
        await site.home.place_changed(unit.adapter_id)
        assert site.home._context.peers[unit.adapter_id].paths, "put out in the middle of an operation"
        device.say(done(device, "ping-done", 7, parameters=PingCounts(3, 0)))
        carried_out, _ = await asked.ended(number)
        assert carried_out.state is OperationState.DONE
        never, _ = await asked.ended(waits)
        assert never.state is OperationState.NOT_DONE
        assert "SMF-21" in never.said
        with pytest.raises(RuleViolation):
            await asked.ask(unit, "ping", address="192.0.2.3")
    await site.home.place_changed(unit.adapter_id)
    await eventually(lambda: asyncio.sleep(0, not site.home._context.peers[unit.adapter_id].paths))
