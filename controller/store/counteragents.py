"""Where adapters' counters are read, with sealed credentials; how that goes; and the interfaces that were found."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from controller.keyring import Keyring
from controller.store import audit, events
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.rows import adapter_row, in_parts, require_version, upsert
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.counting import counter_agents, counter_sources, device_interfaces, turns
from controller.store.tables.inventory import placements
from drivers.sessions.counting import FoundInterface
from inventory.countersources import CounterAgent, SourceState, require_agent
from inventory.errors import NotFound
from inventory.secrets import Secret

_SECRETS = ("community", "auth_password", "privacy_password", "token")


@dataclass(frozen=True, slots=True)
class Seated:
    """An agent whose adapter sits in an entry: its counters are that place's."""

    adapter_id: int
    entry_id: int
    agent: CounterAgent


@dataclass(frozen=True, slots=True)
class Source:
    """How reading an adapter's counters goes. Times in milliseconds UTC, None: never."""

    adapter_id: int
    state: SourceState
    reason: str
    since_ms: int
    asked_ms: int
    answered_ms: int | None
    round_trip_ms: int | None
    interfaces: int
    """How many gave counters at the last poll."""


@dataclass(frozen=True, slots=True)
class KnownInterface:
    """An interface that an agent named, by its name; `gone_ms`: since when it does not any more."""

    found: FoundInterface
    first_ms: int
    seen_ms: int
    gone_ms: int | None


async def put(
    tx: Tx, scope: Scope, by: By, keyring: Keyring, adapter_id: int, agent: CounterAgent, *, if_version: int | None
) -> CounterAgent:
    """Set or replace an adapter's agent; what was known of the source begins anew.

    Raises BadInput for a credential that does not fit the protocol, NotFound, StaleVersion.
    """
    adapter = await adapter_row(tx, scope, adapter_id)
    require_agent(agent)
    row = await _row(tx, adapter_id)
    if row is not None:
        require_version(f"the counters agent of {adapter.serial_shown}", row.version, if_version)
    secrets = {name: value.reveal() for name in _SECRETS if (value := getattr(agent, name)) is not None}
    shown = {
        "protocol": agent.protocol,
        "host": agent.host,
        "port": agent.port,
        "username": agent.username,
        "auth": agent.auth,
        "privacy": agent.privacy,
        "fingerprint": agent.fingerprint,
    }
    values: dict[str, Any] = {
        **shown,
        "secrets_sealed": keyring.seal(Secret(json.dumps(secrets)), context=_context(adapter_id)),
        "changed_ms": by.at_ms,
        "version": 1 if row is None else row.version + 1,
    }
    if row is None:
        await tx.execute(insert(counter_agents).values(adapter_id=adapter_id, **values))
    else:
        await tx.execute(update(counter_agents).where(counter_agents.c.adapter_id == adapter_id).values(**values))
    await tx.execute(delete(counter_sources).where(counter_sources.c.adapter_id == adapter_id))
    await events.record(tx, NewEvent("counters.agent", by.at_ms, adapter_id=adapter_id, facts=shown))
    audit.record(tx, by, "counters.agent", adapter.serial_shown, contractor_id=adapter.contractor_id, after=shown)
    return await get(tx, scope, keyring, adapter_id)


async def remove(tx: Tx, scope: Scope, by: By, adapter_id: int, *, if_version: int | None) -> None:
    """Its counters are not read any more; what was measured stays. Raises NotFound, StaleVersion."""
    adapter = await adapter_row(tx, scope, adapter_id)
    row = await _row(tx, adapter_id)
    if row is None:
        raise _none(adapter.serial_shown)
    require_version(f"the counters agent of {adapter.serial_shown}", row.version, if_version)
    for table in (counter_agents, counter_sources, device_interfaces):
        await tx.execute(delete(table).where(table.c.adapter_id == adapter_id))
    audit.record(
        tx,
        by,
        "counters.agent-removed",
        adapter.serial_shown,
        contractor_id=adapter.contractor_id,
        before={"protocol": row.protocol, "host": row.host, "port": row.port},
    )


async def get(tx: Tx, scope: Scope, keyring: Keyring, adapter_id: int) -> CounterAgent:
    """The agent of an adapter with its credential. Raises NotFound."""
    adapter = await adapter_row(tx, scope, adapter_id)
    row = await _row(tx, adapter_id)
    if row is None:
        raise _none(adapter.serial_shown)
    return _agent(row, keyring)


async def seated(tx: Tx, keyring: Keyring, known: Mapping[int, Seated]) -> dict[int, Seated]:
    """All agents whose adapters sit in entries; those of `known` that have not changed are not unsealed again."""
    c, p = counter_agents.c, placements.c
    rows = await tx.execute(
        select(counter_agents, p.entry_id)
        .join(placements, p.adapter_id == c.adapter_id)
        .where(p.to_ms.is_(None), p.entry_id.is_not(None))
        .order_by(c.adapter_id)
    )
    found = {}
    for row in rows:
        before = known.get(row.adapter_id)
        if before is not None and (before.agent.version, before.entry_id) == (row.version, row.entry_id):
            found[row.adapter_id] = before
        else:
            found[row.adapter_id] = Seated(row.adapter_id, row.entry_id, _agent(row, keyring))
    return found


async def sources(tx: Tx, adapter_ids: Collection[int]) -> dict[int, Source]:
    """How reading goes, of the adapters that were asked already."""
    found = {}
    for some in in_parts(adapter_ids):
        rows = await tx.execute(select(counter_sources).where(counter_sources.c.adapter_id.in_(some)))
        found.update({row.adapter_id: _source(row) for row in rows})
    return found


