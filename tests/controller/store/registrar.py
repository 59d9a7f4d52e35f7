"""A process that registers adapters and assigns each to any free entry, all at once; prints how many found one."""

from __future__ import annotations

import asyncio
import sys

from controller.store import adapters, slots
from controller.store.database import Database
from controller.store.scope import By, Scope
from inventory.errors import NoFreeSlot
from tests.controller.store.fleet import distribution_id


async def register_and_assign(database: Database, contractor: int, management: int, number: int) -> bool:
    """Register the adapter of this number and put it into a free entry; False if there is none left."""
    by = By("registrar", 1_760_745_600_000)
    everything = Scope.everything()
    try:
        async with database.write() as tx:
            adapter = await adapters.register(
                tx,
                everything,
                by,
                serial=f"RACE-{number}",
                contractor_id=contractor,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=distribution_id(number),
            )
            await slots.assign(tx, everything, by, adapter.id, management_id=management)
    except NoFreeSlot:
        return False
    return True


async def run(url: str, contractor: int, management: int, numbers: range) -> int:
    """How many of the numbers found a free entry."""
    database = await Database.open(url)
    done = await asyncio.gather(*(register_and_assign(database, contractor, management, one) for one in numbers))
    await database.close()
    return sum(done)


if __name__ == "__main__":
    url, *rest = sys.argv[1:]
    contractor, management, first, last = map(int, rest)
    sys.stdout.write(str(asyncio.run(run(url, contractor, management, range(first, last)))))
