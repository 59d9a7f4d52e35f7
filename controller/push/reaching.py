"""From an adapter of the store to a device of its family: over SSH by its endpoint, or over its ARMS tunnel."""

from __future__ import annotations

from dataclasses import dataclass

from controller.clock import Clock
from controller.keyring import Keyring
from controller.push.contacts import ContactBook
from controller.store import adapters, configs, endpoints, slots, ssh
from controller.store.database import Database, Tx
from controller.store.scope import Scope
from drivers import devices
from drivers.device import CommandLineDevice
from drivers.push import Device, Identity
from drivers.sessions.arms import ArmsLink
from drivers.sessions.arms_words import Overheard
from drivers.sessions.contract import Endpoint
from drivers.sessions.transcript import Transcript, nowhere
from inventory.adapters import Adapter
from inventory.errors import Conflict, DeviceError
from inventory.plans import ConfigText

DAEMON = "daemon"
"""Who acts when nobody asked."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Where an adapter is reached, what it said when it refused the credential on record, and its last contact."""

    endpoint: Endpoint | None = None
    refused: str | None = None
    contact: ssh.SshContact | None = None


class FleetReach:
    """See `controller.push.reach.Reach`. Credentials are unsealed for one device and kept no longer."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, link: ArmsLink) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._link = link
        self._book = ContactBook(database, clock)

    async def device_for(self, adapter_id: int, transcript: Transcript = nowhere, /) -> Device:
        """A device without any contact yet. Raises Conflict when the adapter has no endpoint, NotFound."""

        async def read(tx: Tx) -> tuple[Adapter, _Found]:
            adapter = await adapters.get(tx, Scope.everything(), adapter_id)
            return adapter, _Found() if adapter.path != "ssh" else await self._endpoint(tx, adapter)

        adapter, found = await self._database.look(read)
        if adapter.path == "ssh":
            return self._over_ssh(adapter, found, transcript, DAEMON)
        return devices.over_arms(
            adapter.model.family,
            self._link if transcript is nowhere else Overheard(self._link, transcript),
            adapter.serial.shown,
            distribution_id=adapter.distribution_id,
            known=await self._sent(adapter),
        )

    async def _sent(self, adapter: Adapter) -> list[ConfigText]:
        """What its place was last given: an adapter in text mode tells no letters beyond ASCII by itself."""
        everything = Scope.everything()
        async with self._database.read() as tx:
            place = await slots.place_of(tx, everything, adapter.id)
            if place is None or place.slot_kind != "entry":
                return []
            kinds: tuple[configs.Kind, ...] = ("running", "startup")
            texts = [await configs.latest_text(tx, everything, self._keyring, place.slot_id, kind) for kind in kinds]
        return [text for text in texts if text is not None]

    async def over_ssh(
        self, adapter: Adapter, transcript: Transcript = nowhere, *, actor: str = DAEMON, again: bool = False
    ) -> CommandLineDevice:
        """The same for an adapter with an endpoint, with what only a command line has: the host key it showed.

        Raises Conflict while it is not known whether a credential that it refused is better now, unless it is to be
        tried `again` or a push under way must know how the device stands.
        """
        found = await self._database.look(lambda tx: self._endpoint(tx, adapter, again=again))
        return self._over_ssh(adapter, found, transcript, actor)

    async def _endpoint(self, tx: Tx, adapter: Adapter, *, again: bool = False) -> _Found:
        endpoint = await endpoints.get(tx, Scope.everything(), self._keyring, adapter.id)
        contact = (await ssh.contacts(tx, [adapter.id])).get(adapter.id)
        suspect = contact is not None and contact.credential_refused_ms is not None and not again
        return _Found(endpoint, await ssh.suspect(tx, adapter.id) if suspect else None, None if again else contact)

    def _over_ssh(self, adapter: Adapter, found: _Found, transcript: Transcript, actor: str) -> CommandLineDevice:
        endpoint, refused = found.endpoint, found.refused
        if endpoint is None:
            raise Conflict(f"{adapter.serial} has no endpoint", next_step="Give it an address and a credential first.")
        if refused is not None:
            raise Conflict(
                f"{adapter.serial} has refused its credential, which is not tried again by itself: {refused}",
                next_step="Correct the credential of its endpoint, or have it tried once more: identify it.",
            )
        device = devices.over_ssh(
            adapter.model.family,
            endpoint,
            adapter.serial.shown,
            wait=self._clock.wait,
            distribution_id=adapter.distribution_id,
            transcript=transcript,
        )

        before, pinned = found.contact, endpoint.host_key is not None

        async def took(who: CommandLineDevice, said: Identity | DeviceError) -> None:
            await self._book.took(adapter, who, said, actor=actor, before=before, pinned=pinned)

        device.on_contact = took
        return device
