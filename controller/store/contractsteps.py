"""Events on contract lines: recorded as they were true and as we learnt them; what is recorded is never edited.

There is no operation that gives a line to another contractor (SMF-7).
"""

from __future__ import annotations

from datetime import date

from controller.keyring import Keyring
from controller.store import adapters, audit, contractday, contracts, managements, slotunits
from controller.store.contracts import ContractLine, EventRow, Standing
from controller.store.database import Tx
from controller.store.rows import insert_new
from controller.store.scope import By, Scope
from controller.store.tables.contracts import line_links
from inventory.adapters import Adapter, SerialNumber
from inventory.applications import ADAPTER_KINDS
from inventory.calendar import tokyo_day
from inventory.catalogue import is_model
from inventory.contractbook import VOID
from inventory.contractevents import (
    ChangeCounts,
    ChangeOption,
    ContractEvent,
    Resume,
    Suspend,
)
from inventory.contracts import ContractStep, State, step
from inventory.errors import BadInput, Conflict, NotEligible, RuleViolation

BY_HAND = frozenset(
    {"notice", "provider-terminates", "abolition", "suspend", "resume", "change-option"},
)
"""Events that a person records on one line; applications are decided as a whole, counts change at the management."""


async def record(
    tx: Tx,
    scope: Scope,
    keyring: Keyring,
    by: By,
    line_id: int,
    event: ContractEvent,
    *,
    group_line_id: int | None = None,
    corrects: int | None = None,
) -> tuple[ContractStep, set[int]]:
    """Record an event of a day up to today, and what follows from it; also a correction of event `corrects`.

    Returns the step and the adapters whose entitlement changed. A request that the rules refuse raises RuleViolation
    and changes nothing; a fact that does not fit is recorded with an alert.
    """
    standing = await _on_day(tx, scope, by, line_id, event.day, corrects)
    done = step(standing.contract, event)
    await _require_group(tx, standing, event, group_line_id, done)
    await contractday.append(
        tx, by, standing, event, rule=done.rule, alert=done.alert, corrects=corrects, group=group_line_id
    )
    if isinstance(event, Suspend | Resume) or corrects is not None:
        await _follow_suspension(tx, by, standing.line, anew=corrects is not None and isinstance(event, Suspend))
    return done, await contractday.settle(tx, keyring, by, standing.line.contractor_id)


async def void(tx: Tx, scope: Scope, keyring: Keyring, by: By, line_id: int, event_id: int, *, reason: str) -> set[int]:
    """Take back an event that never happened; it stays on record. Raises Conflict if it was corrected before."""
    day = tokyo_day(by.at_ms)
    standing = await _on_day(tx, scope, by, line_id, day, event_id)
    await contractday.append_row(tx, by, standing, VOID, day, {"reason": reason}, rule="SMF-27", corrects=event_id)
    await _follow_suspension(tx, by, standing.line)
    return await contractday.settle(tx, keyring, by, standing.line.contractor_id)


async def change_counts(tx: Tx, by: By, management_id: int, first_day: date | None) -> None:
    """Let the line of a management know of other counts; call it before they are changed. One without a line is free.

    Raises RuleViolation in a state that does not allow it, or for a day after the line's last (MPC-8, SMF-5.1).
    """
    line = await contracts.line_of_management(tx, management_id)
    if line is None:
        return
    today = tokyo_day(by.at_ms)
    await contracts.lock(tx, line.contractor_id)
    (standing,) = await contracts.standing(tx, [line], today)
    event = ChangeCounts(today, first_day or today)
    done = step(standing.contract, event)
    await contractday.append(tx, by, standing, event, rule=done.rule)


async def link_unit(
    tx: Tx, scope: Scope, keyring: Keyring, by: By, line_id: int, serial: SerialNumber, *, day: date | None = None
) -> set[int]:
    """Say which unit an adapter line is about, from a day on; a replacement comes after the unit that it replaces.

    Raises NotEligible for a unit of another service, class or model (an mpc replacement is of the line's model),
    Conflict for a line that is not in force or a unit that has a line, NotFound.
    """
    unit = await adapters.by_serial(tx, scope, serial)
    line = await contracts.line(tx, scope, line_id)
    await contracts.lock(tx, line.contractor_id)
    today = tokyo_day(by.at_ms)
    (standing,) = await contracts.standing(tx, [line], today)
    _require_fit(standing, unit)
    if standing.contract.state not in contracts.IN_FORCE:
        raise Conflict(
            f"{line.key} is {standing.contract.state}", next_step="A unit belongs to a line that is in force."
        )
    comes_with = await slotunits.standby_of(tx, unit.id)
    if comes_with is not None:
        raise Conflict(
            f"{unit.serial} came with {comes_with}", rule="MPC-1", next_step="It needs no line; link another unit."
        )
    made = await insert_new(
        tx,
        line_links,
        {
            "line_id": line.id,
            "adapter_id": unit.id,
            "day": (day or today).isoformat(),
            "recorded_ms": by.at_ms,
            "actor": by.actor,
        },
    )
    if made is None:
        raise Conflict(f"{unit.serial} has a contract line already", next_step="A unit has one line, for ever.")
    audit.record(
        tx, by, "contract.unit", line.key, contractor_id=line.contractor_id, after={"serial_number": unit.serial.shown}
    )
    return await contractday.settle(tx, keyring, by, line.contractor_id)


