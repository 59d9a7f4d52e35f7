"""How many sessions at once, and how fast (devices-ios-fortios §C.3): what is too much waits, nothing cascades."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from drivers.sessions.contract import CliSession, Endpoint, LineResult


@dataclass(frozen=True, slots=True)
class Most:
    """Limits of one process."""

    sessions: int = 400
    logins: int = 100
    """Logins under way at once."""
    logins_per_s: float = 150.0
    logins_per_jump_host: int = 10
    """sshd begins to drop at `MaxStartups 10:30:100`."""


class Admission:
    """Lets sessions in, in the order in which they asked."""

    def __init__(self, most: Most | None = None) -> None:
        self._most = most or Most()
        self._sessions = asyncio.Semaphore(self._most.sessions)
        self._logins = asyncio.Semaphore(self._most.logins)
        self._at_jump_host: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._next_s = 0.0

    async def open(self, endpoint: Endpoint, login: Callable[[], Awaitable[CliSession]]) -> CliSession:
        """Log in when it is our turn. The place is free again when the session is closed or aborted."""
        await self._sessions.acquire()
        try:
            async with self._login(endpoint):
                session = await login()
        except BaseException:
            self._sessions.release()
            raise
        return AdmittedSession(session, self._sessions.release)

    @asynccontextmanager
    async def _login(self, endpoint: Endpoint) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if endpoint.jump:
                first = (endpoint.jump[0].host, endpoint.jump[0].port)
                gate = self._at_jump_host.setdefault(first, asyncio.Semaphore(self._most.logins_per_jump_host))
                await stack.enter_async_context(gate)
            await stack.enter_async_context(self._logins)
            await self._our_turn()
            yield

    async def _our_turn(self) -> None:
        now_s = asyncio.get_running_loop().time()
        at_s = max(now_s, self._next_s)
        self._next_s = at_s + 1 / self._most.logins_per_s
        if at_s > now_s:
            await asyncio.sleep(at_s - now_s)


class AdmittedSession:
    """A session that gives its place back, once, when it ends."""

    def __init__(self, session: CliSession, leave: Callable[[], None]) -> None:
        self._session = session
        self._leave: Callable[[], None] | None = leave

    @property
    def host_key(self) -> str:
        """See `CliSession.host_key`."""
        return self._session.host_key

    @property
    def terminal(self) -> bool:
        """See `CliSession.terminal`."""
        return self._session.terminal

    @property
    def mode(self) -> str:
        """See `CliSession.mode`."""
        return self._session.mode

    @property
    def privileged(self) -> bool:
        """See `CliSession.privileged`."""
        return self._session.privileged

    async def command(self, command: str, *, timeout_s: float) -> str:
        """See `CliSession.command`."""
        return await self._session.command(command, timeout_s=timeout_s)

    async def lines(self, lines: Sequence[str], *, timeout_s: float) -> Sequence[LineResult]:
        """See `CliSession.lines`."""
        return await self._session.lines(lines, timeout_s=timeout_s)

    async def close(self) -> None:
        """See `CliSession.close`."""
        try:
            await self._session.close()
        finally:
            self._left()

    async def abort(self) -> None:
        """See `CliSession.abort`."""
        try:
            await self._session.abort()
        finally:
            self._left()

    def _left(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


_GATES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Admission]] = WeakKeyDictionary()


def here() -> Admission:
    """The one of this event loop."""
    return _GATES.setdefault(asyncio.get_running_loop(), Admission())
