"""Records that the terms ask for, on both databases: kept with their rule, never edited, seen by their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from controller.keyring import Keyring
from controller.store import api_keys, audit, contractors, contracts, records
from controller.store.database import Database
from controller.store.records import About, Record
from controller.store.scope import By, Scope
from inventory.applications import Wanted
from inventory.contractevents import Notice
from inventory.contracts import State
from inventory.errors import BadInput, NotFound, RuleViolation
from inventory.records import NewRecord, RecordKind
from inventory.terms import VERSIONS
from tests.controller.store.contracting import ADAPTER, MANAGEMENT, MOBILE, TODAY, Office
from tests.controller.store.fleet import ALL, BY, Fleet


async def keep(
    fleet: Fleet,
    kind: RecordKind,
    about: About,
    *,
    day: date = TODAY,
    notified: date | None = None,
    corrects: int | None = None,
    facts: Mapping[str, object] | None = None,
    **more: str,
) -> Record:
    new = NewRecord(kind, "mpc", day, {**(facts or {}), **more}, notified=notified)
    async with fleet.database.write() as tx:
        return await records.keep(tx, ALL, BY, new, about, corrects_id=corrects)


@pytest.mark.rule("SMF-6")
async def test_a_filed_name_change_renames_the_same_contractor_and_keeps_its_proof(fleet: Fleet) -> None:
    who = await fleet.contractor()
    made = await keep(fleet, "name-change", About(who.id), name="Northern Foods KK", proof="register extract 17")
    assert (made.rule, made.terms_version, made.facts["proof"]) == ("SMF-6", VERSIONS["mpc"], "register extract 17")
    async with fleet.database.read() as tx:
        assert (await contractors.get(tx, ALL, who.id)).name == "Northern Foods KK"
        assert [one.action for one in await audit.page(tx, ALL)][-2:] == ["record.name-change", "contractor.rename"]


@pytest.mark.rule("SMF-17.4")
async def test_how_a_contractor_uses_the_service_goes_to_subsidiaries_only(fleet: Fleet) -> None:
    who = await fleet.contractor()
    async with fleet.database.write() as tx:
        ours = await records.add_company(tx, BY, name="Works KK", relation="subsidiary")
        other = await records.add_company(tx, BY, name="Field KK", relation="delegate")
    await keep(fleet, "usage-sharing", About(who.id, company_id=ours.id), what="uses Mobile Access")
    with pytest.raises(RuleViolation) as refused:
        await keep(fleet, "usage-sharing", About(who.id, company_id=other.id), what="uses Mobile Access")
    assert refused.value.rule == "SMF-17.4"
    async with fleet.database.write() as tx:
        await records.end_company(tx, BY, ours.id)
    with pytest.raises(RuleViolation):
        await keep(fleet, "usage-sharing", About(who.id, company_id=ours.id), what="uses Mobile Access")


@pytest.mark.rule("SMF-8.3")
async def test_every_serial_number_that_was_notified_is_kept_also_the_wrong_one(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    who = await fleet.contractor()
    line = (await Office(database, keyring).contract(who, MANAGEMENT, ADAPTER))["adapter"]
    for serial in ("SN-0O0001", "SN-000001"):
        await keep(fleet, "serial-number", About(line_id=line.id), serial_number=serial)
    async with database.read() as tx:
        found = await records.page(tx, Scope.of(who.id), kind="serial-number")
    assert [(one.facts["serial_number"], one.actor, one.recorded_ms) for one in found] == [
        ("SN-0O0001", "test", BY.at_ms),
        ("SN-000001", "test", BY.at_ms),
    ]


@pytest.mark.rule("MPC-9.4")
async def test_a_limit_of_mobile_traffic_says_when_and_how_on_its_line(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    lines = await Office(database, keyring).contract(await fleet.contractor(), MANAGEMENT, ADAPTER, MOBILE)
    made = await keep(fleet, "mobile-limit", About(line_id=lines["mobile-access"].id), how="200 kbit/s")
    assert (made.day, made.rule, made.facts["how"]) == (TODAY, "MPC-9.4", "200 kbit/s")
    with pytest.raises(BadInput):
        await keep(fleet, "mobile-limit", About(line_id=lines["adapter"].id), how="200 kbit/s")


@pytest.mark.rule("SMF-19")
async def test_an_emergency_restriction_is_recorded(fleet: Fleet) -> None:
    made = await keep(fleet, "restriction", About(), what="no pushes", reason="earthquake", priority="disaster relief")
    assert (made.rule, made.facts["priority"]) == ("SMF-19", "disaster relief")


@pytest.mark.rule("SMF-0", "SMF-27")
async def test_changed_terms_apply_from_their_day_and_events_carry_the_version_in_force(fleet: Fleet) -> None:
    day = TODAY + timedelta(days=60)
    await keep(fleet, "terms-change", About(), day=day, notified=TODAY, version="2026-01-01")
    async with fleet.database.read() as tx:
        assert await records.version_in_force(tx, "mpc", day - timedelta(days=1)) == VERSIONS["mpc"]
        assert await records.version_in_force(tx, "mpc", day) == "2026-01-01"
        assert await records.version_in_force(tx, "smfsx", day) == VERSIONS["smfsx"]


@pytest.mark.rule("MPC-6.3", "SMF-14.1")
async def test_invoices_go_to_an_adapter_user_from_its_day_and_a_correction_takes_it_back(fleet: Fleet) -> None:
    host, user = await fleet.contractor(), await fleet.contractor("Guest Foods")
    about = About(management_id=(await fleet.management(host)).id)
    facts = {"consent": "letter 3", "approval": "mail 9"}
    made = await keep(fleet, "invoice-addressee", about, adapter_user=user.key, facts=facts)
    assert about.management_id is not None
    async with fleet.database.read() as tx:
        assert await records.invoice_addressee(tx, about.management_id, TODAY) == user.id
        assert await records.invoice_addressee(tx, about.management_id, TODAY - timedelta(days=1)) is None
    later = TODAY + timedelta(days=9)
    await keep(fleet, "invoice-addressee", about, day=later, corrects=made.id, adapter_user=user.key, facts=facts)
    async with fleet.database.read() as tx:
        assert await records.invoice_addressee(tx, about.management_id, TODAY) is None
        assert await records.invoice_addressee(tx, about.management_id, later) == user.id


@pytest.mark.rule("MPC-10.1", "SMF-9.1")
async def test_a_consent_to_a_duty_of_care_belongs_to_a_unit_that_has_the_duty(fleet: Fleet) -> None:
    who = await fleet.contractor()
    lent, own = await fleet.adapter(who), await fleet.adapter(who, device_class="III", model="FortiGate")
    facts: dict[str, object] = {"duty": 2, "what": "lent out", "proof": "letter 4"}
    assert (await keep(fleet, "duty-consent", About(adapter_id=lent.id), facts=facts)).about.contractor_id == who.id
    for unit, duty in ((own, 2), (lent, 3)):
        with pytest.raises(RuleViolation):
            await keep(fleet, "duty-consent", About(adapter_id=unit.id), facts={**facts, "duty": duty})


@pytest.mark.rule("SMF-17.2")
async def test_records_are_seen_by_whom_they_are_about_and_nobody_else(fleet: Fleet) -> None:
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    made = await keep(fleet, "disclosure", About(who.id), to="an auditor", what="adapters", consent="letter 5")
    general = await keep(fleet, "restriction", About(), what="no pushes", reason="earthquake")
    async with fleet.database.read() as tx:
        assert [one.id for one in await records.page(tx, Scope.of(who.id))] == [made.id]
        assert await records.page(tx, Scope.of(other.id)) == []
        for number in (made.id, general.id):
            with pytest.raises(NotFound):
                await records.get(tx, Scope.of(other.id), number)
    mine = About(who.id, management_id=(await fleet.management(other)).id)
    with pytest.raises(BadInput):
        await keep(fleet, "count-refusal", mine, facts={"reason": 1, "asked": "40 entries"})


@pytest.mark.rule("SMF-17.5")
async def test_after_the_contract_secrecy_is_what_it_was(fleet: Fleet, database: Database, keyring: Keyring) -> None:
    """With its last line ended, a contractor's data still goes to nobody else, and only with its consent."""
    office = Office(database, keyring)
    who, other = await fleet.contractor(), await fleet.contractor("South Foods")
    lines = await office.contract(who, MANAGEMENT, ADAPTER)
    kept = await keep(fleet, "secrecy-release", About(who.id), what="the manual", to="its integrator", consent="mail 4")
    for line in lines.values():
        await office.record(line, Notice(TODAY))
    ended = TODAY + timedelta(days=400)
    await office.day(who, ended)
    assert {(await office.standing(line, ended)).contract.state for line in lines.values()} == {State.ENDED}
    for kind in ("disclosure", "secrecy-release"):
        with pytest.raises(RuleViolation, match="consent") as refused:
            await keep(fleet, kind, About(who.id), day=ended, to="a broker", what="its adapters")
        assert refused.value.facts["rules"] == [refused.value.rule, "SMF-17.5"]
    async with database.read() as tx:
        assert [one.id for one in await records.page(tx, Scope.of(who.id))] == [kept.id]
        with pytest.raises(NotFound):
            await records.get(tx, Scope.of(other.id), kept.id)
        with pytest.raises(NotFound):
            await contracts.line(tx, Scope.of(other.id), lines["adapter"].id)


