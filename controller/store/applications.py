"""Applications: several lines and options on one form, decided as a whole (MPC-6.1, MPC-9.1, SMF-3.1, SMF-3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import insert, select

from controller.keyring import Keyring
from controller.store import (
    adapters,
    audit,
    contractday,
    contractors,
    contracts,
    contractsteps,
    counts,
    events,
    managements,
    seats,
)
from controller.store.contracts import ContractLine, Standing
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.contracts import applications, contract_lines
from controller.store.tables.inventory import placements
from inventory.adapters import SerialNumber
from inventory.applications import ADAPTER_KINDS, Wanted, require_complete
from inventory.calendar import tokyo_day
from inventory.catalogue import Service
from inventory.contractevents import Accept, ContractEvent, Refuse, Withdraw
from inventory.contracts import Contract, State, step
from inventory.eligibility import AdapterLine, Item, MobileAccess, Obstacle, obstacles
from inventory.errors import BadInput, RuleViolation
from inventory.slots import show_key

ITEMS_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Application:
    """A form as it was received."""

    id: int
    contractor_id: int
    service: Service
    received: date
    form: str
    created_ms: int


async def apply(
    tx: Tx,
    scope: Scope,
    by: By,
    *,
    contractor_id: int,
    service: Service,
    received: date,
    form: str,
    items: Sequence[Wanted],
) -> Application:
    """Keep an application. `form` is the form as received; `received` the day it arrived, not after today.

    Raises BadInput for an incomplete form, NotFound.
    """
    await contractors.get(tx, scope, contractor_id)
    if received > tokyo_day(by.at_ms):
        raise BadInput(f"{received} is still to come", field="received", next_step="Give the day on which it arrived.")
    if not 0 < len(items) <= ITEMS_AT_MOST:
        raise BadInput(
            f"an application has 1 to {ITEMS_AT_MOST} items", field="items", next_step="Divide it into several."
        )
    for at, item in enumerate(items):
        require_complete(service, item, f"items.{at}")
        if item.management_id is not None:
            own = scope if item.kind == "management" else Scope.everything()
            await managements.get(tx, own, item.management_id)
    number = await tx.scalar(
        insert(applications)
        .values(
            contractor_id=contractor_id,
            service=service,
            received=received.isoformat(),
            form=form,
            created_ms=by.at_ms,
            actor=by.actor,
        )
        .returning(applications.c.id)
    )
    assert number is not None
    await _insert_lines(tx, contractor_id, service, number, received, items)
    audit.record(
        tx,
        by,
        "application.create",
        f"application {number}",
        contractor_id=contractor_id,
        after={"service": service, "received": received.isoformat(), "items": [one.kind for one in items]},
    )
    await events.record(tx, NewEvent("contract.apply", by.at_ms, facts={"application": number, "items": len(items)}))
    return await get(tx, scope, number)


async def get(tx: Tx, scope: Scope, application_id: int) -> Application:
    """The application. Raises NotFound."""
    row = (await tx.execute(select(applications).where(applications.c.id == application_id))).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found(f"application {application_id}")
    return _application(row)


async def page(
    tx: Tx, scope: Scope, *, after: int = 0, limit: int = 100, contractor_id: int | None = None
) -> list[Application]:
    """Applications with a number above `after`, in its order."""
    query = select(applications).where(applications.c.id > after).order_by(applications.c.id).limit(limit)
    for owner in (scope.contractor_id, contractor_id):
        if owner is not None:
            query = query.where(applications.c.contractor_id == owner)
    return [_application(row) for row in await tx.execute(query)]


async def against(
    tx: Tx,
    application: Application,
    day: date,
    *,
    billing_start: date | None = None,
    joins: Mapping[int, str] | None = None,
) -> tuple[Obstacle, ...]:
    """What stands against accepting it on a day, over all that the contractor holds and applies for together.

    `billing_start`: of what is applied for; an option that has ended by then is not in its way, and nothing rests on
    it. `joins`: mobile access lines that change to the packet-share plan with it, and the group that they join.
    """
    lines = await contracts.lines_of(tx, application.contractor_id)
    found = [one for one in await contracts.standing(tx, lines, day) if one.line.service == application.service]
    holds = [
        one
        for one in found
        if one.contract.state in contracts.IN_FORCE and not _option_gone(one.contract, billing_start or day)
    ]
    wants = [one for one in found if one.line.application_id == application.id]
    names = {one.line.id: one.line.name for one in found}
    held = [await _item(tx, one, names) for one in holds]
    held += [
        MobileAccess(one.line.wanted.on or "", "packet-share", (joins or {})[one.line.id])
        for one in holds
        if one.line.id in (joins or {})
    ]
    return obstacles(
        application.service,
        [*held, *await _own_units(tx, application, wants)],
        [await _item(tx, one, names) for one in wants],
    )


def _option_gone(contract: Contract, day: date) -> bool:
    return contract.is_option and contract.effective is not None and contract.effective < day


async def accept(
    tx: Tx,
    scope: Scope,
    keyring: Keyring,
    by: By,
    application_id: int,
    *,
    billing_start: date,
    day: date | None = None,
    joins: Mapping[int, str] | None = None,
) -> tuple[Application, set[int]]:
    """Accept all of it, with its billing start date; managements are opened, or taken over as they are.

    `joins`: as `against`. Raises RuleViolation with every rule that stands against it, and changes nothing then.
    """
    application, found, on = await _pending(tx, scope, by, application_id, day)
    if billing_start < application.received:
        raise BadInput(
            f"the application arrived on {application.received}",
            field="billing_start",
            next_step="Give that day or a later one, as the acknowledgement says.",
        )
    event = Accept(on, billing_start, await against(tx, application, on, billing_start=billing_start, joins=joins))
    await _all(tx, by, found, event)
    for one in found:
        if one.line.kind == "management":
            await _open(tx, by, one.line)
    return application, await contractday.settle(tx, keyring, by, application.contractor_id)


async def refuse(
    tx: Tx, scope: Scope, by: By, application_id: int, *, reason: int, day: date | None = None
) -> Application:
    """Refuse all of it for one of the seven reasons, and notify that (SMF-3.2). Raises RuleViolation."""
    application, found, on = await _pending(tx, scope, by, application_id, day)
    await _all(tx, by, found, Refuse(on, reason))
    return application


async def withdraw(tx: Tx, scope: Scope, by: By, application_id: int, *, day: date | None = None) -> Application:
    """The applicant takes it back. Raises RuleViolation when it is decided."""
    application, found, on = await _pending(tx, scope, by, application_id, day)
    await _all(tx, by, found, Withdraw(on))
    return application


async def _pending(
    tx: Tx, scope: Scope, by: By, application_id: int, day: date | None
) -> tuple[Application, list[Standing], date]:
    application = await get(tx, scope, application_id)
    await contracts.lock(tx, application.contractor_id)
    today = tokyo_day(by.at_ms)
    on = day or today
    if not application.received <= on <= today:
        raise BadInput(
            f"it is decided between {application.received} and today",
            field="day",
            next_step="Give the day of the decision.",
        )
    return application, await contracts.standing(tx, await contracts.of_application(tx, application.id), today), on


async def _all(tx: Tx, by: By, found: Sequence[Standing], event: ContractEvent) -> None:
    """The event on every line that waits; a line that was withdrawn with what it hung on stays so."""
    waiting = [one for one in found if one.contract.state is State.APPLIED]
    for one in waiting or found:
        done = step(one.contract, event)
        await contractday.append(tx, by, one, event, rule=done.rule)


async def _open(tx: Tx, by: By, line: ContractLine) -> None:
    """The management of a line that was accepted: a new one, or the one that it takes over."""
    everything, wanted = Scope.everything(), line.wanted
    management_id = wanted.management_id
    if management_id is None:
        made = await counts.create_management(
            tx,
            everything,
            by,
            contractor_id=line.contractor_id,
            service=line.service,
            classes=wanted.classes,
            name=line.name,
            entry_count=wanted.entries or 0,
            standby_count=wanted.standbys or 0,
        )
        management_id = made.id
    held = await managements.get(tx, everything, management_id)
    taken = (held.contractor_id, held.service, held.entry_count, held.standby_count, set(held.classes))
    if taken != (line.contractor_id, line.service, wanted.entries, wanted.standbys or 0, set(wanted.classes)):
        raise RuleViolation(
            f"{held.key} has another contractor, service, classes or counts than {line.key}",
            rule="MPC-4" if line.service == "mpc" else "SMF-4.1",
            field="management",
            next_step="Apply for it as it is; change its counts afterwards.",
        )
    await contractsteps.link_management(tx, by, line.id, management_id)


async def _insert_lines(
    tx: Tx, contractor_id: int, service: Service, application_id: int, received: date, items: Sequence[Wanted]
) -> None:
    """Options come after what they hang on, so that its number is known."""
    held = await contracts.standing(tx, await contracts.lines_of(tx, contractor_id), received)
    known = [one.line for one in held if one.contract.state in contracts.IN_FORCE and one.line.service == service]
    lines = {one.name: one.id for one in known if one.kind in ADAPTER_KINDS}
    groups = {one.name: one.id for one in known if one.kind == "packet-share-group"}
    order = sorted(items, key=lambda one: (one.on is not None, one.kind in ADAPTER_KINDS))
    for at, item in enumerate(order, start=1):
        number = await tx.scalar(
            insert(contract_lines)
            .values(
                application_id=application_id,
                contractor_id=contractor_id,
                service=service,
                kind=item.kind,
                name=item.name or f"{item.kind} {application_id}-{at}",
                on_line_id=await _home_line(tx, contractor_id, service, item) or lines.get(item.on or ""),
                group_line_id=groups.get(item.group or ""),
                management_id=item.management_id,
                details=contracts.details_of(item),
            )
            .returning(contract_lines.c.id)
        )
        assert number is not None
        if item.kind in ADAPTER_KINDS:
            lines[item.name] = number
        elif item.kind == "packet-share-group":
            groups[item.name] = number


async def _home_line(tx: Tx, contractor_id: int, service: Service, item: Wanted) -> int | None:
    """The line that an Ultra Firewall without a rental ends with: that of the management its adapter sits in."""
    if item.serial_number is None:
        return None
    unit = await adapters.by_serial(tx, Scope.of(contractor_id), SerialNumber.parse(item.serial_number))
    seat = await seats.current(tx, placements.c.adapter_id == unit.id)
    line = None
    if seat is not None:
        line = await contracts.line_of_management(tx, (await seats.management_of(tx, seats.slot_of(seat))).id)
    if unit.service != service or unit.holding != "own" or line is None or line.contractor_id != contractor_id:
        raise RuleViolation(
            f"{unit.serial} is no adapter without a rental in a management of this contractor",
            rule="SMF-4.2",
            field="serial_number",
            next_step="Seat it in a management that has a contract line; for a rental name its line.",
        )
    return line.id


async def _own_units(tx: Tx, application: Application, wants: Sequence[Standing]) -> list[Item]:
    """Adapters without a rental that options are for, as eligibility sees them."""
    serials = {one.line.wanted.serial_number for one in wants} - {None}
    found: list[Item] = []
    for serial in sorted(str(one) for one in serials):
        unit = await adapters.by_serial(tx, Scope.of(application.contractor_id), SerialNumber.parse(serial))
        found.append(AdapterLine(serial, unit.model.key))
    return found


async def _item(tx: Tx, standing: Standing, names: Mapping[int, str]) -> Item:
    line = standing.line
    group = names.get(standing.group_line_id or 0)
    if group is None and standing.contract.state is State.APPLIED:
        group = line.wanted.group
    other, consent = None, False
    if line.kind in ADAPTER_KINDS and line.management_id is not None:
        used = await managements.get(tx, Scope.everything(), line.management_id)
        if used.contractor_id != line.contractor_id:
            other = show_key("K", used.contractor_id)
            consent = await managements.consented(tx, used, line.contractor_id)
    wanted = line.wanted
    if line.kind == "adapter-rental" and standing.adapters:
        # The registered model is that of the newest unit (service-terms §4).
        unit = await adapters.get(tx, Scope.everything(), standing.adapters[-1])
        wanted = replace(wanted, model=unit.model.key)
    return wanted.item(values=standing.contract.values, group=group, other=other, consent=consent)


def _application(row: AnyRow) -> Application:
    return Application(
        row.id, row.contractor_id, row.service, date.fromisoformat(row.received), row.form, row.created_ms
    )
