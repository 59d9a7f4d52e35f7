"""What a contractor is charged for a month: the facts of its lines, as of a day and as known at an instant (§6).

Nothing is stored: the amounts follow from dated facts, so any of them can be computed again as of any day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import or_, select

from controller.store import adapters as adapter_store
from controller.store import contractors, contracts, outages, prices, records, unitcharges
from controller.store.contracts import ContractLine
from controller.store.database import Tx
from controller.store.records import Addressees, Record
from controller.store.rows import in_parts
from controller.store.scope import Scope
from controller.store.tables.contracts import line_links
from controller.store.tables.inventory import adapters, slot_counts
from inventory.adapters import SerialNumber
from inventory.billing import BilledLine, Charge, Version, charges
from inventory.bills import Bill, Credit, bill, first_month
from inventory.calendar import Month, day_end_ms, tokyo_day
from inventory.catalogue import Service, model, offered
from inventory.contractbook import Book
from inventory.errors import NotFound
from inventory.liabilities import liability_charge
from inventory.prices import PriceList
from inventory.slots import show_key

Counts = tuple[tuple[date, int], ...]
Key = tuple[int, Service]
"""Of an invoice: who gets it, and the service."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What was linked to a line, from a day on."""

    line_id: int
    day: date
    management_id: int | None
    model_key: str | None