@pytest.mark.rule("SMF-18")
async def test_an_operator_of_a_delegate_acts_under_its_company_in_the_audit(fleet: Fleet) -> None:
    async with fleet.database.write() as tx:
        works = await records.add_company(tx, BY, name="Works KK", relation="delegate")
        made, _ = await api_keys.create(tx, fleet.keyring, BY, name="night shift", role="operator", company_id=works.id)
    async with fleet.database.read() as tx:
        key = await api_keys.get(tx, made.id)
        assert key.actor == f"key {made.id} (night shift, Works KK)"
    async with fleet.database.write() as tx:
        await contractors.create(tx, ALL, By(key.actor, BY.at_ms), name="East Foods")
    async with fleet.database.write() as tx:
        assert (await audit.page(tx, ALL, actor=key.actor))[0].action == "contractor.create"
        with pytest.raises(NotFound):
            await api_keys.create(tx, fleet.keyring, BY, name="x", role="operator", company_id=99)
        await records.end_company(tx, BY, works.id)
        with pytest.raises(RuleViolation, match="Works KK") as refused:
            await api_keys.create(tx, fleet.keyring, BY, name="day shift", role="operator", company_id=works.id)
        assert refused.value.rule == "SMF-18"


def test_a_record_about_nothing_is_about_nothing() -> None:
    assert About().names == frozenset()
    assert About(line_id=3, company_id=1).names == {"line", "company"}
    assert Wanted("management").values == {}
