"""Child processes of a bench, each with a pipe: what is measured on one core, the load on the other."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

SPAWN = multiprocessing.get_context("spawn")


class Child:
    """One process that answers what it is told."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._pipe, other = SPAWN.Pipe()
        self._process = SPAWN.Process(target=work, args=(other, *arguments), daemon=True)
        self._process.start()
        other.close()

    async def hear(self) -> Any:
        """The next thing that it says. Raises EOFError when it is gone."""
        return await asyncio.to_thread(_receive, self._pipe)

    async def tell(self, command: str, number: float = 0.0) -> Any:
        """Its answer to a command."""
        self._pipe.send((command, number))
        return await self.hear()

    async def end(self) -> None:
        """Let it stop."""
        self._pipe.send(("stop", 0.0))
        await asyncio.to_thread(self._process.join, 60)
        self._process.kill()
        self._pipe.close()


def _receive(pipe: Connection) -> Any:
    return pipe.recv()


def cores() -> tuple[int | None, int | None]:
    """A core for what is measured and one for the load; None where there is only one."""
    found = sorted(os.sched_getaffinity(0))
    return (found[0], found[1]) if len(found) > 1 else (None, None)
