"""The least of an inventory that a push needs: an adapter in an entry, with a working config, and a standby."""

from __future__ import annotations

from controller.keyring import Keyring
from controller.store import configs, slots
from controller.store.database import Database
from controller.store.scope import Scope
from inventory.plans import ConfigText
from tests.controller.store.fleet import BY, Fleet

ENTRY_ID = 1
ADAPTER_ID = 1
STANDBY_ID = 1
SERIAL = "SN-000001"


async def furnish(database: Database, keyring: Keyring, working: str) -> None:
    """Entry E-1 with adapter 1, standby S-1 with adapter 2, the working config of E-1."""
    fleet = Fleet(database, keyring)
    owner = await fleet.contractor()
    management = await fleet.management(owner, entry_count=1, standby_count=1)
    await fleet.assign(await fleet.adapter(owner, serial=SERIAL), management=management)
    await fleet.assign(await fleet.adapter(owner), standby=STANDBY_ID)
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
    """The standby's adapter takes the place."""
    async with database.write() as tx:
        await slots.promote(tx, Scope.everything(), BY, entry_id=ENTRY_ID, standby_id=STANDBY_ID)
