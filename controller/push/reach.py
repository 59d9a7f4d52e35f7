"""How the engine comes to an adapter: a device for its family, over SSH or the tunnel that it holds open."""

from __future__ import annotations

from typing import Protocol

from drivers.push import Device
from drivers.sessions.transcript import Transcript, nowhere


class Reach(Protocol):
    """Makes devices; making one opens no connection yet."""

    async def device_for(self, adapter_id: int, transcript: Transcript = nowhere, /) -> Device:
        """A device without any contact, whose sessions tell `transcript` what is typed and said, secrets masked.

        Raises Conflict when the adapter has no endpoint or path.
        """
        ...
