"""Many at once: the slots fill exactly."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from controller.keyring import Keyring
from controller.store import adapters, entries
from controller.store.database import Database
from tests.controller.store import registrar
from tests.controller.store.fleet import ALL, Fleet

ROOT = Path(__file__).parent.parent.parent.parent


async def ten_free_entries(url: str, keyring: Keyring) -> tuple[int, int]:
    """Contractor and management with ten free entries."""
    database = await Database.open(url)
    fleet = Fleet(database, keyring)
    north = await fleet.contractor()
    osaka = await fleet.management(north, entry_count=10)
    await database.close()
    return north.id, osaka.id


async def seated(url: str) -> tuple[int, int, int]:
    """How many adapters sit, how many are registered, how many entries are free."""
    database = await Database.open(url)
    async with database.read() as tx:
        sitting = await adapters.page(tx, ALL, seated=True, limit=1000)
        everyone = await adapters.page(tx, ALL, limit=1000)
        free = await entries.page(tx, ALL, occupied=False)
    await database.close()
    return len(sitting), len(everyone), len(free)


async def test_200_registrations_at_once_fill_10_slots_exactly(sqlite_url: str, keyring: Keyring) -> None:
    contractor, management = await ten_free_entries(sqlite_url, keyring)
    assert await registrar.run(sqlite_url, contractor, management, range(200)) == 10
    # A registration that finds no slot is undone as a whole.
    assert await seated(sqlite_url) == (10, 10, 0)


@pytest.mark.postgres
async def test_200_registrations_from_two_processes_fill_10_slots_exactly(postgres_url: str, keyring: Keyring) -> None:
    contractor, management = await ten_free_entries(postgres_url, keyring)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.controller.store.registrar",
            *(postgres_url, str(contractor), str(management), str(first), str(first + 100)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for first in (0, 100)
    ]
    answers = [(await process.communicate())[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(int(answer) for answer in answers) == 10
    assert await seated(postgres_url) == (10, 10, 0)


async def test_one_serial_number_registered_twenty_times_at_once_is_one_adapter(fleet: Fleet) -> None:
    north = await fleet.contractor()
    tries = await asyncio.gather(*(fleet.adapter(north, serial="SAME") for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in tries) == 1
    assert {type(one).__name__ for one in tries if isinstance(one, BaseException)} == {"SerialTaken"}


async def test_one_adapter_assigned_ten_times_at_once_sits_in_one_slot(fleet: Fleet) -> None:
    north = await fleet.contractor()
    places = [await fleet.management(north, entry_count=5) for _ in range(2)]
    unit = await fleet.adapter(north)
    tries = await asyncio.gather(
        *(fleet.assign(unit, management=places[number % 2]) for number in range(10)), return_exceptions=True
    )
    assert sum(not isinstance(one, BaseException) for one in tries) == 1
    assert {type(one).__name__ for one in tries if isinstance(one, BaseException)} == {"Conflict"}
