"""Records that the terms ask for, companies that work is delegated to, and the version of the terms in force."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import insert, select, update

from controller.store import adapters, audit, contractors, contracts
from controller.store.database import Tx
from controller.store.rows import in_parts, not_found
from controller.store.scope import By, Scope
from controller.store.tables import inventory
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.contracts import companies, contract_lines, records
from inventory.calendar import tokyo_day
from inventory.catalogue import Service
from inventory.errors import BadInput, Conflict, RuleViolation
from inventory.records import SHAPES, NewRecord, RecordKind, Relation, require_duty, require_record
from inventory.slots import parse_key
from inventory.terms import VERSIONS


@dataclass(frozen=True, slots=True)
class About:
    """What a record is about; None: not about one."""

    contractor_id: int | None = None
    line_id: int | None = None
    management_id: int | None = None
    adapter_id: int | None = None
    company_id: int | None = None

    @property
    def names(self) -> frozenset[str]:
        """Of `contractor`, `line`, `management`, `adapter`, `company`: those that are named."""
        return frozenset(name.removesuffix("_id") for name in self.__slots__ if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was kept. It is never edited: a correction is another one that names it."""

    id: int
    kind: RecordKind
    about: About
    day: date
    notified: date | None
    until: date | None
    recorded_ms: int
    actor: str
    rule: str
    terms_version: str
    facts: Mapping[str, object]
    corrects_id: int | None


@dataclass(frozen=True, slots=True)
class Company:
    """The provider, a subsidiary of it, or one that work is delegated to (SMF-17.4, SMF-18)."""

    id: int
    name: str
    relation: Relation
    created_ms: int
    ended_ms: int | None


# --- records ----------------------------------------------------------------------------------------------------------


async def keep(tx: Tx, scope: Scope, by: By, new: NewRecord, about: About, *, corrects_id: int | None = None) -> Record:
    """Keep a record. Raises what `require_record` raises, NotFound for what it is about."""
    new = replace(new, after_contract=await _contract_over(tx, scope, about.contractor_id, new.day))
    require_record(new, about.names)
    about = await _owned(tx, scope, new, about)
    if corrects_id is not None and (await get(tx, scope, corrects_id)).kind != new.kind:
        raise BadInput("a correction is of the same kind", field="corrects", next_step="Name a record of the kind.")
    number = await tx.scalar(
        insert(records)
        .values(
            kind=new.kind,
            contractor_id=about.contractor_id,
            line_id=about.line_id,
            management_id=about.management_id,
            adapter_id=about.adapter_id,
            company_id=about.company_id,
            day=new.day.isoformat(),
            notified=None if new.notified is None else new.notified.isoformat(),
            until_day=None if new.until is None else new.until.isoformat(),
            recorded_ms=by.at_ms,
            actor=by.actor,
            rule=new.rule,
            terms_version=await version_in_force(tx, new.service, tokyo_day(by.at_ms)),
            facts=to_json({**new.facts, "service": new.service}),
            corrects_id=corrects_id,
        )
        .returning(records.c.id)
    )
    assert number is not None
    shown = {"day": new.day.isoformat(), "rule": ", ".join(new.rules), **new.facts}
    audit.record(tx, by, f"record.{new.kind}", f"record {number}", contractor_id=about.contractor_id, after=shown)
    if new.kind == "name-change" and about.contractor_id is not None:
        await contractors.rename(tx, by, about.contractor_id, str(new.facts["name"]))
    return await get(tx, scope, number)