async def with_agents(tx: Tx, adapter_ids: Collection[int]) -> set[int]:
    """Those of some adapters that have an agent."""
    found: set[int] = set()
    for some in in_parts(adapter_ids):
        found |= set(await tx.scalars(select(counter_agents.c.adapter_id).where(counter_agents.c.adapter_id.in_(some))))
    return found


async def put_sources(tx: Tx, states: Sequence[Source]) -> None:
    """Write how reading goes; a change of state is an event. An agent that was removed meanwhile stays so."""
    before = await sources(tx, [one.adapter_id for one in states])
    alive = await with_agents(tx, [one.adapter_id for one in states])
    for one in states:
        if one.adapter_id not in alive:
            continue
        was = before.get(one.adapter_id)
        same = was is not None and was.state is one.state
        values = {
            "state": one.state.value,
            "reason": one.reason,
            "since_ms": was.since_ms if was is not None and same else one.since_ms,
            "asked_ms": one.asked_ms,
            "answered_ms": one.answered_ms if one.answered_ms is not None or was is None else was.answered_ms,
            "round_trip_ms": one.round_trip_ms,
            "interfaces": one.interfaces,
        }
        made = upsert(tx, counter_sources).values(adapter_id=one.adapter_id, **values)
        await tx.execute(made.on_conflict_do_update(index_elements=["adapter_id"], set_=values))
        if not same:
            facts = {"state": one.state.value, "reason": one.reason, "before": was.state.value if was else None}
            await events.record(tx, NewEvent("counters.source", one.asked_ms, adapter_id=one.adapter_id, facts=facts))


async def put_interfaces(tx: Tx, adapter_id: int, found: Iterable[FoundInterface], at_ms: int) -> None:
    """Keep what an agent named; what it names no more is marked as gone, and stays."""
    d = device_interfaces.c
    gone = update(device_interfaces).where(d.adapter_id == adapter_id, d.gone_ms.is_(None)).values(gone_ms=at_ms)
    await tx.execute(gone)
    for one in found:
        values = {
            "ifindex": one.ifindex,
            "alias": one.alias[:200],
            "speed_bps": one.speed_bps,
            "up": None if one.up is None else int(one.up),
            "half_duplex": None if one.half_duplex is None else int(one.half_duplex),
            "seen_ms": at_ms,
            "gone_ms": None,
        }
        made = upsert(tx, device_interfaces).values(adapter_id=adapter_id, name=one.name, first_ms=at_ms, **values)
        await tx.execute(made.on_conflict_do_update(index_elements=["adapter_id", "name"], set_=values))


async def interfaces(tx: Tx, scope: Scope, adapter_id: int) -> list[KnownInterface]:
    """Interfaces that an adapter's agent has named, by name. Raises NotFound for the adapter."""
    await adapter_row(tx, scope, adapter_id)
    d = device_interfaces.c
    rows = await tx.execute(select(device_interfaces).where(d.adapter_id == adapter_id).order_by(d.name))
    return [
        KnownInterface(
            FoundInterface(row.name, row.ifindex, row.alias, row.speed_bps, _told(row.up), _told(row.half_duplex)),
            row.first_ms,
            row.seen_ms,
            row.gone_ms,
        )
        for row in rows
    ]


async def half_duplex(tx: Tx, adapter_id: int, names: Collection[str]) -> list[str]:
    """Those of an adapter's interfaces that send and receive by turns only, by name."""
    d = device_interfaces.c
    found = await tx.scalars(
        select(d.name).where(d.adapter_id == adapter_id, d.name.in_(names), d.half_duplex == 1, d.gone_ms.is_(None))
    )
    return sorted(found)


def _told(flag: int | None) -> bool | None:
    return None if flag is None else bool(flag)


async def take_turn(tx: Tx, name: str, node: str, now_ms: int, until_ms: int) -> bool:
    """Whether it is this node's turn at some work of the fleet, which it then has until `until_ms`."""
    made = upsert(tx, turns).values(name=name, node=node, until_ms=until_ms)
    mine = (turns.c.node == node) | (turns.c.until_ms < now_ms)
    taken = made.on_conflict_do_update(
        index_elements=["name"], set_={"node": node, "until_ms": until_ms}, where=mine
    ).returning(turns.c.name)
    return (await tx.execute(taken)).first() is not None


async def _row(tx: Tx, adapter_id: int) -> AnyRow | None:
    return (await tx.execute(select(counter_agents).where(counter_agents.c.adapter_id == adapter_id))).one_or_none()


def _agent(row: AnyRow, keyring: Keyring) -> CounterAgent:
    secrets = json.loads(keyring.unseal(row.secrets_sealed, context=_context(row.adapter_id)).reveal())
    return CounterAgent(
        protocol=row.protocol,
        host=row.host,
        port=row.port,
        username=row.username,
        auth=row.auth,
        privacy=row.privacy,
        fingerprint=row.fingerprint,
        version=row.version,
        **{name: Secret(value) for name, value in secrets.items()},
    )


def _source(row: AnyRow) -> Source:
    return Source(
        row.adapter_id,
        SourceState(row.state),
        row.reason,
        row.since_ms,
        row.asked_ms,
        row.answered_ms,
        row.round_trip_ms,
        row.interfaces,
    )


def _none(serial: str) -> NotFound:
    return NotFound(
        f"no agent is known that {serial}'s counters are read from",
        next_step="Set one, or leave it: adapters that phone home send their counters with heartbeats.",
    )


def _context(adapter_id: int) -> str:
    return f"counter_agents.secrets.{adapter_id}"
