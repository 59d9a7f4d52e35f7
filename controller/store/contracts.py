"""Contract lines as they stand, as of a day and as known at an instant (service-terms §8). Nothing is changed here."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select

from controller.store.database import Tx
from controller.store.rows import in_parts, not_found
from controller.store.scope import Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.contracts import applications, contract_events, contract_lines, line_links
from controller.store.tables.inventory import adapters, contractors, entries, placements, standbys
from inventory.adapters import SerialNumber
from inventory.applications import Wanted
from inventory.calendar import tokyo_day
from inventory.catalogue import Service
from inventory.contractbook import VOID, Book, BookEvent, BookLine, EndedElsewhere, event_of, fold
from inventory.contracts import Cause, Contract, State
from inventory.entitlement import Stop, lack_of
from inventory.fees import Kind
from inventory.slots import show_key

IN_FORCE = frozenset({State.ACCEPTED, State.ACTIVE, State.SUSPENDED, State.DORMANT, State.TERMINATING})


@dataclass(frozen=True, slots=True)
class ContractLine:
    """A contract line or option as it was applied for."""

    id: int
    application_id: int
    contractor_id: int
    service: Service
    kind: Kind
    name: str
    on_line_id: int | None
    group_line_id: int | None
    management_id: int | None
    wanted: Wanted
    received: date
    created_ms: int

    @property
    def key(self) -> str:
        """`L-7`."""
        return show_key("L", self.id)


@dataclass(frozen=True, slots=True)
class Standing:
    """A line with its state, and what it is linked to."""

    line: ContractLine
    contract: Contract
    values: tuple[tuple[date, Mapping[str, str | int]], ...]
    group_line_id: int | None
    managements: tuple[int, ...]
    """The management of a management line; empty before it is accepted."""
    adapters: tuple[int, ...]
    """Units of an adapter line, the newest last."""
    lacks: Stop | None
    """What it can do nothing without since the last line of the other kind ended (MPC-6.1)."""
    on_line_id: int | None
    """What an option is bound to then: Ultra Firewall without a rental goes with its adapter (SMF-23.3)."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of a line, as it was recorded."""

    id: int
    line_id: int
    name: str
    day: date
    recorded_ms: int
    actor: str
    rule: str
    terms_version: str
    facts: Mapping[str, object]
    alert: str | None
    corrects_id: int | None
    calendar: bool


async def lock(tx: Tx, contractor_id: int) -> None:
    """Hold a contractor's contracts against every other change; taken before managements and adapters."""
    await tx.execute(select(contractors.c.id).where(contractors.c.id == contractor_id).with_for_update())


def _lines() -> Select[Any]:
    return select(contract_lines, applications.c.received, applications.c.created_ms).join(
        applications, applications.c.id == contract_lines.c.application_id
    )


async def line(tx: Tx, scope: Scope, line_id: int) -> ContractLine:
    """The line as it was applied for. Raises NotFound."""
    row = (await tx.execute(_lines().where(contract_lines.c.id == line_id))).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found(f"contract line {show_key('L', line_id)}")
    return _line(row)


async def lines_of(tx: Tx, contractor_id: int, *, known_at_ms: int | None = None) -> list[ContractLine]:
    """Every line of a contractor that was known then, also the refused ones. The caller has checked the scope."""
    query = _lines().where(contract_lines.c.contractor_id == contractor_id).order_by(contract_lines.c.id)
    if known_at_ms is not None:
        query = query.where(applications.c.created_ms <= known_at_ms)
    return [_line(row) for row in await tx.execute(query)]


async def by_number(tx: Tx, line_ids: Collection[int]) -> list[ContractLine]:
    """The lines of these numbers, by number. The caller has checked the scope."""
    found: list[ContractLine] = []
    for some in in_parts(line_ids):
        found += [_line(row) for row in await tx.execute(_lines().where(contract_lines.c.id.in_(some)))]
    return sorted(found, key=lambda one: one.id)


