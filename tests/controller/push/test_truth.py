"""What adapters run is read after they come into contact, and not more often than it is worth."""

from __future__ import annotations

from controller.push.truth import AGAIN_MS, DAY_MS, TruthReader
from controller.store import pushes, slots, ssh
from controller.store.scope import By, Scope
from drivers.push import Device
from inventory.errors import Truncated
from inventory.plans import ConfigText
from tests.controller.push.house import House
from tests.controller.push.place import ADAPTER_ID, ENTRY_ID, SERIAL, STANDBY_ID
from tests.controller.push.program import BASE, INTENT, FakeDevice, FakePlanner, FakeReach


def reader(house: House, reach: FakeReach | None = None) -> TruthReader:
    return TruthReader(house.database, house.keyring, house.clock, reach or FakeReach(house.program), FakePlanner())


async def in_contact(house: House, adapter_id: int = ADAPTER_ID) -> None:
    async with house.database.write() as tx:
        await ssh.reached(tx, adapter_id, serial=SERIAL, firmware="1", at_ms=house.clock.now_ms())


async def test_an_adapter_in_contact_is_read_once_and_again_after_a_day(house: House) -> None:
    truth = reader(house)
    assert await truth.look() == 0  # nobody is in contact yet
    await in_contact(house)
    assert await truth.look() == 1
    assert await house.config("truth") == BASE
    assert await truth.look() == 0
    house.program.running = INTENT
    house.clock.leap(DAY_MS / 1000 + 1)
    assert await truth.look() == 1
    assert await house.config("truth") == INTENT


async def test_a_new_unit_in_the_place_is_read_anew(house: House) -> None:
    truth = reader(house)
    await in_contact(house)
    await truth.look()
    house.clock.leap(60)
    async with house.database.write() as tx:
        by = By("ann", house.clock.now_ms())
        await slots.promote(tx, Scope.everything(), by, entry_id=ENTRY_ID, standby_id=STANDBY_ID)
    house.clock.leap(60)
    await in_contact(house, ADAPTER_ID + 1)
    house.program.running = INTENT
    assert await truth.look() == 1
    assert await house.config("truth") == INTENT


async def test_a_unit_in_quarantine_is_not_read(house: House) -> None:
    await in_contact(house)
    async with house.database.write() as tx:
        await ssh.quarantined(tx, ADAPTER_ID, reason="another serial number", at_ms=house.clock.now_ms())
    assert await reader(house).look() == 0


async def test_a_push_that_holds_the_device_is_not_disturbed(house: House) -> None:
    await in_contact(house)
    push_id = await house.start()
    async with house.database.write() as tx:
        found = await pushes.get(tx, Scope.everything(), push_id)
        assert await pushes.claim(tx, found, attempt=1, now_ms=house.clock.now_ms())
    house.program.running = "other"
    house.clock.leap(DAY_MS / 1000 + 1)
    assert await reader(house).look() == 0
    assert await house.config("truth") == BASE  # as the plan read it


class Cut(FakeReach):
    """Every reading ends early."""

    async def device_for(self, adapter_id: int, *_told: object) -> Device:
        class Early(FakeDevice):
            async def read(self) -> ConfigText:
                raise Truncated("the end mark is missing")

        return Early(self.program)


async def test_a_truncated_reading_is_not_stored_and_not_tried_again_at_once(house: House) -> None:
    await in_contact(house)
    truth = reader(house, Cut(house.program))
    assert await truth.look() == 0
    assert await house.config("truth") is None
    before = house.program.commands
    assert await truth.look() == 0
    assert house.program.commands == before
    house.clock.leap(AGAIN_MS / 1000)
    await truth.look()
    assert house.program.commands > before
