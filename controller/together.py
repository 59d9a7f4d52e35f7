"""One read for all who ask at the same time: fresh for each of them, and paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

AT_MOST: Final = 500
"""Keys of one read; the rest wait for the next."""
APART_S: Final = 0.05
"""Two reads begin so far apart while more than one asks at a time: then many are gathered. One alone never waits."""


class Together(Generic[K, V]):
    """Looks keys up, many at a time. Nothing is remembered from one read to the next.

    Whoever asks while a read is under way waits for the next one. So an answer is never older than its question,
    whichever process made the last change; the busier the node, the more share a read. `read` gives the values of
    those keys that have one. `apart_s`: see `APART_S`.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, apart_s: float = APART_S) -> None:
        self._read = read
        self._apart_s = apart_s
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._began_s = float("-inf")
        self._crowded = False

    async def get(self, key: K) -> V | None:
        """The value; None when it has none. Raises what `read` raises for this key."""
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._go())
        return await asyncio.shield(answer)

    async def _go(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._asked:
                early_s = self._began_s + self._apart_s - loop.time()
                if self._crowded and early_s > 0:
                    await asyncio.sleep(early_s)
                self._began_s = loop.time()
                keys = list(self._asked)[:AT_MOST]
                asked = {key: self._asked.pop(key) for key in keys}
                self._crowded = len(asked) > 1
                if not await self._answer(asked) and len(asked) > 1:
                    # One of them cannot be read: the others must not suffer for it.
                    for key, answer in asked.items():
                        await self._answer({key: answer})
        finally:
            self._reading = None

    async def _answer(self, asked: Mapping[K, asyncio.Future[V | None]]) -> bool:
        """Answer them; whether the read went well. A failure is told to whoever asked alone."""
        try:
            found = await self._read(list(asked))
        except Exception as error:  # noqa: BLE001  # it is told to whoever asked
            if len(asked) == 1:
                for answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may be gone
            return False
        for key, answer in asked.items():
            answer.set_result(found.get(key))
        return True