async def of_application(tx: Tx, application_id: int) -> list[ContractLine]:
    """Lines of an application, in the order of its items."""
    query = _lines().where(contract_lines.c.application_id == application_id).order_by(contract_lines.c.id)
    return [_line(row) for row in await tx.execute(query)]


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    contractor_id: int | None = None,
    kind: Kind | None = None,
    service: Service | None = None,
) -> list[ContractLine]:
    """Lines with a number above `after`, in its order; every filter given must hold."""
    query = _lines().where(contract_lines.c.id > after).order_by(contract_lines.c.id).limit(limit)
    equal = (
        (contract_lines.c.contractor_id, scope.contractor_id),
        (contract_lines.c.contractor_id, contractor_id),
        (contract_lines.c.kind, kind),
        (contract_lines.c.service, service),
    )
    for column, wanted in equal:
        if wanted is not None:
            query = query.where(column == wanted)
    return [_line(row) for row in await tx.execute(query)]


async def book(
    tx: Tx,
    contractor_id: int,
    as_of: date,
    *,
    known_at_ms: int | None = None,
    without: int | None = None,
    asked_until: date | None = None,
    alone: bool = False,
) -> Book:
    """A contractor's lines at the end of a day, from what was known at an instant (None: now).

    `without`: an event that is about to be corrected. `asked_until`: what somebody asked for or told later is left
    out, while the calendar goes on to `as_of`. `alone`: without what other contractors' lines do to these; managements
    never depend on them. The caller has checked the scope.
    """
    known = await lines_of(tx, contractor_id, known_at_ms=known_at_ms)
    query = (
        select(contract_events)
        .join(contract_lines, contract_lines.c.id == contract_events.c.line_id)
        .where(contract_lines.c.contractor_id == contractor_id, contract_events.c.calendar == 0)
        .order_by(contract_events.c.id)
    )
    if known_at_ms is not None:
        query = query.where(contract_events.c.recorded_ms <= known_at_ms)
    recorded = [_book_event(_event(row)) for row in await tx.execute(query)]
    if asked_until is not None:
        # A later event had not happened; what it corrects has not happened either.
        later = (one.event is not None and one.event.day > asked_until for one in recorded)
        recorded = [replace(one, event=None) if late else one for one, late in zip(recorded, later, strict=True)]
    homes = {} if alone else await _homes(tx, known, known_at_ms, asked_until)
    lines = [replace(_book_line(one), homes=homes.get(one.id, ())) for one in known]
    others = {line for seats in homes.values() for _, line in seats if line is not None} - {one.id for one in known}
    elsewhere = []
    for one in await by_number(tx, others):
        theirs = await book(tx, one.contractor_id, as_of, known_at_ms=known_at_ms, asked_until=asked_until, alone=True)
        contract = theirs.contracts.get(one.id)
        if contract is not None and contract.state is State.ENDED and contract.effective is not None:
            elsewhere.append(EndedElsewhere(one.id, contract.effective, contract.cause is Cause.ABOLITION))
    return fold(lines, [one for one in recorded if one.id != without], as_of, elsewhere)


async def _homes(
    tx: Tx, known: Sequence[ContractLine], known_at_ms: int | None, asked_until: date | None
) -> dict[int, tuple[tuple[date, int | None], ...]]:
    """Ultra Firewall without a rental → the lines of the managements that its adapter sat in, with the first day."""
    found: dict[int, tuple[tuple[date, int | None], ...]] = {}
    for one in known:
        if one.wanted.serial_number is not None:
            query = (
                select(placements.c.from_ms, line_links.c.line_id)
                .join(adapters, adapters.c.id == placements.c.adapter_id)
                .outerjoin(entries, entries.c.id == placements.c.entry_id)
                .outerjoin(standbys, standbys.c.id == placements.c.standby_id)
                .outerjoin(
                    line_links,
                    line_links.c.management_id == func.coalesce(entries.c.management_id, standbys.c.management_id),
                )
                .where(adapters.c.serial_key == SerialNumber.parse(one.wanted.serial_number).key)
                .order_by(placements.c.from_ms, placements.c.id)
            )
            if known_at_ms is not None:
                query = query.where(placements.c.from_ms <= known_at_ms)
            seats = [(tokyo_day(row.from_ms), row.line_id) for row in await tx.execute(query)]
            found[one.id] = tuple(one for one in seats if asked_until is None or one[0] <= asked_until)
    return found


