"""From an adapter of the store to a device of its family: over SSH by its endpoint, or over its ARMS tunnel."""

from __future__ import annotations

from controller.clock import Clock
from controller.keyring import Keyring
from controller.store import adapters, configs, endpoints, slots
from controller.store.database import Database, Tx
from controller.store.scope import Scope
from drivers import devices
from drivers.device import CommandLineDevice
from drivers.push import Device
from drivers.sessions.arms import ArmsLink
from drivers.sessions.contract import Endpoint
from drivers.sessions.transcript import Transcript, nowhere
from inventory.adapters import Adapter
from inventory.errors import Conflict
from inventory.plans import ConfigText


class FleetReach:
    """See `controller.push.reach.Reach`. Credentials are unsealed for one device and kept no longer."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, link: ArmsLink) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._link = link

    async def device_for(self, adapter_id: int) -> Device:
        """A device without any contact yet. Raises Conflict when the adapter has no endpoint, NotFound."""

        async def read(tx: Tx) -> tuple[Adapter, Endpoint | None]:
            adapter = await adapters.get(tx, Scope.everything(), adapter_id)
            if adapter.path != "ssh":
                return adapter, None
            return adapter, await endpoints.get(tx, Scope.everything(), self._keyring, adapter.id)

        adapter, endpoint = await self._database.look(read)
        if adapter.path == "ssh":
            return self._over_ssh(adapter, endpoint, nowhere)
        return devices.over_arms(
            adapter.model.family,
            self._link,
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

    async def over_ssh(self, adapter: Adapter, transcript: Transcript = nowhere) -> CommandLineDevice:
        """The same for an adapter with an endpoint, with what only a command line has: the host key it showed."""
        async with self._database.read() as tx:
            endpoint = await endpoints.get(tx, Scope.everything(), self._keyring, adapter.id)
        return self._over_ssh(adapter, endpoint, transcript)

    def _over_ssh(self, adapter: Adapter, endpoint: Endpoint | None, transcript: Transcript) -> CommandLineDevice:
        if endpoint is None:
            raise Conflict(f"{adapter.serial} has no endpoint", next_step="Give it an address and a credential first.")
        return devices.over_ssh(
            adapter.model.family,
            endpoint,
            adapter.serial.shown,
            wait=self._clock.wait,
            distribution_id=adapter.distribution_id,
            transcript=transcript,
        )
