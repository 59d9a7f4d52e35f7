"""Contract lines for the store's stories: a contractor that has applied and was accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from controller.keyring import Keyring
from controller.store import applications, contractday, contracts, contractsteps
from controller.store.applications import Application
from controller.store.contracts import ContractLine, Standing
from controller.store.database import Database
from controller.store.scope import By
from inventory.adapters import Adapter
from inventory.applications import Wanted
from inventory.calendar import tokyo_day
from inventory.catalogue import Service
from inventory.contractevents import ContractEvent
from inventory.contracts import ContractStep
from inventory.slots import Contractor
from tests.controller.store.fleet import ALL, BY, DAY_MS

TODAY = tokyo_day(BY.at_ms)
MANAGEMENT = Wanted("management", name="Osaka", classes=("I", "III"), entries=2, standbys=1)
ADAPTER = Wanted("adapter", name="edge", device_class="I", model="SA-W2L")
MOBILE = Wanted("mobile-access", on="edge", plan="normal")
RENTAL = Wanted("adapter-rental", name="box", model="SEIL/X1")
FIREWALL = Wanted("ultra-firewall", on="box")
PLAIN = Wanted("management", name="Nagoya", entries=2, standbys=1)


def on(day: date) -> By:
    """The same person at noon of that day."""
    return replace(BY, at_ms=BY.at_ms + (day - TODAY).days * DAY_MS)


@dataclass(frozen=True, slots=True)
class Office:
    """Who records contracts."""

    database: Database
    keyring: Keyring

    async def apply(
        self, contractor: Contractor, *items: Wanted, service: Service = "mpc", by: By = BY, form: str = "<form/>"
    ) -> Application:
        async with self.database.write() as tx:
            return await applications.apply(
                tx,
                ALL,
                by,
                contractor_id=contractor.id,
                service=service,
                received=tokyo_day(by.at_ms),
                form=form,
                items=items,
            )

    async def accept(self, application: Application, *, billing_start: date | None = None, by: By = BY) -> None:
        async with self.database.write() as tx:
            start = billing_start or tokyo_day(by.at_ms)
            await applications.accept(tx, ALL, self.keyring, by, application.id, billing_start=start)

    async def contract(
        self, contractor: Contractor, *items: Wanted, service: Service = "mpc", by: By = BY
    ) -> dict[str, ContractLine]:
        """Apply, accept, start on the same day: lines by kind."""
        application = await self.apply(contractor, *items, service=service, by=by)
        await self.accept(application, by=by)
        async with self.database.read() as tx:
            return {one.kind: one for one in await contracts.of_application(tx, application.id)}

    async def record(
        self, line: ContractLine, event: ContractEvent, *, by: By = BY, corrects: int | None = None
    ) -> ContractStep:
        async with self.database.write() as tx:
            done, _ = await contractsteps.record(tx, ALL, self.keyring, by, line.id, event, corrects=corrects)
            return done

    async def link(self, line: ContractLine, unit: Adapter, *, by: By = BY) -> set[int]:
        async with self.database.write() as tx:
            return await contractsteps.link_unit(tx, ALL, self.keyring, by, line.id, unit.serial)

    async def day(self, contractor: Contractor, day: date) -> set[int]:
        """What the daemon does on a day."""
        async with self.database.write() as tx:
            touched = await contractday.settle(tx, self.keyring, on(day), contractor.id)
            return touched | await contractday.overdue(tx, on(day))

    async def standing(self, line: ContractLine, day: date = TODAY, known_at_ms: int | None = None) -> Standing:
        async with self.database.read() as tx:
            (found,) = await contracts.standing(tx, [line], day, known_at_ms=known_at_ms)
            return found
