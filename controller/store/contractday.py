"""What follows from contracts on a day: the calendar's steps on record, slots freed, returns due, what is controlled.

`settle` brings one contractor up to the day; it is repeatable, also after the daemon was down for weeks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import insert, select, update

from controller.keyring import Keyring
from controller.store import adapters, arms_keys, audit, contracts, counts, events, slots, slotunits
from controller.store.contracts import Standing
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.records import version_in_force
from controller.store.rows import insert_new
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.contracts import contract_events, contract_lines, control_stops
from controller.store.tables.inventory import adapters as adapter_rows
from controller.store.tables.inventory import entries, life_events, placements, standbys
from inventory.adapters import FINAL, Life, LifeEvent, SerialNumber
from inventory.calendar import tokyo_day
from inventory.catalogue import model, ultra_firewall_acts
from inventory.contractbook import Happened, facts_of
from inventory.contractevents import BackInEntry, ContractEvent, LeavesEntry, event_name
from inventory.contracts import Follows, State
from inventory.entitlement import Stop, stop_of
from inventory.fees import Kind
from inventory.slots import SlotKind

EVERYTHING = Scope.everything()


async def settle(tx: Tx, keyring: Keyring, by: By, contractor_id: int) -> set[int]:
    """Everything that the day `by.at_ms` lies on brings to a contractor's lines, once each.

    Returns the adapters whose place or entitlement changed: whoever may not stay in contact is to be put out.
    """
    await contracts.lock(tx, contractor_id)
    today = tokyo_day(by.at_ms)
    touched: set[int] = set()
    by_line = {one.line.id: one for one in await _standing(tx, contractor_id, today)}
    steps = (await contracts.book(tx, contractor_id, today)).steps
    for happened in (one for one in steps if one.event_id is None):
        if await _keep(tx, by, by_line[happened.line], happened):
            touched |= await _act(tx, keyring, by, by_line[happened.line], happened)
    touched |= await _follow_entries(tx, by, list(by_line.values()), today)
    for one in await _standing(tx, contractor_id, today):
        touched |= await _govern(tx, by, one)
    return touched


async def contractors_with_lines(tx: Tx, *, kind: Kind | None = None) -> list[int]:
    """Numbers of the contractors that have contract lines, or such of a kind."""
    query = select(contract_lines.c.contractor_id).distinct().order_by(contract_lines.c.contractor_id)
    if kind is not None:
        query = query.where(contract_lines.c.kind == kind)
    return list(await tx.scalars(query))


async def overdue(tx: Tx, by: By) -> set[int]:
    """Units whose return date has passed count as lost; overdue failed units are an alert, once (MPC-13.2, SMF-10.2).

    Returns the adapters touched.
    """
    today = tokyo_day(by.at_ms).isoformat()
    touched = set()
    for life, begun, event in (
        (Life.RETURN_DUE, LifeEvent.LINE_ENDED, LifeEvent.RETURN_OVERDUE),
        (Life.SEND_BACK_DUE, LifeEvent.REPLACEMENT_ARRIVES, LifeEvent.SEND_BACK_OVERDUE),
    ):
        other = life_events.alias()
        told = select(other.c.id).where(other.c.adapter_id == adapter_rows.c.id, other.c.event == event)
        late = (
            select(adapter_rows.c.id)
            .join(life_events, life_events.c.adapter_id == adapter_rows.c.id)
            .where(
                adapter_rows.c.life == life,
                life_events.c.event == begun,
                life_events.c.due_day < today,
                ~told.exists(),
            )
            .distinct()
        )
        for adapter_id in sorted(await tx.scalars(late)):
            await adapters.set_life(tx, EVERYTHING, by, adapter_id, event)
            touched.add(adapter_id)
    return touched


async def append(
    tx: Tx,
    by: By,
    standing: Standing,
    event: ContractEvent,
    *,
    rule: str,
    alert: str | None = None,
    corrects: int | None = None,
    group: int | None = None,
) -> int:
    """Keep an event that somebody records, with who, when, the rule and the version of the terms (SMF-0, SMF-27)."""
    facts = facts_of(event)
    if group is not None:
        facts["group"] = group
    return await append_row(
        tx, by, standing, event_name(event), event.day, facts, rule=rule, alert=alert, corrects=corrects
    )


async def append_row(
    tx: Tx,
    by: By,
    standing: Standing,
    name: str,
    day: date,
    facts: dict[str, object],
    *,
    rule: str,
    alert: str | None = None,
    corrects: int | None = None,
) -> int:
    """The same for a name and facts; also what takes an event back."""
    line = standing.line
    number: int | None = await tx.scalar(
        insert(contract_events)
        .values(
            line_id=line.id,
            name=name,
            day=day.isoformat(),
            recorded_ms=by.at_ms,
            actor=by.actor,
            rule=rule,
            terms_version=await version_in_force(tx, line.service, day),
            facts=to_json(facts),
            alert=alert,
            corrects_id=corrects,
            calendar=0,
        )
        .returning(contract_events.c.id)
    )
    assert number is not None
    shown = {"event": number, "day": day.isoformat(), "rule": rule, "corrects": corrects, "alert": alert, **facts}
    audit.record(tx, by, f"contract.{name}", line.key, contractor_id=line.contractor_id, after=shown)
    await _tell(tx, by, standing, name, shown)
    return number


async def _standing(tx: Tx, contractor_id: int, today: date) -> list[Standing]:
    return await contracts.standing(tx, await contracts.lines_of(tx, contractor_id), today)


async def _keep(tx: Tx, by: By, standing: Standing, happened: Happened) -> bool:
    """Record a step of the calendar; False if it is on record."""
    line = standing.line
    follows = [one.value for one in happened.follows]
    made = await insert_new(
        tx,
        contract_events,
        {
            "line_id": line.id,
            "name": happened.name,
            "day": happened.day.isoformat(),
            "recorded_ms": by.at_ms,
            "actor": "calendar",
            "rule": happened.rule,
            "terms_version": await version_in_force(tx, line.service, happened.day),
            "facts": to_json({"follows": follows}),
            "alert": happened.alert,
            "calendar": 1,
        },
    )
    if made is None:
        return False
    shown = {"event": made, "day": happened.day.isoformat(), "rule": happened.rule, "follows": follows}
    audit.record(tx, by, f"contract.{happened.name}", line.key, contractor_id=line.contractor_id, after=shown)
    await _tell(tx, by, standing, happened.name, shown)
    return True


async def _tell(tx: Tx, by: By, standing: Standing, name: str, facts: dict[str, object]) -> None:
    await events.record(
        tx,
        NewEvent(
            f"contract.{name}",
            by.at_ms,
            adapter_id=standing.adapters[-1] if standing.adapters else None,
            management_id=standing.managements[-1] if standing.managements else None,
            facts={"line": standing.line.key, "kind": standing.line.kind, **facts},
        ),
    )


async def _act(tx: Tx, keyring: Keyring, by: By, standing: Standing, happened: Happened) -> set[int]:
    touched: set[int] = set()
    if Follows.SLOTS_FREED in happened.follows:
        for management_id in standing.managements:
            touched |= await _free(tx, keyring, by, management_id, standing.contract.effective or happened.day)
    if Follows.RETURN_DUE in happened.follows:
        effective = standing.contract.effective
        for adapter_id in standing.adapters:
            unit = await adapters.get(tx, EVERYTHING, adapter_id)
            if unit.life not in FINAL and unit.life is not Life.RETURN_DUE:
                await adapters.set_life(tx, EVERYTHING, by, adapter_id, LifeEvent.LINE_ENDED, on=effective)
                touched.add(adapter_id)
    return touched


async def _free(tx: Tx, keyring: Keyring, by: By, management_id: int, last_day: date) -> set[int]:
    """Release who sits in a management that has ended, and close its slots; what came with them is due back."""
    released: set[int] = set()
    for kind in ("entry", "standby"):
        await _release(tx, keyring, by, management_id, kind, released)
    spares = select(standbys.c.id).where(standbys.c.management_id == management_id, standbys.c.closed_ms.is_(None))
    released |= await slotunits.give_up(tx, by, list(await tx.scalars(spares)), last_day)
    for table in (entries, standbys):
        await tx.execute(
            update(table)
            .where(table.c.management_id == management_id, table.c.closed_ms.is_(None))
            .values(closed_ms=by.at_ms)
        )
    return released


async def _release(tx: Tx, keyring: Keyring, by: By, management_id: int, kind: SlotKind, released: set[int]) -> None:
    for occupant in await counts.occupants(tx, management_id, kind):
        unit = await adapters.by_serial(tx, EVERYTHING, SerialNumber.parse(occupant.serial))
        await slots.release(tx, EVERYTHING, by, unit.id)
        if unit.path == "arms":
            await arms_keys.unseated(tx, keyring, unit.id, at_ms=by.at_ms)
        released.add(unit.id)


async def _follow_entries(tx: Tx, by: By, found: Sequence[Standing], today: date) -> set[int]:
    """An Ultra Firewall follows its adapter out of an entry and back (SMF-2)."""
    touched: set[int] = set()
    units = {one.line.id: one.adapters for one in found}
    for one in found:
        state = one.contract.state
        if one.line.kind != "ultra-firewall" or state not in {State.ACTIVE, State.DORMANT}:
            continue
        unit = await _own_unit(tx, one) or units.get(one.line.on_line_id or 0, ())[-1:]
        acts = bool(unit) and await _acts(tx, unit[0])
        if acts == (state is State.ACTIVE):
            continue
        event = BackInEntry(today) if acts else LeavesEntry(today)
        await append(tx, by, one, event, rule="SMF-2")
        touched.update(unit)
    return touched


async def _own_unit(tx: Tx, standing: Standing) -> tuple[int, ...]:
    """The adapter without a rental that an Ultra Firewall is for."""
    serial = standing.line.wanted.serial_number
    if serial is None:
        return ()
    return ((await adapters.by_serial(tx, EVERYTHING, SerialNumber.parse(serial))).id,)


async def _acts(tx: Tx, adapter_id: int) -> bool:
    seated = select(placements.c.id).where(
        placements.c.adapter_id == adapter_id, placements.c.to_ms.is_(None), placements.c.entry_id.is_not(None)
    )
    name = await tx.scalar(select(adapter_rows.c.model).where(adapter_rows.c.id == adapter_id, seated.exists()))
    return name is not None and ultra_firewall_acts(model(name), "entry")


async def _govern(tx: Tx, by: By, standing: Standing) -> set[int]:
    """Say what the controller is kept from by this line, from now on; returns the adapters for which that changed."""
    stop = stop_of(standing.line.key, standing.contract)
    touched: set[int] = set()
    for management_id in standing.managements:
        if await _set_stop(tx, by, standing, stop, management_id=management_id):
            touched |= await seated(tx, management_id)
    for adapter_id in standing.adapters:
        if await _set_stop(tx, by, standing, stop, adapter_id=adapter_id):
            touched.add(adapter_id)
    return touched


async def _set_stop(
    tx: Tx,
    by: By,
    standing: Standing,
    stop: Stop | None,
    *,
    management_id: int | None = None,
    adapter_id: int | None = None,
) -> bool:
    about = (
        control_stops.c.management_id == management_id
        if management_id is not None
        else control_stops.c.adapter_id == adapter_id
    )
    held = (await tx.execute(select(control_stops).where(about, control_stops.c.to_ms.is_(None)))).one_or_none()
    wanted = None if stop is None else (stop.rule, stop.words)
    if wanted == (None if held is None else (held.rule, held.reason)):
        return False
    if held is not None:
        await tx.execute(update(control_stops).where(control_stops.c.id == held.id).values(to_ms=by.at_ms))
    if stop is not None:
        today = tokyo_day(by.at_ms)
        await tx.execute(
            insert(control_stops).values(
                line_id=standing.line.id,
                management_id=management_id,
                adapter_id=adapter_id,
                rule=stop.rule,
                reason=stop.words,
                terms_version=await version_in_force(tx, standing.line.service, today),
                from_ms=by.at_ms,
            )
        )
    return True


async def seated(tx: Tx, management_id: int) -> set[int]:
    """Adapters in the slots of a management."""
    kinds: Sequence[SlotKind] = ("entry", "standby")
    serials = [one.serial for kind in kinds for one in await counts.occupants(tx, management_id, kind)]
    return {(await adapters.by_serial(tx, EVERYTHING, SerialNumber.parse(one))).id for one in serials}
