"""An event that costs next to nothing while nobody waits: every open tunnel has one."""

from __future__ import annotations

import asyncio


class Flag:
    """As `asyncio.Event`, which keeps a queue of 700 octets from its beginning."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Whether it is so."""
        return self._is_set

    def set(self) -> None:
        """It is so: whoever waits goes on."""
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def clear(self) -> None:
        """It is so no longer."""
        self._is_set = False

    async def wait(self) -> None:
        """Return when it is so, or has been since."""
        if self._is_set:
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
