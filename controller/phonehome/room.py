"""Memory for what adapters send us in parts: results may be large, but not all at once (arms-protocol §10.3, §12)."""

from __future__ import annotations

from typing import Final

from inventory.errors import ProtocolViolation

AT_MOST: Final = 256 * 1024 * 1024
"""Bytes of unfinished results of all adapters together; one result may have a quarter of it."""
FREE: Final = 64 * 1024
"""So much of each connection is not counted: nearly every message is shorter."""


class Room:
    """What all connections hold together."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._left = at_most

    def hold(self) -> Held:
        """An account for one connection."""
        return Held(self)

    def take(self, size: int) -> None:
        """Take, or with a negative size give back. Raises ProtocolViolation (`room`) when there is not so much left."""
        if size > self._left:
            raise ProtocolViolation("other results take up all the room there is", reason="room")
        self._left -= size


class Held:
    """What one connection holds; `set` it to 0 at its end."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held = 0

    def set(self, size: int) -> None:
        """It holds so many bytes now. Raises ProtocolViolation (`room`); nothing has changed then."""
        wanted = max(0, size - FREE)
        if wanted != self._held:
            self._room.take(wanted - self._held)
            self._held = wanted
