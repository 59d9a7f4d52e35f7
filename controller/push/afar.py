"""The running config of an adapter whose way ends at another node, read by that node (architecture §5a).

A plan may be asked of any node; the adapter can be read by one alone. The database is all that nodes share, so the
request is a row there, and the answer the place's truth.
"""

from __future__ import annotations

from typing import Final

from controller.clock import Clock
from controller.keyring import Keyring
from controller.store import configs, reading_requests
from controller.store.database import Database
from controller.store.reading_requests import Answered
from controller.store.scope import Scope
from controller.store.whereabouts import node_with
from inventory.errors import DeviceError, Unreachable
from inventory.plans import ConfigText

ANSWER_MS: Final = 90_000
"""How long the other node may take, in real time: a device is deaf for 30 s while a script of its own runs."""
LOOK_S: Final = 0.2
COMES_LOOK_S: Final = 1.0
"""How often, in real time, a node that waits for an adapter looks whether it has come to another."""
_KEPT_MS: Final = 600_000


class Afar:
    """Readings by other nodes. With one node there are none."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, node: str | None) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._node = node if database.dialect == "postgresql" else None

    async def read(self, adapter_id: int, entry_id: int) -> ConfigText | None:
        """What the adapter of an entry runs, read now by the node that has the way to it; None when no other has.

        Raises DeviceError when that node could not read it, or gave no answer.
        """
        if self._node is None:
            return None
        now_ms = self._clock.now_ms()
        async with self._database.write() as tx:
            node = await node_with(tx, adapter_id)
            if node is None or node == self._node:
                return None
            number = await reading_requests.ask(tx, adapter_id, entry_id, node, until_ms=now_ms + ANSWER_MS)
        try:
            found = await self._answer(number, self._clock.monotonic_ms() + ANSWER_MS)
        finally:
            async with self._database.write() as tx:
                await reading_requests.forget(tx, number, now_ms - _KEPT_MS)
        if found is None:
            raise Unreachable(
                f"node {node}, where the adapter is in contact, gave no answer",
                step="read",
                next_step="Look whether that node runs; ask again when the adapter is in contact with another.",
            )
        if found.code is not None:
            raise _error(found)
        async with self._database.read() as tx:
            return await configs.latest_text(tx, Scope.everything(), self._keyring, entry_id, "truth")

    async def comes(self, adapter_id: int) -> None:
        """Return when another node has the way to an adapter; never, where there is one node."""
        while self._node is None or not await self._is_elsewhere(adapter_id):
            await self._clock.wait(COMES_LOOK_S * self._clock.pace)

    async def _is_elsewhere(self, adapter_id: int) -> bool:
        async with self._database.read() as tx:
            return await node_with(tx, adapter_id) not in {None, self._node}

    async def _answer(self, number: int, until_ms: int) -> Answered | None:
        while self._clock.monotonic_ms() < until_ms:
            async with self._database.read() as tx:
                found = await reading_requests.answered(tx, number)
            if found is not None:
                return found
            await self._clock.wait(LOOK_S * self._clock.pace)
        return None


def _error(found: Answered) -> DeviceError:
    """The same error as at the other node; one that is none of a device's becomes a plain DeviceError."""
    kinds: dict[str, type[DeviceError]] = {kind.code: kind for kind in DeviceError.__subclasses__()}
    kind = kinds.get(found.code or "", DeviceError)
    return kind(found.said, step="read", next_step="`explain` of the adapter says how it stands.")