@dataclass(frozen=True, slots=True)
class LineCharges:
    """The charges of one line in the month, or why they cannot be told."""

    line: ContractLine
    charges: tuple[Charge, ...]
    billed_to: int
    """Contractor who gets the invoice: its own, or an adapter user (MPC-6.3, SMF-14.1)."""
    missing: str | None = None
    """A price that no list has."""
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What a contractor is charged for one month, and what it comes to."""

    contractor_id: int
    month: Month
    as_of: date
    known_at_ms: int | None
    lines: tuple[LineCharges, ...]
    others: tuple[Charge, ...]
    """Charges for units: lost, failed by fault, damaged."""
    missing: tuple[str, ...]
    """Prices that no list has; the sums are without them."""
    bills: Mapping[tuple[int, Service], Bill]
    """By the contractor who gets the invoice, and service: the contracts of each are invoiced apart."""


async def statement(
    tx: Tx, scope: Scope, contractor_id: int, month: Month, *, as_of: date | None = None, known_at_ms: int | None = None
) -> Statement:
    """A contractor's charges for a month of service, by what had happened or was asked for until `as_of` (the month's
    end, if left out) and recorded until `known_at_ms` (None: now); changes asked for until then come on their days.
    Raises NotFound."""
    await contractors.get(tx, scope, contractor_id)
    facts = await _gather(tx, contractor_id, month, as_of, known_at_ms)
    credits = await _credits(tx, facts, known_at_ms)
    first = min([month, *(first_month(month, found) for found in credits.values())])
    by_month: dict[Key, dict[Month, list[Charge]]] = {(contractor_id, one.service): {} for one in facts.lines}
    shown: list[LineCharges] = []
    others: list[tuple[Service, Charge]] = []
    missing: list[str] = []
    at = first
    while at <= month:
        shown = [_line_charges(facts, one, at) for one in facts.lines]
        others, lacking = _of_units(facts, at)
        missing = [*(one.missing for one in shown if one.missing), *lacking]
        for one in shown:
            by_month.setdefault((one.billed_to, one.line.service), {}).setdefault(at, []).extend(one.charges)
        for service, charge in others:
            by_month.setdefault((contractor_id, service), {}).setdefault(at, []).append(charge)
        at = at.plus(1)
    return Statement(
        contractor_id,
        month,
        facts.until,
        known_at_ms,
        tuple(one for one in shown if one.charges or one.missing),
        tuple(charge for _, charge in others),
        tuple(missing),
        {key: bill(month, by_month.get(key, {}), credits.get(key, ())) for key in sorted({*by_month, *credits})},
    )


async def of_line(
    tx: Tx, scope: Scope, line_id: int, month: Month, *, as_of: date | None = None, known_at_ms: int | None = None
) -> LineCharges:
    """The charges of one line in a month. Raises NotFound."""
    line = await contracts.line(tx, scope, line_id)
    facts = await _gather(tx, line.contractor_id, month, as_of, known_at_ms)
    found = next((one for one in facts.lines if one.id == line.id), None)
    return LineCharges(line, (), line.contractor_id) if found is None else _line_charges(facts, found, month)


# --- facts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Facts:
    contractor_id: int
    until: date
    lines: Sequence[ContractLine]
    book: Book
    links: Mapping[int, Sequence[Linked]]
    counts: Mapping[tuple[int, str], Counts]
    prices: PriceList
    units: Sequence[unitcharges.UnitCharge]
    addressees: Addressees
    exempt: Mapping[int, Record]
    own_units: Mapping[str, str]
    """Serial number of an adapter without a rental → key of its model."""


async def _gather(tx: Tx, contractor_id: int, month: Month, as_of: date | None, known_at_ms: int | None) -> _Facts:
    # The day after the month brings what ended with its last day.
    horizon = month.last + timedelta(days=1)
    until = horizon if as_of is None else as_of
    horizon = max(horizon, until)
    lines = await contracts.lines_of(tx, contractor_id, known_at_ms=known_at_ms)
    linked = await _links(tx, [one.id for one in lines], until, known_at_ms)
    managements = sorted({one.management_id for found in linked.values() for one in found if one.management_id})
    units = await unitcharges.of_contractor(tx, contractor_id, known_at_ms)
    return _Facts(
        contractor_id,
        until,
        lines,
        await contracts.book(tx, contractor_id, horizon, known_at_ms=known_at_ms, asked_until=until),
        linked,
        await _counts(tx, managements, until, known_at_ms),
        await prices.price_list(tx, contractor_id, known_at_ms),
        [one for one in units if one.day <= until],
        await records.addressees(tx, managements, known_at_ms=known_at_ms),
        await records.exempt_lines(tx, contractor_id, as_of, known_at_ms=known_at_ms),
        await _own_units(tx, lines),
    )


async def _own_units(tx: Tx, lines: Sequence[ContractLine]) -> dict[str, str]:
    found = {}
    for serial in {one.wanted.serial_number for one in lines if one.wanted.serial_number}:
        unit = await adapter_store.by_serial(tx, Scope.everything(), SerialNumber.parse(serial))
        found[serial] = unit.model.key
    return found


async def _links(tx: Tx, line_ids: Sequence[int], until: date, known_at_ms: int | None) -> dict[int, list[Linked]]:
    found: dict[int, list[Linked]] = {}
    for some in in_parts(line_ids):
        query = (
            select(line_links, adapters.c.model)
            .outerjoin(adapters, adapters.c.id == line_links.c.adapter_id)
            .where(line_links.c.line_id.in_(some), line_links.c.day <= until.isoformat())
            .order_by(line_links.c.day, line_links.c.id)
        )
        if known_at_ms is not None:
            query = query.where(line_links.c.recorded_ms <= known_at_ms)
        for row in await tx.execute(query):
            key = None if row.model is None else model(row.model).key
            one = Linked(row.line_id, date.fromisoformat(row.day), row.management_id, key)
            found.setdefault(row.line_id, []).append(one)
    return found


async def _counts(
    tx: Tx, managements: Sequence[int], until: date, known_at_ms: int | None
) -> dict[tuple[int, str], Counts]:
    """Counts by management and kind, ascending; a change on the day of the opening takes its place. One that was asked
    for until the day counts, also if its own day is still to come."""
    asked_before_ms = day_end_ms(until)
    found: dict[tuple[int, str], dict[date, int]] = {}
    for some in in_parts(managements):
        query = (
            select(slot_counts)
            .where(
                slot_counts.c.management_id.in_(some),
                or_(slot_counts.c.valid_from <= until.isoformat(), slot_counts.c.recorded_ms < asked_before_ms),
            )
            .order_by(slot_counts.c.valid_from, slot_counts.c.opening.desc(), slot_counts.c.id)
        )
        if known_at_ms is not None:
            query = query.where(slot_counts.c.recorded_ms <= known_at_ms)
        for row in await tx.execute(query):
            found.setdefault((row.management_id, row.kind), {})[date.fromisoformat(row.valid_from)] = row.slots
    return {key: tuple(sorted(days.items())) for key, days in found.items()}


async def _credits(tx: Tx, facts: _Facts, known_at_ms: int | None) -> dict[Key, list[Credit]]:
    """Credits by the invoice that they come off: the one that carries the management's fees."""
    granted = await outages.credits_of(tx, facts.contractor_id, known_at_ms)
    addressees = await records.addressees(tx, {one.management_id for one in granted}, known_at_ms=known_at_ms)
    found: dict[Key, list[Credit]] = {}
    for one in granted:
        day = tokyo_day(one.decided_ms)
        if day <= facts.until:
            payer = addressees.on(one.management_id, day) or facts.contractor_id
            words = f"outage {one.outage_id} of {show_key('M', one.management_id)}"
            found.setdefault((payer, one.service), []).append(Credit(words, Month.of(day), one.decision.amount))
    return found


