"""A place with a link, on both databases, and traffic for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import pytest
from sqlalchemy import Table, insert

from controller.metering.service import MeteringService
from controller.store import links
from controller.store.database import Database, Tx
from controller.store.links import NewLink
from controller.store.scope import By, Scope
from controller.store.tables.inventory import adapters, contractors, entries, managements, placements
from controller.store.traffic import TrafficDatabase
from drivers.simulator.traffic import Profile, Traffic, ndjson
from inventory.links import Capacity, CapacityKind, Link, LinkRole
from inventory.periods import TOKYO, day_of, day_start_ms
from tests.clock import ManualClock

DAY_MS = 86_400_000
EVERYTHING = Scope.everything()


@dataclass
class Place:
    """One contractor's entry with a 100 Mbit/s line behind a gigabit port, and the service that meters it."""

    database: Database
    traffic: TrafficDatabase
    clock: ManualClock
    metering: MeteringService
    contractor_id: int
    entry_id: int
    adapter_id: int
    link: Link

    def by(self) -> By:
        """An operator, now."""
        return By("ops", self.clock.now_ms())

    def today_ms(self, days_ago: int = 0) -> int:
        """Begin of a day in Tokyo."""
        today = day_of(self.clock.now_ms(), TOKYO)
        return day_start_ms(today, TOKYO) - days_ago * DAY_MS

    def past(self, profile: Profile, days: int, step_ms: int = 300_000) -> bytes:
        """NDJSON of `days` days up to the last midnight in Tokyo."""
        return _lines(profile, f"E-{self.entry_id}", self.link.interface, self.today_ms(days), self.today_ms(), step_ms)


@lru_cache(maxsize=16)
def _lines(profile: Profile, entry: str, interface: str, start_ms: int, end_ms: int, step_ms: int) -> bytes:
    readings = Traffic(profile, start_ms).readings(start_ms, end_ms, step_ms=step_ms)
    return b"".join(ndjson(entry, interface, readings))


@pytest.fixture
async def traffic(database_url: str, tmp_path: Path) -> AsyncIterator[TrafficDatabase]:
    """A traffic database: an SQLite file of its own, or tables beside the main ones on PostgreSQL."""
    own = f"sqlite:///{tmp_path / 'traffic.db'}" if database_url.startswith("sqlite") else database_url
    found = await TrafficDatabase.open(own)
    try:
        yield found
    finally:
        await found.close()


@pytest.fixture
async def place(database: Database, traffic: TrafficDatabase, clock: ManualClock) -> Place:
    """See `Place`; the seated adapter is a FortiGate 40F of class III."""
    clock.step_ms(6 * 3_600_000)
    now = clock.now_ms()
    async with database.write() as tx:
        contractor = await _one(tx, contractors, name="Osaka Bakery", created_ms=now, version=1)
        management = await _one(
            tx,
            managements,
            contractor_id=contractor,
            service="mpc",
            classes='["III"]',
            name="shops",
            created_ms=now,
            version=1,
        )
        entry, adapter = await seated(tx, contractor, management, "FGT1", "Osaka 2", now)
        link = await links.add(
            tx, EVERYTHING, By("test", now), NewLink(entry, "wan1", LinkRole.WAN, 1_000_000_000, 3, "dhcp", TOKYO)
        )
        rate = Capacity(CapacityKind.LINE, 100_000_000, 100_000_000, date(2025, 1, 1), None, "test", "contract")
        await links.set_capacity(tx, EVERYTHING, By("test", now), link.id, rate)
    service = MeteringService(database, traffic, clock)
    return Place(database, traffic, clock, service, contractor, entry, adapter, link)


async def seated(
    tx: Tx, contractor_id: int, management_id: int, serial: str, name: str, now_ms: int
) -> tuple[int, int]:
    """A FortiGate 40F of class III in an entry of its own: the numbers of the entry and of the adapter."""
    entry = await _one(
        tx,
        entries,
        management_id=management_id,
        name=name,
        site="",
        labels="{}",
        generation=1,
        version=1,
        opened_ms=now_ms,
    )
    adapter = await _one(
        tx,
        adapters,
        contractor_id=contractor_id,
        serial_key=serial,
        serial_shown=serial,
        service="mpc",
        device_class="III",
        model="fortigate",
        hardware="FortiGate 40F",
        holding="own",
        path="ssh",
        life="in-service",
        life_at_ms=now_ms,
        registered_ms=now_ms,
        version=1,
    )
    await _one(tx, placements, adapter_id=adapter, entry_id=entry, from_ms=now_ms, cause="assign", actor="test")
    return entry, adapter


async def _one(tx: Tx, table: Table, **values: object) -> int:
    found = await tx.execute(insert(table).values(**values))
    assert found.inserted_primary_key is not None
    key: int = found.inserted_primary_key[0]
    return key
