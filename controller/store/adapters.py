"""Adapters: registered once for ever by serial number; their life step by step (SMF-1, service-terms §8)."""

from __future__ import annotations

import json
from datetime import date
from typing import Final

from sqlalchemy import bindparam, insert, or_, select, update

from controller.keyring import Keyring
from controller.store import audit, contractors, endpoints, events
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.events import NewEvent
from controller.store.rows import insert_new, not_found, require_version
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow, to_json
from controller.store.tables.inventory import (
    adapters,
    checklist_items,
    entries,
    life_events,
    placements,
    serial_notifications,
    standbys,
)
from controller.store.tables.ssh import ssh_contacts
from drivers.sessions.contract import Endpoint
from inventory import adapters as lives
from inventory import catalogue, onboarding
from inventory.adapters import Adapter, Life, LifeEvent, LifeStep, SerialNumber
from inventory.calendar import tokyo_day
from inventory.catalogue import DeviceClass, Model, Path, Service
from inventory.errors import BadInput, NotEligible, SerialTaken


async def register(
    tx: Tx,
    scope: Scope,
    by: By,
    *,
    serial: str,
    contractor_id: int,
    service: Service,
    device_class: DeviceClass | None,
    model: str,
    path: Path | None = None,
    hardware: str = "",
    distribution_id: str | None = None,
    rented: bool | None = None,
    endpoint: Endpoint | None = None,
    keyring: Keyring | None = None,
    doubtful_paths: bool = False,
) -> Adapter:
    """Register an adapter by its serial number: it is then delivered, with that item of its checklist ticked.

    `path` defaults to the model's usual one. `arms` needs a Distribution ID, `ssh` an endpoint (and the key ring to
    seal its password). `doubtful_paths`: those of `Model.doubtful_paths` are open too.

    Raises BadInput for a malformed value, NotEligible for a model that the service and class do not offer (MPC-2,
    SMF-A1), SerialTaken for a serial number or Distribution ID that was registered before, for ever and across both
    services (SMF-1), NotFound for a contractor out of scope.
    """
    await contractors.get(tx, scope, contractor_id)
    number = SerialNumber.parse(serial)
    kind = catalogue.model(model)
    _require_offered(service, device_class, kind)
    way = _require_path(kind, path, distribution_id, endpoint, doubtful=doubtful_paths)
    held = lives.holding(service, device_class, kind, rented=rented)
    identity = lives.parse_distribution_id(distribution_id) if distribution_id else None
    adapter_id = await insert_new(
        tx,
        adapters,
        {
            "contractor_id": contractor_id,
            "serial_key": number.key,
            "serial_shown": number.shown,
            "service": service,
            "device_class": device_class,
            "model": kind.key,
            "hardware": hardware.strip(),
            "holding": held,
            "path": way,
            "distribution_id": identity,
            "life": Life.DELIVERED,
            "life_at_ms": by.at_ms,
            "registered_ms": by.at_ms,
            "version": 1,
        },
    )
    if adapter_id is None:
        raise await _taken(tx, scope, number, identity)
    # What is lent was ordered first; the order and the delivery are told together, since the serial says it is there.
    life: Life | None = None
    for event in (LifeEvent.ORDER, LifeEvent.DELIVER) if held == "lent" else (LifeEvent.REGISTER,):
        step = lives.live(life, event, service=service, held=held, on=tokyo_day(by.at_ms))
        await _keep(tx, by, adapter_id, step)
        life = step.life
    await tx.execute(
        insert(serial_notifications).values(adapter_id=adapter_id, serial=serial, actor=by.actor, at_ms=by.at_ms)
    )
    await tx.execute(
        insert(checklist_items).values(
            adapter_id=adapter_id, item="serial-number", note="", actor=by.actor, at_ms=by.at_ms
        )
    )
    facts = {"serial_number": number.shown, "service": service, "class": device_class, "model": kind.key, "path": way}
    await events.record(tx, NewEvent("adapter.register", by.at_ms, adapter_id=adapter_id, facts=facts))
    audit.record(tx, by, "adapter.register", number.shown, contractor_id=contractor_id, after=facts)
    if endpoint is not None:
        if keyring is None:
            raise ValueError("an endpoint is sealed, which needs the key ring")
        await endpoints.put(tx, scope, by, adapter_id, endpoint=endpoint, keyring=keyring)
    return await get(tx, scope, adapter_id)


async def get(tx: Tx, scope: Scope, adapter_id: int) -> Adapter:
    """The adapter with this number. Raises NotFound."""
    row = (await tx.execute(_ONE, {"of_adapter": adapter_id})).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found("such adapter")
    return adapter_of(row)


_ONE: Final = direct(select(adapters).where(adapters.c.id == bindparam("of_adapter")))


async def by_serial(tx: Tx, scope: Scope, serial: SerialNumber) -> Adapter:
    """The adapter with this serial number, in any spelling. Raises NotFound."""
    row = (await tx.execute(select(adapters).where(adapters.c.serial_key == serial.key))).one_or_none()
    if row is None or not scope.allows(row.contractor_id):
        raise not_found(f"adapter {serial}")
    return adapter_of(row)