async def get(tx: Tx, scope: Scope, record_id: int) -> Record:
    """The record. Raises NotFound, also for one that is about nobody in a narrower scope."""
    row = (await tx.execute(select(records).where(records.c.id == record_id))).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found(f"record {record_id}")
    return _record(row)


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    kind: RecordKind | None = None,
    contractor_id: int | None = None,
) -> list[Record]:
    """Records with a number above `after`, in its order, corrected ones too."""
    query = select(records).where(records.c.id > after).order_by(records.c.id).limit(limit)
    for owner in (scope.contractor_id, contractor_id):
        if owner is not None:
            query = query.where(records.c.contractor_id == owner)
    if kind is not None:
        query = query.where(records.c.kind == kind)
    return [_record(row) for row in await tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Addressees:
    """Whom the invoices for the fees of managements go to, day by day (MPC-6.3, SMF-14.1)."""

    by_management: Mapping[int, tuple[Record, ...]]

    def on(self, management_id: int, day: date) -> int | None:
        """Contractor who gets them on a day; None: the management's own."""
        for one in reversed(self.by_management.get(management_id, ())):
            if one.day <= day and (one.until is None or day <= one.until):
                return parse_key(str(one.facts["adapter_user"]))[1]
        return None


async def addressees(tx: Tx, management_ids: Collection[int], *, known_at_ms: int | None = None) -> Addressees:
    """The addressees of managements, as they were recorded until an instant (None: now)."""
    found: dict[int, list[Record]] = {}
    corrected: set[int | None] = set()
    for some in in_parts(sorted(management_ids)):
        query = (
            select(records)
            .where(records.c.kind == "invoice-addressee", records.c.management_id.in_(some))
            .order_by(records.c.day, records.c.id)
        )
        if known_at_ms is not None:
            query = query.where(records.c.recorded_ms <= known_at_ms)
        for row in await tx.execute(query):
            corrected.add(row.corrects_id)
            found.setdefault(row.management_id, []).append(_record(row))
    return Addressees({key: tuple(one for one in of if one.id not in corrected) for key, of in found.items()})


async def invoice_addressee(tx: Tx, management_id: int, day: date) -> int | None:
    """Contractor whom the invoices for a management's fees go to on a day (MPC-6.3, SMF-14.1); None: its own."""
    return (await addressees(tx, [management_id])).on(management_id, day)


async def exempt_lines(
    tx: Tx, contractor_id: int, until: date | None, *, known_at_ms: int | None = None
) -> Mapping[int, Record]:
    """Lines for which article 28(2) or (3) of the general terms holds (MPC-16.1), with the record that says so; those
    of days up to `until` (None: of any day)."""
    query = (
        select(records)
        .where(records.c.kind == "exemption", records.c.contractor_id == contractor_id)
        .order_by(records.c.id)
    )
    if known_at_ms is not None:
        query = query.where(records.c.recorded_ms <= known_at_ms)
    found = [_record(row) for row in await tx.execute(query)]
    corrected = {one.corrects_id for one in found}
    return {
        one.about.line_id: one
        for one in found
        if one.id not in corrected
        and (until is None or one.day <= until)
        and one.facts["clause"] != "none"
        and one.about.line_id
    }


async def version_in_force(tx: Tx, service: Service, day: date) -> str:
    """Version of a service's terms that is in force on a day (SMF-0, SMF-27)."""
    rows = await tx.execute(
        select(records.c.facts)
        .where(records.c.kind == "terms-change", records.c.day <= day.isoformat())
        .order_by(records.c.day.desc(), records.c.id.desc())
    )
    for row in rows:
        facts = json.loads(row.facts)
        if facts["service"] == service:
            return str(facts["version"])
    return VERSIONS[service]


async def _contract_over(tx: Tx, scope: Scope, contractor_id: int | None, day: date) -> bool:
    """Whether a contractor had contracts, and none is in force on a day any more."""
    if contractor_id is None or not scope.allows(contractor_id):
        return False
    found = await contracts.standing(tx, await contracts.lines_of(tx, contractor_id), day)
    concluded = [one.contract.state for one in found if one.contract.concluded is not None]
    return bool(concluded) and not any(state in contracts.IN_FORCE for state in concluded)


async def _owned(tx: Tx, scope: Scope, new: NewRecord, about: About) -> About:
    """The same with the contractor that the other things belong to; raises NotFound, RuleViolation."""
    owners = {about.contractor_id} - {None}
    if about.contractor_id is not None:
        await contractors.get(tx, scope, about.contractor_id)
    for table, number in ((contract_lines, about.line_id), (inventory.managements, about.management_id)):
        if number is not None:
            owner = await tx.scalar(select(table.c.contractor_id).where(table.c.id == number))
            if owner is None or not scope.allows(owner):
                raise not_found(f"{table.name.removesuffix('s').replace('_', ' ')} {number}")
            owners.add(owner)
    if about.adapter_id is not None:
        unit = await adapters.get(tx, scope, about.adapter_id)
        owners.add(unit.contractor_id)
        if new.kind == "duty-consent":
            require_duty(unit.service, unit.device_class, new.facts["duty"])
    if len(owners) > 1:
        raise BadInput("what it is about belongs to different contractors", field="contractor", next_step="Correct it.")
    await _known(tx, scope, new, about)
    owner = next(iter(owners), None)
    return About(owner, about.line_id, about.management_id, about.adapter_id, about.company_id)


async def _known(tx: Tx, scope: Scope, new: NewRecord, about: About) -> None:
    """Who is named beside the owner exists and is what the rule asks for."""
    if new.kind == "invoice-addressee":
        kind, number = parse_key(str(new.facts["adapter_user"]))
        if kind != "K":
            raise BadInput("an adapter user is a contractor", field="facts.adapter_user", next_step="Give K-12.")
        await contractors.get(tx, Scope.everything(), number)
    if new.kind == "mobile-limit":
        kind_of = await tx.scalar(select(contract_lines.c.kind).where(contract_lines.c.id == about.line_id))
        if kind_of != "mobile-access":
            raise BadInput("mobile traffic is limited on a mobile-access line", field="line", next_step="Name one.")
    if new.kind == "exemption":
        of = (
            await tx.execute(
                select(contract_lines.c.kind, contract_lines.c.service).where(contract_lines.c.id == about.line_id)
            )
        ).one()
        if of.service != "mpc" or of.kind not in {"management", "adapter"}:
            raise RuleViolation(
                f"the exemption does not cover a {of.service} {of.kind}",
                rule="MPC-16.2" if of.service == "mpc" else "SMF-16.2",
                field="line",
                next_step="Name an mpc management or adapter line; the sum of other lines is charged.",
            )
    if about.company_id is not None:
        told = await company(tx, about.company_id)
        if "company" in SHAPES[new.kind].about and (told.relation != "subsidiary" or told.ended_ms is not None):
            raise RuleViolation(
                f"{told.name} is no subsidiary of the provider",
                rule="SMF-17.4",
                field="company",
                next_step="Obtain the contractor's consent and record a disclosure.",
                facts={"relation": told.relation},
            )


# --- companies --------------------------------------------------------------------------------------------------------


async def add_company(tx: Tx, by: By, *, name: str, relation: Relation) -> Company:
    """Name a company. Raises BadInput without a name."""
    name = contractors.required_name(name, "name")
    number = await tx.scalar(
        insert(companies)
        .values(name=name, relation=relation, created_ms=by.at_ms, actor=by.actor)
        .returning(companies.c.id)
    )
    assert number is not None
    audit.record(tx, by, "company.create", f"company {number}", after={"name": name, "relation": relation})
    return Company(number, name, relation, by.at_ms, None)


async def company(tx: Tx, company_id: int) -> Company:
    """The company. Raises NotFound."""
    row = (await tx.execute(select(companies).where(companies.c.id == company_id))).one_or_none()
    if row is None:
        raise not_found(f"company {company_id}")
    return _company(row)


async def companies_page(tx: Tx, *, after: int = 0, limit: int = 100) -> list[Company]:
    """Companies with a number above `after`, those that ended too."""
    rows = await tx.execute(select(companies).where(companies.c.id > after).order_by(companies.c.id).limit(limit))
    return [_company(row) for row in rows]


async def end_company(tx: Tx, by: By, company_id: int) -> Company:
    """It is no longer a subsidiary or delegate. Raises Conflict if it ended before, NotFound."""
    found = await company(tx, company_id)
    if found.ended_ms is not None:
        raise Conflict(f"{found.name} ended before", next_step="Nothing has to be done.")
    await tx.execute(update(companies).where(companies.c.id == company_id).values(ended_ms=by.at_ms))
    audit.record(tx, by, "company.end", f"company {company_id}", before={"name": found.name})
    return await company(tx, company_id)


def _company(row: AnyRow) -> Company:
    return Company(row.id, row.name, row.relation, row.created_ms, row.ended_ms)


def _record(row: AnyRow) -> Record:
    return Record(
        id=row.id,
        kind=row.kind,
        about=About(row.contractor_id, row.line_id, row.management_id, row.adapter_id, row.company_id),
        day=date.fromisoformat(row.day),
        notified=None if row.notified is None else date.fromisoformat(row.notified),
        until=None if row.until_day is None else date.fromisoformat(row.until_day),
        recorded_ms=row.recorded_ms,
        actor=row.actor,
        rule=row.rule,
        terms_version=row.terms_version,
        facts=json.loads(row.facts),
        corrects_id=row.corrects_id,
    )