# --- from facts to charges --------------------------------------------------------------------------------------------


def _line_charges(facts: _Facts, line: ContractLine, month: Month) -> LineCharges:
    of_management = next((one.management_id for one in facts.links.get(line.id, ()) if one.management_id), None)
    payer = facts.addressees.on(of_management or 0, month.last) or facts.contractor_id
    if line.id not in facts.book.contracts:
        return LineCharges(line, (), payer)
    try:
        return LineCharges(line, charges(_billed(facts, line), facts.prices, month), payer)
    except NotFound as error:
        return LineCharges(line, (), payer, error.message, error.rule)


def _of_units(facts: _Facts, month: Month) -> tuple[list[tuple[Service, Charge]], list[str]]:
    found, missing = [], []
    for one in facts.units:
        if Month.of(one.day) == month:
            try:
                charge = liability_charge(one.unit, one.what, one.day, facts.prices, one.cost_yen)
            except NotFound as error:
                missing.append(error.message)
            else:
                found.append((one.unit.service, charge))
    return found, missing


def _billed(facts: _Facts, line: ContractLine) -> BilledLine:
    contract = facts.book.contracts[line.id]
    if line.kind == "management":
        number = next((one.management_id for one in facts.links.get(line.id, ()) if one.management_id), 0)
        start = contract.billing_start
        entries = _since(start, facts.counts.get((number or 0, "entry"), ()), line.wanted.entries or 0)
        standbys = _since(start, facts.counts.get((number or 0, "standby"), ()), line.wanted.standbys or 0)
        return BilledLine(contract, entries=entries, standbys=standbys, exempt=line.id in facts.exempt)
    return BilledLine(
        contract,
        device_class=line.wanted.device_class,
        versions=_versions(facts, line),
        exempt=line.id in facts.exempt,
    )


def _since(start: date | None, counts: Counts, applied_for: int) -> Counts:
    """Counts from the billing start date on (SMF-15.5); before the first dated one, what was applied for."""
    if start is None:
        return ()
    before = [count for day, count in counts if day <= start]
    return ((start, before[-1] if before else applied_for), *((day, count) for day, count in counts if day > start))


def _versions(facts: _Facts, line: ContractLine) -> tuple[Version, ...]:
    if line.kind in {"mobile-access", "packet-share-group"}:
        return tuple(
            Version(
                day,
                plan=str(values.get("plan", "")),
                network_type=str(values.get("network-type", "")),
                packs_gb=int(values.get("packs-gb", 0)),
            )
            for day, values in facts.book.values[line.id]
        )
    bound = line
    if line.wanted.serial_number is not None:
        return (Version(line.received, model=facts.own_units[line.wanted.serial_number]),)
    if line.kind == "ultra-firewall" and line.on_line_id is not None:
        bound = next((one for one in facts.lines if one.id == line.on_line_id), line)
    found = [Version(bound.received, model=model(bound.wanted.model).key if bound.wanted.model else "")]
    for one in facts.links.get(bound.id, ()):
        # An mpc line's model does not change; a rental's registered one does by a replacement (service-terms §4).
        if one.model_key is None or one.model_key == found[-1].model:
            continue
        if one.day <= found[-1].first_day:
            found[-1] = Version(found[-1].first_day, model=one.model_key)
        else:
            found.append(Version(one.day, model=one.model_key))
    return tuple(_of_firewall(found, line.received) if line.kind == "ultra-firewall" else found)


def _of_firewall(found: Sequence[Version], received: date) -> list[Version]:
    """From its own application on. On a model that is not a designated one it sleeps, and its fee goes on (SMF-2)."""
    designated = [one for one in found if offered("smfsx", "ultra-firewall", None, one.model)] or list(found[:1])
    earlier = sum(one.first_day <= received for one in designated)
    return designated[max(0, earlier - 1) :]