async def lock(tx: Tx, scope: Scope, *adapter_ids: int) -> tuple[Adapter, ...]:
    """The adapters, held against every other change until the transaction ends; managements are locked before them."""
    wanted = sorted(set(adapter_ids))
    await tx.execute(select(adapters.c.id).where(adapters.c.id.in_(wanted)).order_by(adapters.c.id).with_for_update())
    return tuple([await get(tx, scope, number) for number in adapter_ids])


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    service: Service | None = None,
    device_class: DeviceClass | None = None,
    model: str | None = None,
    life: Life | None = None,
    path: Path | None = None,
    contractor_id: int | None = None,
    management_id: int | None = None,
    seated: bool | None = None,
    refused: bool | None = None,
    text: str | None = None,
) -> list[Adapter]:
    """Adapters with a number above `after`, in its order; every filter that is given must hold.

    `model` in any spelling (BadInput if unknown); `management_id`: in a slot of it now; `refused`: has refused the
    credential on record; `text`: stands in the serial number or Distribution ID, whatever the case.
    """
    query = select(adapters).where(adapters.c.id > after).order_by(adapters.c.id).limit(limit)
    equal = {
        adapters.c.service: service,
        adapters.c.device_class: device_class,
        adapters.c.model: catalogue.model(model).key if model else None,
        adapters.c.life: life,
        adapters.c.path: path,
    }
    for column, wanted in equal.items():
        if wanted is not None:
            query = query.where(column == wanted)
    for owner in (scope.contractor_id, contractor_id):
        if owner is not None:
            query = query.where(adapters.c.contractor_id == owner)
    seat = select(placements.c.id).where(placements.c.adapter_id == adapters.c.id, placements.c.to_ms.is_(None))
    if seated is not None:
        query = query.where(seat.exists() if seated else ~seat.exists())
    if management_id is not None:
        of_management = [
            select(table.c.id).where(table.c.management_id == management_id) for table in (entries, standbys)
        ]
        there = or_(placements.c.entry_id.in_(of_management[0]), placements.c.standby_id.in_(of_management[1]))
        query = query.where(seat.where(there).exists())
    if refused is not None:
        of_adapter = ssh_contacts.c.adapter_id == adapters.c.id
        said = select(ssh_contacts.c.adapter_id).where(of_adapter, ssh_contacts.c.credential_refused_ms.is_not(None))
        query = query.where(said.exists() if refused else ~said.exists())
    if text:
        query = query.where(
            adapters.c.serial_key.icontains(text.strip(), autoescape=True)
            | adapters.c.distribution_id.icontains(text.strip(), autoescape=True)
        )
    return [adapter_of(row) for row in await tx.execute(query)]


async def set_life(
    tx: Tx,
    scope: Scope,
    by: By,
    adapter_id: int,
    event: LifeEvent,
    *,
    if_version: int | None = None,
    on: date | None = None,
) -> LifeStep:
    """Let an event happen to an adapter and record it, with its rule (service-terms §8). `on`: its Tokyo day, if not
    today.

    Raises what `inventory.adapters.live` raises for a request that does not fit; a fact that does not fit is recorded
    with an alert and changes nothing.
    """
    (adapter,) = await lock(tx, scope, adapter_id)
    require_version(str(adapter.serial), adapter.version, if_version)
    provided = await tx.scalars(select(checklist_items.c.item).where(checklist_items.c.adapter_id == adapter_id))
    seat = select(placements.c.id).where(placements.c.adapter_id == adapter_id, placements.c.to_ms.is_(None))
    step = lives.live(
        adapter.life,
        event,
        service=adapter.service,
        held=adapter.holding,
        on=on or tokyo_day(by.at_ms),
        missing=onboarding.missing(adapter.device_class, provided.all()),
        seated=await tx.scalar(seat) is not None,
        failed_in=await _failed_in(tx, adapter_id),
    )
    await _keep(tx, by, adapter_id, step)
    moved = {"life": step.life, "life_at_ms": by.at_ms} if step.life is not adapter.life else {}
    await tx.execute(update(adapters).where(adapters.c.id == adapter_id).values(**moved, version=adapter.version + 1))
    facts = {
        "event": event.value,
        "from": adapter.life.value,
        "to": step.life.value,
        "rule": step.rule,
        "consequences": list(step.consequences),
        "due_day": step.due_day.isoformat() if step.due_day else None,
        "alert": step.alert,
    }
    await events.record(
        tx, NewEvent("adapter.alert" if step.alert else "adapter.life", by.at_ms, adapter_id=adapter_id, facts=facts)
    )
    audit.record(
        tx,
        by,
        f"adapter.{event.value}",
        adapter.serial.shown,
        contractor_id=adapter.contractor_id,
        before={"life": adapter.life.value},
        after=facts,
    )
    return step


