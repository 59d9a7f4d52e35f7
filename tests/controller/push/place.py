"""The least of an inventory that a push needs: an adapter in an entry, with a working config."""

from __future__ import annotations

from sqlalchemy import insert, update

from controller.keyring import Keyring
from controller.store import configs
from controller.store.database import Database
from controller.store.scope import Scope
from controller.store.tables import inventory
from inventory.plans import ConfigText

ENTRY_ID = 1
ADAPTER_ID = 1


async def furnish(database: Database, keyring: Keyring, working: str) -> None:
    """Contractor, management, entry E-1, a spare adapter, adapter 1 in the entry, its working config."""
    async with database.write() as tx:
        await tx.execute(insert(inventory.contractors).values(name="c", created_ms=0, version=1))
        await tx.execute(
            insert(inventory.managements).values(
                contractor_id=1, service="mpc", classes='["I"]', name="m", created_ms=0, version=1
            )
        )
        await tx.execute(
            insert(inventory.entries).values(
                management_id=1, name="tokyo", site="", labels="{}", generation=1, version=1, opened_ms=0
            )
        )
        for number in (1, 2):
            await tx.execute(
                insert(inventory.adapters).values(
                    contractor_id=1,
                    serial_key=f"F{number}",
                    serial_shown=f"F{number}",
                    service="mpc",
                    device_class="I",
                    model="Cisco IOS",
                    hardware="",
                    holding="",
                    path="ssh",
                    life="in-service",
                    registered_ms=0,
                    version=1,
                )
            )
        await tx.execute(
            insert(inventory.placements).values(adapter_id=1, entry_id=1, from_ms=0, cause="assign", actor="test")
        )
    await work(database, keyring, working)


async def work(database: Database, keyring: Keyring, working: str) -> None:
    """Store a working config of the entry."""
    async with database.write() as tx:
        await configs.put(
            tx,
            Scope.everything(),
            keyring,
            ENTRY_ID,
            kind="working",
            config=ConfigText.single(working),
            digest="w",
            author="ann",
            reason="test",
            at_ms=0,
        )


async def promote(database: Database) -> None:
    """The other adapter takes the place."""
    placements = inventory.placements
    async with database.write() as tx:
        await tx.execute(update(placements).where(placements.c.adapter_id == 1).values(to_ms=1, end_cause="promote"))
        await tx.execute(insert(placements).values(adapter_id=2, entry_id=1, from_ms=1, cause="promote", actor="test"))
        await tx.execute(update(inventory.entries).values(generation=2))
