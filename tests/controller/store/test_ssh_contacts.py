"""What a contact over SSH leaves on record: refused credentials, silence, and endpoints that changed meanwhile."""

from __future__ import annotations

import pytest

from controller.keyring import Keyring
from controller.push.contacts import ContactBook
from controller.store import adapters, endpoints, pushes, ssh
from controller.store.database import Database
from controller.store.ssh import SshContact
from drivers import devices
from drivers.sessions.contract import Endpoint
from inventory.adapters import Adapter
from inventory.errors import AuthenticationFailed, DeviceError, Unreachable
from inventory.explain import Contact
from inventory.plans import JournalRow, Phase, PushState, Verdict
from inventory.secrets import Secret
from tests.clock import ManualClock
from tests.controller.store.fleet import ALL, BY, Fleet
from tests.controller.store.test_operations import Place

NEW = Endpoint("127.0.0.1", 22, "admin", Secret("battery staple"))


async def no_wait(_seconds: float) -> None:
    return


class Told:
    """A contact book, and one adapter in it."""

    def __init__(self, fleet: Fleet, database: Database, adapter: Adapter) -> None:
        self.fleet, self.database, self.adapter = fleet, database, adapter
        self.book = ContactBook(database, ManualClock(BY.at_ms))

    async def fails(self, error: DeviceError, adapter: Adapter | None = None) -> None:
        device = devices.over_ssh("ios", NEW, self.adapter.serial.shown, wait=no_wait)
        await self.book.took(adapter or self.adapter, device, error, actor="test")

    async def suspect(self) -> str | None:
        async with self.database.read() as tx:
            return await ssh.suspect(tx, self.adapter.id)

    async def contact(self) -> SshContact:
        async with self.database.read() as tx:
            return (await ssh.contacts(tx, [self.adapter.id]))[self.adapter.id]

    async def corrected(self) -> None:
        async with self.database.write() as tx:
            await endpoints.put(tx, ALL, BY, self.adapter.id, endpoint=NEW, keyring=self.fleet.keyring)
            await ssh.endpoint_changed(tx, self.adapter.id, BY.at_ms)
            self.adapter = await adapters.get(tx, ALL, self.adapter.id)


@pytest.fixture
async def told(fleet: Fleet, database: Database) -> Told:
    contractor = await fleet.contractor()
    return Told(fleet, database, await fleet.adapter(contractor, device_class="III", model="Cisco IOS"))


@pytest.mark.parametrize("step", ["authentication", "enable", "login in the channel"])
async def test_whatever_part_of_a_credential_was_refused_it_is_left_alone(told: Told, step: str) -> None:
    await told.fails(AuthenticationFailed("refused", step=step))
    assert await told.suspect() == "refused"


async def test_a_session_that_ended_after_the_login_is_no_refused_credential(told: Told) -> None:
    await told.fails(AuthenticationFailed("closed at once", step="first prompt"))
    assert (await told.contact()).stage is Contact.REFUSED
    assert await told.suspect() is None


async def test_that_it_is_silent_later_does_not_hide_that_its_credential_was_refused(told: Told) -> None:
    await told.fails(AuthenticationFailed("refused", step="authentication"))
    await told.fails(Unreachable("did not answer"))
    assert ((await told.contact()).stage, await told.suspect()) == (Contact.REFUSED, "refused")


async def test_a_refusal_that_comes_after_the_correction_says_nothing_of_the_new_credential(told: Told) -> None:
    before = told.adapter
    await told.fails(AuthenticationFailed("refused", step="authentication"))
    await told.corrected()
    await told.fails(AuthenticationFailed("refused", step="authentication"), before)
    assert ((await told.contact()).stage, await told.suspect()) == (Contact.NEVER_SEEN, None)


async def test_a_credential_that_is_refused_in_a_push_is_left_alone_when_the_push_is_over(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    place = await Place(database, keyring).furnish()
    push = await place.push()
    async with database.write() as tx:
        assert await pushes.claim(tx, push, attempt=1, now_ms=BY.at_ms)
        told = Told(fleet, database, await adapters.get(tx, ALL, push.adapter_id))

    await told.fails(AuthenticationFailed("refused", step="authentication"))
    assert await told.suspect() is None, "the push has to know how the device stands"

    async with database.write() as tx:
        await pushes.append(tx, push.id, JournalRow(2, 1, PushState.QUARANTINED, Phase.OUTCOME, BY.at_ms, Verdict.OK))
    assert await told.suspect() == "refused"


async def test_a_device_that_is_away_in_a_push_is_not_called_silent(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    place = await Place(database, keyring).furnish()
    push = await place.push()
    async with database.write() as tx:
        assert await pushes.claim(tx, push, attempt=1, now_ms=BY.at_ms)
        told = Told(fleet, database, await adapters.get(tx, ALL, push.adapter_id))

    await told.fails(Unreachable("did not answer"))

    async with database.read() as tx:
        assert await ssh.contacts(tx, [push.adapter_id]) == {}