async def life_history(tx: Tx, scope: Scope, adapter_id: int) -> list[tuple[int, LifeStep]]:
    """Every step of an adapter's life with its instant, the oldest first. Raises NotFound."""
    await get(tx, scope, adapter_id)
    rows = await tx.execute(
        select(life_events).where(life_events.c.adapter_id == adapter_id).order_by(life_events.c.id)
    )
    return [(row.at_ms, _step(row)) for row in rows]


def adapter_of(row: AnyRow) -> Adapter:
    """The adapter of a row of its table."""
    return Adapter(
        id=row.id,
        serial=SerialNumber(row.serial_key, row.serial_shown),
        contractor_id=row.contractor_id,
        service=row.service,
        device_class=row.device_class,
        model=catalogue.model(row.model),
        hardware=row.hardware,
        holding=row.holding,
        path=row.path,
        distribution_id=row.distribution_id,
        life=Life(row.life),
        life_at_ms=row.life_at_ms,
        registered_ms=row.registered_ms,
        version=row.version,
    )


def _step(row: AnyRow) -> LifeStep:
    return LifeStep(
        event=LifeEvent(row.event),
        life=Life(row.life),
        rule=row.rule,
        consequences=tuple(json.loads(row.consequences)),
        due_day=date.fromisoformat(row.due_day) if row.due_day else None,
        alert=row.alert,
    )


def _require_offered(service: Service, device_class: DeviceClass | None, model: Model) -> None:
    if (service == "mpc") != (device_class is not None):
        raise BadInput(
            "an mpc adapter has a device class, an smfsx one has none",
            field="device_class",
            rule="MPC-2",
            next_step="Give I, II or III for mpc; leave it out for smfsx.",
        )
    if not catalogue.registrable(service, device_class, model):
        line = f"class {device_class} of mpc" if service == "mpc" else "smfsx"
        raise NotEligible(
            f"{model.name(service)} is not offered in {line}",
            rule="MPC-2" if service == "mpc" else "SMF-A1",
            field="model",
            next_step="Choose a model of that service and class; the list of models shows them.",
            facts={"service": service, "class": device_class, "model": model.key},
        )


def _require_path(
    model: Model, path: Path | None, distribution_id: str | None, endpoint: Endpoint | None, *, doubtful: bool
) -> Path:
    way = path or model.paths[0]
    if way not in (model.paths + model.doubtful_paths if doubtful else model.paths):
        may = " If a unit does answer there, the setting sessions.sa_over_ssh opens it, to read."
        raise BadInput(
            f"{model.names[0][1]} is reached by {' or '.join(model.paths)}, not by {way}",
            field="path",
            next_step=f"Use {model.paths[0]}.{may if way in model.doubtful_paths else ''}",
        )
    if way == "arms" and not distribution_id:
        raise BadInput(
            "an adapter that phones home is known by its Distribution ID",
            field="distribution_id",
            next_step="Copy it from the label of the device.",
        )
    if way == "ssh" and endpoint is None:
        raise BadInput(
            "an adapter that is reached over SSH needs its address and credential",
            field="endpoint",
            next_step="Give host, port, user name and password.",
        )
    return way


async def _taken(tx: Tx, scope: Scope, serial: SerialNumber, distribution_id: str | None) -> SerialTaken:
    """What to answer when an index refused the row; details only of what the caller may see (SMF-17.2)."""
    holder = (await tx.execute(select(adapters).where(adapters.c.serial_key == serial.key))).one_or_none()
    if holder is not None:
        seen = {"service": holder.service, "life": holder.life, "registered_ms": holder.registered_ms}
        return SerialTaken(
            f"serial number {serial} was registered before; it stays with that adapter for ever",
            rule="SMF-1",
            field="serial_number",
            next_step="Check the label. A unit that comes back is the same adapter, not a new one.",
            facts=seen if scope.allows(holder.contractor_id) else {},
        )
    return SerialTaken(
        f"Distribution ID {distribution_id} belongs to another adapter",
        rule="SMF-1",
        field="distribution_id",
        next_step="Check the label; a Distribution ID is one device.",
    )


async def _failed_in(tx: Tx, adapter_id: int) -> Life | None:
    """The state before the last failure, from the history."""
    query = select(life_events.c.event, life_events.c.life).where(life_events.c.adapter_id == adapter_id)
    before: Life | None = None
    last: Life | None = None
    for row in await tx.execute(query.order_by(life_events.c.id)):
        if row.event == LifeEvent.FAILURE_REPORTED and row.life == Life.FAILED and last is not Life.FAILED:
            before = last
        last = Life(row.life)
    return before


async def _keep(tx: Tx, by: By, adapter_id: int, step: LifeStep) -> None:
    await tx.execute(
        insert(life_events).values(
            adapter_id=adapter_id,
            event=step.event,
            life=step.life,
            rule=step.rule,
            consequences=to_json(list(step.consequences)),
            due_day=step.due_day.isoformat() if step.due_day else None,
            alert=step.alert,
            actor=by.actor,
            at_ms=by.at_ms,
        )
    )
