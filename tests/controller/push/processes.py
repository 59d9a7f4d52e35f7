"""Child processes of a test, and a look into the database of a daemon that lives or died."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from inventory.plans import Phase, PushState
from tests.controller.waiting import until

ROOT = Path(__file__).parents[3]


class Child:
    """One process of ours. `first_line` is what it printed when it was ready."""

    def __init__(self, process: asyncio.subprocess.Process, first_line: str) -> None:
        self._process = process
        self.first_line = first_line

    async def kill(self) -> None:
        """`kill -9`."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def child(module: str, *arguments: str, log: Path, deadline_s: float = 60.0) -> AsyncIterator[Child]:
    """Run `python -m module`, wait for its first line, and kill it at the end. Its standard error goes to `log`."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    one: Child | None = None
    try:
        async with asyncio.timeout(deadline_s):
            first_line = (await process.stdout.readline()).decode()
        assert first_line, f"{module} ended before it was ready: {log.read_text()}"
        one = Child(process, first_line)
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        assert process.stdin is not None
        process.stdin.close()


class Journal:
    """The journal of push 1 in a daemon's SQLite file, read without asking the daemon."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> list[tuple[str, str]]:
        """State and phase of each row, oldest first."""
        return self._query("SELECT state, phase FROM push_journal WHERE push_id = 1 ORDER BY seq")

    def finished(self) -> bool:
        """Whether the push is over."""
        return self._query("SELECT outcome, state FROM pushes WHERE id = 1 AND finished_ms IS NOT NULL") != []

    async def intends(self, state: PushState, deadline_s: float = 60.0) -> None:
        """Return as soon as the intention to enter `state` is on disk."""
        await until(lambda: (state.value, Phase.INTENTION.value) in self.rows(), deadline_s)

    async def ends(self, deadline_s: float = 60.0) -> None:
        """Return as soon as the push is over."""
        await until(self.finished, deadline_s)

    def _query(self, statement: str) -> list[tuple[str, str]]:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()
