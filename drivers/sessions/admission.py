"""How many sessions at once, and how fast (devices-ios-fortios §C.3): what is too much waits, nothing cascades."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary, finalize

from drivers.sessions.contract import CliSession, Endpoint, LineResult
from drivers.sessions.domains import Domains
from inventory.errors import OutcomeUnknown, Truncated

_DROPPED: Final = (Truncated, OutcomeUnknown)
"""A session that raises one of these has dropped its connection."""


@dataclass(frozen=True, slots=True)
class Most:
    """Limits of one process."""

    devices: int = 400
    """Devices with a session. The second session of a push never waits for it, or four hundred pushes would wait
    for each other."""
    logins: int = 100
    """Logins under way at once."""
    logins_per_s: float = 150.0
    logins_per_jump_host: int = 10
    """sshd begins to drop at `MaxStartups 10:30:100`."""
    logins_per_s_of_domain: float = 5.0
    domain_pause_s: float = 300.0
    """For how long an AAA domain that refuses us is left alone."""
    of_family: Mapping[str, int] = field(default_factory=dict)
    """Devices of one family with a session; a family that is not named has no limit of its own."""


class Seat:
    """What one device holds of the process: a place while any of its sessions is open."""

    def __init__(self, *places: asyncio.Semaphore) -> None:
        self._places = places
        self._sitting = 0
        self._coming = asyncio.Lock()

    @property
    def taken(self) -> bool:
        """Whether the device has a session."""
        return self._sitting > 0

    async def take(self) -> Callable[[], None]:
        """Wait for a place unless there is one already; returns how to leave it, which may be called again."""
        async with self._coming:
            if self._sitting == 0:
                async with AsyncExitStack() as waiting:
                    for place in self._places:
                        await place.acquire()
                        waiting.callback(place.release)
                    waiting.pop_all()
            self._sitting += 1
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._sitting -= 1
                if self._sitting == 0:
                    for place in self._places:
                        place.release()

        return leave


class Admission:
    """Lets sessions in, in the order in which they asked."""

    def __init__(self, most: Most | None = None) -> None:
        self._most = most or Most()
        self._places = asyncio.Semaphore(self._most.devices)
        self._logins = asyncio.Semaphore(self._most.logins)
        self._of_family = {family: asyncio.Semaphore(most) for family, most in self._most.of_family.items()}
        self._at_jump_host: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._next_s = 0.0
        self._domains = Domains(logins_per_s=self._most.logins_per_s_of_domain, pause_s=self._most.domain_pause_s)

    def seat(self, family: str = "") -> Seat:
        """For one device. The place of its family is taken first: who waits for that keeps nobody else waiting."""
        own = self._of_family.get(family)
        return Seat(self._places) if own is None else Seat(own, self._places)

    async def open(self, seat: Seat, endpoint: Endpoint, login: Callable[[], Awaitable[CliSession]]) -> CliSession:
        """Log in when it is our turn. The place is left when the session is closed, aborted, lost or forgotten.

        Raises DomainPaused, and as `login`.
        """
        again = seat.taken
        leave = await seat.take()
        try:
            async with self._login(endpoint):
                session = await self._domains.login(endpoint, login, again=again)
        except BaseException:
            leave()
            raise
        return AdmittedSession(session, leave)

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
    """A session that leaves its place when it ends."""

    def __init__(self, session: CliSession, leave: Callable[[], None]) -> None:
        self._session = session
        self._leave = leave
        finalize(self, leave)

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
        try:
            return await self._session.command(command, timeout_s=timeout_s)
        except _DROPPED:
            self._leave()
            raise

    async def lines(self, lines: Sequence[str], *, timeout_s: float) -> Sequence[LineResult]:
        """See `CliSession.lines`."""
        try:
            return await self._session.lines(lines, timeout_s=timeout_s)
        except _DROPPED:
            self._leave()
            raise

    async def close(self) -> None:
        """See `CliSession.close`."""
        try:
            await self._session.close()
        finally:
            self._leave()

    async def abort(self) -> None:
        """See `CliSession.abort`."""
        try:
            await self._session.abort()
        finally:
            self._leave()


_GATES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Admission]] = WeakKeyDictionary()


def here() -> Admission:
    """The one of this event loop."""
    return _GATES.setdefault(asyncio.get_running_loop(), Admission())


def limit_here(most: Most) -> None:
    """Admission of this event loop from now on; to be said before the first session."""
    _GATES[asyncio.get_running_loop()] = Admission(most)
