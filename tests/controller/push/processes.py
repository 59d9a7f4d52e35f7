"""Child processes of a test, and a look into the database of a daemon that lives or died."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from inventory.plans import Phase
from tests.controller.push import daemon_process
from tests.controller.push.daemon_process import Orders
from tests.controller.waiting import until

FINISHED: Final = "SELECT outcome, state FROM pushes WHERE id = 1 AND finished_ms IS NOT NULL"
_FORKS: Final = multiprocessing.get_context("forkserver")
# A process that has imported everything and has no thread forks the children: one start costs no seconds of imports.
_FORKS.set_forkserver_preload([f"tests.controller.push.{name}_process" for name in ("daemon", "router", "adapter")])


def free_ports() -> tuple[int, int, int]:
    """Two TCP ports and a UDP port that are free now: a daemon that comes back must be found where it was."""
    held = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    first, second, third = (int(one.getsockname()[1]) for one in held)
    for one in held:
        one.close()
    return first, second, third


class Child:
    """A process of ours, by what it tells."""

    def __init__(self, told: Connection, pid: int) -> None:
        self.pid = pid
        self._told = told

    async def tells(self, deadline_s: float = 60.0) -> Any:
        """The next thing it tells; TimeoutError when it says nothing."""
        if not await asyncio.to_thread(self._told.poll, deadline_s):
            raise TimeoutError(f"nothing was told within {deadline_s} s")
        return self._told.recv()


async def killed_at(orders: Orders) -> None:
    """A daemon runs until it stands still where it was ordered to, the intention on disk; then it is killed."""
    assert orders.halt is not None
    async with child(daemon_process.main, orders) as daemon:
        assert await daemon.tells() == "halted"
    assert Journal(orders.folder).rows()[-1] == (orders.halt.state.value, Phase.INTENTION.value)


async def to_the_end(orders: Orders) -> None:
    """A daemon runs until push 1 is over."""
    async with child(daemon_process.main, orders):
        await Journal(orders.folder).ends()


@asynccontextmanager
async def child(main: Callable[..., None], *arguments: object) -> AsyncIterator[Child]:
    """Run `main(told, *arguments)` in a process of its own; `kill -9` at the end."""
    ours, theirs = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=main, args=(theirs, *arguments), daemon=True)
    await asyncio.to_thread(process.start)
    theirs.close()
    try:
        assert process.pid is not None
        yield Child(ours, process.pid)
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()
        ours.close()


class Journal:
    """The journal of push 1 in a daemon's SQLite file, read without asking the daemon."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "kajitori.db"

    def rows(self) -> list[tuple[str, str]]:
        """State and phase of each row, oldest first."""
        return self._query("SELECT state, phase FROM push_journal WHERE push_id = 1 ORDER BY seq")

    def finished(self) -> bool:
        """Whether the push is over."""
        return self._query(FINISHED) != []

    async def ends(self, deadline_s: float = 60.0) -> None:
        """Return as soon as the push is over."""
        with closing(self._open()) as connection:  # one for all looks: each reads the whole schema first
            await until(lambda: connection.execute(FINISHED).fetchall() != [], deadline_s)

    def _query(self, statement: str) -> list[tuple[str, str]]:
        with closing(self._open()) as connection:
            return connection.execute(statement).fetchall()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
