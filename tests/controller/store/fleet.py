"""A small fleet for the store's stories: contractors, managements and adapters in one line each."""

from __future__ import annotations

import itertools
from dataclasses import replace

from controller.keyring import Keyring
from controller.store import adapters, contractors, counts, slots
from controller.store.database import Database
from controller.store.scope import By, Scope
from drivers.sessions.contract import Endpoint
from inventory.adapters import Adapter
from inventory.catalogue import DeviceClass, Service
from inventory.secrets import Secret
from inventory.slots import Contractor, Management, Placement

ALL = Scope.everything()
BY = By("test", 1_760_745_600_000)  # 2025-10-18T00:00:00Z, the 18th in Tokyo too
DAY_MS = 86_400_000


def later(ms: int) -> By:
    """The same person, so much later."""
    return replace(BY, at_ms=BY.at_ms + ms)


def distribution_id(number: int) -> str:
    """A well-formed Distribution ID, another for each number."""
    return f"0001-0000-0101-000B-0200-5EFF-{number // 65536:04X}-{number % 65536:04X}"


class Fleet:
    """Writes each thing in a transaction of its own."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.keyring = keyring
        self._numbers = itertools.count(1)

    async def contractor(self, name: str = "North Foods") -> Contractor:
        async with self.database.write() as tx:
            return await contractors.create(tx, ALL, BY, name=name)

    async def management(
        self,
        contractor: Contractor,
        *,
        service: Service = "mpc",
        classes: tuple[DeviceClass, ...] = ("I",),
        entry_count: int = 2,
        standby_count: int = 1,
    ) -> Management:
        async with self.database.write() as tx:
            return await counts.create_management(
                tx,
                ALL,
                BY,
                contractor_id=contractor.id,
                service=service,
                classes=classes if service == "mpc" else (),
                name="Osaka",
                entry_count=entry_count,
                standby_count=standby_count,
            )

    async def adapter(
        self,
        contractor: Contractor,
        *,
        serial: str | None = None,
        service: Service = "mpc",
        device_class: DeviceClass | None = "I",
        model: str = "SA-W2",
    ) -> Adapter:
        number = next(self._numbers)
        by_ssh = model in ("Cisco IOS", "FortiGate")
        async with self.database.write() as tx:
            return await adapters.register(
                tx,
                ALL,
                BY,
                serial=serial or f"SN-{number:06}",
                contractor_id=contractor.id,
                service=service,
                device_class=device_class if service == "mpc" else None,
                model=model,
                distribution_id=None if by_ssh else distribution_id(number),
                endpoint=Endpoint("127.0.0.1", 22, "admin", Secret("correct horse")) if by_ssh else None,
                keyring=self.keyring,
            )

    async def assign(
        self,
        adapter: Adapter,
        *,
        management: Management | None = None,
        entry: int | None = None,
        standby: int | None = None,
    ) -> Placement:
        async with self.database.write() as tx:
            return await slots.assign(
                tx,
                ALL,
                BY,
                adapter.id,
                management_id=management.id if management else None,
                entry_id=entry,
                standby_id=standby,
            )