async def link_management(tx: Tx, by: By, line_id: int, management_id: int) -> None:
    """Put a management under its line. Raises Conflict if it has one."""
    row = {
        "line_id": line_id,
        "management_id": management_id,
        "day": tokyo_day(by.at_ms).isoformat(),
        "recorded_ms": by.at_ms,
        "actor": by.actor,
    }
    if await insert_new(tx, line_links, row) is None:
        raise Conflict("this management has a contract line already", next_step="Apply for a new management.")


async def _on_day(tx: Tx, scope: Scope, by: By, line_id: int, day: date, corrects: int | None) -> Standing:
    """The line on that day, locked, without the event that is corrected."""
    line = await contracts.line(tx, scope, line_id)
    await contracts.lock(tx, line.contractor_id)
    if day > tokyo_day(by.at_ms):
        raise BadInput(f"{day} is still to come", field="day", next_step="Record what happened on the day it does.")
    if day < line.received:
        raise BadInput(
            f"{line.key} was applied for on {line.received}", field="day", next_step="Give that day or a later one."
        )
    if corrects is not None:
        _require_correctable(await contracts.events(tx, scope, line_id), corrects)
    found = await contracts.book(tx, line.contractor_id, day, without=corrects)
    of_management, of_adapter = (await contracts.links(tx, [line.id])).get(line.id, ((), ()))
    return contracts.standing_of(line, found, of_management, of_adapter)


def _require_correctable(known: list[EventRow], event_id: int) -> None:
    found = next((one for one in known if one.id == event_id), None)
    if found is None or found.calendar or found.name not in BY_HAND:
        raise BadInput(
            f"event {event_id} is none that is corrected here",
            field="corrects",
            next_step="Name an event of this line that a person recorded; the calendar follows from those.",
        )
    if any(one.corrects_id == event_id for one in known):
        raise Conflict(f"event {event_id} was corrected before", next_step="Correct the newer one.")


async def _require_group(
    tx: Tx, standing: Standing, event: ContractEvent, group_line_id: int | None, done: ContractStep
) -> None:
    """The packet-share plan needs a group in force on the day of the change, and no other plan has one (MPC-6.7,
    MPC-6.8)."""
    joins = isinstance(event, ChangeOption) and event.what == "plan" and event.value == "packet-share"
    if not joins:
        if group_line_id is not None:
            raise RuleViolation(
                "only a change to the packet-share plan names a group",
                rule="MPC-6.7",
                field="group",
                next_step="Leave the group out.",
            )
        return
    line = standing.line
    groups = [one for one in await contracts.lines_of(tx, line.contractor_id) if one.id == group_line_id]
    found = [one.contract for one in await contracts.standing(tx, groups, event.day)]
    first_day = max((one.first_day for one in done.contract.pending if one.what == "plan"), default=event.day)
    if not any(
        one.kind == "packet-share-group"
        and one.state in contracts.IN_FORCE
        and (one.effective is None or one.effective >= first_day)
        for one in found
    ):
        raise RuleViolation(
            "the packet-share plan needs a group in force",
            rule="MPC-6.8",
            field="group",
            next_step="Name a packet share group of this contractor.",
        )


async def _follow_suspension(tx: Tx, by: By, line: ContractLine, *, anew: bool = False) -> None:
    """The management of a line is suspended while the line is, also after a correction. `anew`: with another period."""
    known = await contracts.events(tx, Scope.everything(), line.id)
    corrected = {one.corrects_id for one in known}
    ours = [one for one in known if one.name in {"suspend", "resume"}]
    (standing,) = await contracts.standing(tx, [line], tokyo_day(by.at_ms))
    if not ours or standing.contract.state is State.ENDED:
        return
    for management_id in standing.managements:
        held = (await managements.get(tx, Scope.everything(), management_id)).suspended
        suspended = standing.contract.suspended
        if held is not None and (anew or not suspended):
            await managements.resume(tx, Scope.everything(), by, management_id)
            held = None
        if held is None and suspended:
            facts = [one for one in ours if one.name == "suspend" and one.id not in corrected][-1].facts
            until = None if facts.get("until") is None else date.fromisoformat(str(facts["until"]))
            ground = int(str(facts["ground"]))
            await managements.suspend(tx, Scope.everything(), by, management_id, ground=ground, until=until)


def _require_fit(standing: Standing, unit: Adapter) -> None:
    line, wanted = standing.line, standing.line.wanted
    if line.kind not in ADAPTER_KINDS:
        raise BadInput(f"{line.key} is a {line.kind}", field="key", next_step="Name an adapter line or a rental.")
    same = unit.contractor_id == line.contractor_id and unit.service == line.service
    replaces = bool(standing.adapters) and line.kind == "adapter-rental"
    of_model = replaces or is_model(wanted.model or "", unit.model.key)
    if not same or unit.device_class != wanted.device_class or not of_model:
        raise NotEligible(
            f"{unit.serial} is not of the contractor, service, class or model of {line.key}",
            rule="MPC-7.2" if unit.device_class == "III" else ("MPC-8" if line.service == "mpc" else "SMF-4.1"),
            field="serial_number",
            next_step="Register a unit of the line's model, or apply for another line.",
            facts={"model": wanted.model, "class": wanted.device_class},
        )