async def standing(
    tx: Tx, wanted: Sequence[ContractLine], as_of: date, *, known_at_ms: int | None = None
) -> list[Standing]:
    """How lines stand, in their order; those not yet applied for on that day are left out. One fold a contractor."""
    books = {
        number: await book(tx, number, as_of, known_at_ms=known_at_ms)
        for number in sorted({one.contractor_id for one in wanted})
    }
    linked = await links(tx, [one.id for one in wanted])
    found = []
    for one in wanted:
        read = books[one.contractor_id]
        if one.id in read.contracts:
            of_management, of_adapter = linked.get(one.id, ((), ()))
            found.append(standing_of(one, read, of_management, of_adapter))
    return found


def standing_of(
    line: ContractLine, read: Book, of_management: tuple[int, ...], of_adapter: tuple[int, ...]
) -> Standing:
    """A line as the book has it, with what it is linked to."""
    return Standing(
        line,
        read.contracts[line.id],
        read.values[line.id],
        read.groups[line.id],
        of_management,
        of_adapter,
        lack_of(read.contracts[line.id], read.contracts.values(), guest=line.management_id is not None),
        read.on[line.id],
    )


async def links(tx: Tx, line_ids: Collection[int]) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Line → its managements, its units; the newest last."""
    found: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for some in in_parts(line_ids):
        rows = await tx.execute(select(line_links).where(line_links.c.line_id.in_(some)).order_by(line_links.c.id))
        for row in rows:
            of_management, of_adapter = found.get(row.line_id, ((), ()))
            if row.management_id is not None:
                of_management = (*of_management, row.management_id)
            else:
                of_adapter = (*of_adapter, row.adapter_id)
            found[row.line_id] = (of_management, of_adapter)
    return found


async def line_of_management(tx: Tx, management_id: int) -> ContractLine | None:
    """The line that a management is held under; None for one without."""
    row = (
        await tx.execute(
            _lines()
            .join(line_links, line_links.c.line_id == contract_lines.c.id)
            .where(line_links.c.management_id == management_id)
        )
    ).one_or_none()
    return None if row is None else _line(row)


async def events(tx: Tx, scope: Scope, line_id: int) -> list[EventRow]:
    """Every event of a line in the order it was recorded, corrected ones too. Raises NotFound."""
    await line(tx, scope, line_id)
    rows = await tx.execute(
        select(contract_events).where(contract_events.c.line_id == line_id).order_by(contract_events.c.id)
    )
    return [_event(row) for row in rows]


def details_of(wanted: Wanted) -> str:
    """What is kept of an item: canonical JSON without what is empty."""
    given = {name: value for name, value in asdict(wanted).items() if value not in (None, (), "")}
    return to_json(given)


def _wanted(text: str) -> Wanted:
    given = json.loads(text)
    return Wanted(**{**given, "classes": tuple(given.get("classes", ()))})


def _line(row: AnyRow) -> ContractLine:
    return ContractLine(
        id=row.id,
        application_id=row.application_id,
        contractor_id=row.contractor_id,
        service=row.service,
        kind=row.kind,
        name=row.name,
        on_line_id=row.on_line_id,
        group_line_id=row.group_line_id,
        management_id=row.management_id,
        wanted=_wanted(row.details),
        received=date.fromisoformat(row.received),
        created_ms=row.created_ms,
    )


def _event(row: AnyRow) -> EventRow:
    return EventRow(
        id=row.id,
        line_id=row.line_id,
        name=row.name,
        day=date.fromisoformat(row.day),
        recorded_ms=row.recorded_ms,
        actor=row.actor,
        rule=row.rule,
        terms_version=row.terms_version,
        facts=json.loads(row.facts),
        alert=row.alert,
        corrects_id=row.corrects_id,
        calendar=bool(row.calendar),
    )


def _book_line(one: ContractLine) -> BookLine:
    return BookLine(one.id, one.service, one.kind, one.received, one.on_line_id, one.group_line_id, one.wanted.values)


def _book_event(row: EventRow) -> BookEvent:
    facts = dict(row.facts)
    group = facts.pop("group", None)
    event = None if row.name == VOID else event_of(row.name, row.day, facts)
    return BookEvent(row.id, row.line_id, event, row.corrects_id, group if isinstance(group, int) else None)
