"""What tests of reports share: traffic for the place, a service, and a report's files."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from controller.reports.service import ReportService
from controller.store.tables.inventory import placements
from drivers.simulator.traffic import Profile
from inventory.periods import TOKYO, day_of
from inventory.reporting import Format
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For stories that the kind of database has no part in."""
BUSY = Profile(seed=3, kind="office", capacity_bps=100_000_000, busy_share=0.97, bursts=False)


def service(place: Place, folder: Path, node: str = "one") -> ReportService:
    """A node's reports."""
    return ReportService(place.database, place.traffic, place.metering, place.clock, folder=folder, node=node)


def yesterday(place: Place) -> date:
    """The last whole day in Tokyo."""
    return day_of(place.today_ms(1), TOKYO)


async def metered(place: Place, days: int, *, without: range = range(0)) -> None:
    """Import some days of traffic up to the last midnight, a range of readings left out, and judge them."""
    lines = place.past(BUSY, days).splitlines(keepends=True)
    kept = [line for i, line in enumerate(lines) if i not in without]
    await place.metering.import_readings(EVERYTHING, b"".join(kept))
    await place.metering.tick()


async def seated_since_ever(place: Place) -> None:
    """The adapter of the place sat there in all of the past."""
    async with place.database.write() as tx:
        await tx.execute(update(placements).values(from_ms=0))


def next_day(place: Place) -> None:
    """A day passes."""
    place.clock.advance(DAY_MS / 1000)


async def as_json(made: ReportService, key: str) -> dict[str, Any]:
    """The JSON of a report."""
    found: dict[str, Any] = json.loads(await made.file(EVERYTHING, key, Format.JSON))
    return found
