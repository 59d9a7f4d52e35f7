"""A TLS port whose crowd is bounded from the moment a connection is accepted, before its handshake (§12).

Who has not yet shown an adapter's key is *unproven*. The unproven are limited for each source and in all; when there is
no room, the one that has dawdled longest makes it. So an attacker can fill neither memory nor the table of open files,
and an honest adapter, which needs a moment, is served all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

import structlog

from controller.clock import Clock

log = structlog.get_logger(__name__)

BACKLOG: Final = 4096
ACCEPTS_AT_ONCE: Final = 8
"""Connections taken from the backlog before the loop gets its turn: each is a signature of a millisecond, and whatever
awaits the database waits for several turns. The others wait in the backlog, in the order in which they came."""
GRACE_S: Final = 5.0
"""An unproven connection keeps its room for so long; an honest one is through by then. Divided by the pace."""
UNPROVEN_AT_MOST: Final = 4000
"""From all sources together; each costs up to 100 KB while it shakes hands."""
PROVEN_OF_ONE: Final = 16
"""Proven connections of one adapter that are counted as such: five tunnels and its results need fewer."""
RESERVED_FILES: Final = 512
"""Files that the rest of the daemon may need."""
NOTE_S: Final = 60.0
"""A crowd is logged at most so often."""
_RETRY_ACCEPT_S: Final = 0.5
_NOT_SERVED: Final = "it speaks no TLS that is served here, see arms.tls_floor"
_NOT_TRUSTED: Final = "it does not trust our certificate: another root was built into it"
_TOLD: Final = {
    "UNSUPPORTED_PROTOCOL": _NOT_SERVED,
    "VERSION_TOO_LOW": _NOT_SERVED,
    "NO_SHARED_CIPHER": _NOT_SERVED,
    "NO_PROTOCOLS_AVAILABLE": _NOT_SERVED,
    "TLSV1_ALERT_UNKNOWN_CA": _NOT_TRUSTED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _NOT_TRUSTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NOT_TRUSTED,
    "TLSV1_ALERT_DECRYPT_ERROR": _NOT_TRUSTED,
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not of our authority",
}
"""What a failed handshake says of a device that was pointed here; anything else is noise and only counted."""


@dataclass(slots=True, eq=False)
class Connection:
    """One accepted connection. `prove` when it has shown the key of an adapter."""

    source: str
    since_ms: int
    crowd: Crowd = field(repr=False)
    adapter_id: int | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    cut: Callable[[], None] | None = field(default=None, repr=False)
    """Ends it, of one that goes on without its task."""

    def keep(self, cut: Callable[[], None]) -> None:
        """It goes on when its task is over, as a tunnel does; `ended` says when it does not."""
        self.cut = cut
        self.task = None

    def ended(self) -> None:
        """The connection is no more."""
        if self.cut is not None:
            self.cut = None
            self.crowd.leave(self)

    def end(self) -> bool:
        """End it; False when that cannot be done yet."""
        if self.cut is not None:
            self.cut()
        elif self.task is not None:
            self.task.cancel()
        else:
            return False
        return True

    def prove(self, adapter_id: int) -> None:
        """It knows the key of that adapter, and is not counted against its source any more."""
        self.crowd.prove(self, adapter_id)


class Crowd:
    """All open connections of the ARMS listeners.

    `at_most` bounds them together, `per_source` the unproven ones of one IPv4 address or IPv6 /64.
    """

    def __init__(self, clock: Clock, *, at_most: int, per_source: int) -> None:
        self._clock = clock
        self._at_most = at_most
        self._unproven_at_most = max(1, min(UNPROVEN_AT_MOST, at_most // 2))
        self._per_source = per_source
        self._unproven: dict[str, dict[Connection, None]] = {}
        self._of_adapter: Counter[int] = Counter()
        self._noted_ms: int | None = None
        self.open = 0
        """Connections of all kinds."""
        self.unproven = 0
        """Those that have not shown a key."""
        self.counts: Counter[str] = Counter()
        """`refused` at the door, `put-out` to make room, `handshake` that failed: for metrics and tests."""

    def enter(self, address: str) -> Connection | None:
        """Room for a connection from that address; None when there is none. The caller gives it a task."""
        source = source_of(address)
        present = self._unproven.get(source, {})
        full = self.open >= self._at_most or self.unproven >= self._unproven_at_most
        if len(present) >= self._per_source:
            made = self._put_out(present)
        elif full:
            made = self._put_out(max(self._unproven.values(), key=len, default={}))
        else:
            made = True
        if not made:
            self.counts["refused"] += 1
            self._note(source)
            return None
        connection = Connection(source, self._clock.monotonic_ms(), self)
        self._unproven.setdefault(source, {})[connection] = None
        self.open += 1
        self.unproven += 1
        return connection

    def prove(self, connection: Connection, adapter_id: int) -> None:
        """See `Connection.prove`. An adapter with too many stays unproven with the rest of them."""
        if connection.adapter_id is None and self._of_adapter[adapter_id] < PROVEN_OF_ONE:
            self._forget(connection)
            connection.adapter_id = adapter_id
            self._of_adapter[adapter_id] += 1

    def leave(self, connection: Connection) -> None:
        """It has ended."""
        self.open -= 1
        if connection.adapter_id is None:
            self._forget(connection)
            return
        self._of_adapter[connection.adapter_id] -= 1
        if not self._of_adapter[connection.adapter_id]:
            del self._of_adapter[connection.adapter_id]

    def _forget(self, connection: Connection) -> None:
        """It is unproven no longer; said twice, nothing happens."""
        of_source = self._unproven.get(connection.source, {})
        if connection in of_source:
            del of_source[connection]
            self.unproven -= 1
        if not of_source:
            self._unproven.pop(connection.source, None)

    def _put_out(self, candidates: dict[Connection, None]) -> bool:
        """End the oldest of them if it has had its time; whether that made room."""
        oldest = next(iter(candidates), None)
        if oldest is None:
            return False
        if self._clock.monotonic_ms() - oldest.since_ms < GRACE_S * 1000 / self._clock.pace:
            return False
        if not oldest.end():
            return False
        self._forget(oldest)
        self.counts["put-out"] += 1
        self._note(oldest.source)
        return True

    def _note(self, source: str) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._noted_ms is None or now_ms - self._noted_ms >= NOTE_S * 1000:
            self._noted_ms = now_ms
            log.warning("phonehome.crowded", source=source, open=self.open, unproven=self.unproven, **self.counts)


def source_of(address: str) -> str:
    """What connections are counted by: an IPv4 address, or the /64 of an IPv6 address, which one site has whole."""
    try:
        literal = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if literal.version == 6 and literal.ipv4_mapped is None:
        return str(ipaddress.ip_network((literal, 64), strict=False))
    return str(getattr(literal, "ipv4_mapped", None) or literal)


def room(wanted: int) -> int:
    """Connections that may be open: `wanted`, or with 0 all that the limit of open files leaves, never more."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = max(16, files - min(RESERVED_FILES, files // 2))
    return min(wanted, left) if wanted else left


P = TypeVar("P", bound=asyncio.Protocol)
OnRefusal = Callable[[str, str], None]
"""Told the source and the words of a handshake that failed for a reason that an operator can remove."""


class Listener(Generic[P]):
    """One port. Each connection gets a protocol from `factory`, and a task: handshake, then the handler.

    A connection counts as open until its task is over, or, when it was kept (`Connection.keep`), until it is no more.
    """

    def __init__(
        self,
        crowd: Crowd,
        factory: Callable[[Connection], P],
        handler: Callable[[P], Awaitable[None]],
        tls: ssl.SSLContext,
        *,
        deadline_s: float,
        on_refusal: OnRefusal,
    ) -> None:
        self._crowd = crowd
        self._factory = factory
        self._handler = handler
        self._tls = tls
        self._on_refusal = on_refusal
        self._deadline_s = deadline_s
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, host: str, port: int) -> int:
        """Open it; the port that was bound is returned. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setblocking(False)  # the socket's own signature
        asyncio.get_running_loop().add_reader(self._socket, self._accept)
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Accept no more. Connections go on; `stop` ends them."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def stop(self) -> None:
        """Close, and end what is still open."""
        self.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            if self._socket is None:
                return
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                self._pause(error)
                return
            connection = self._crowd.enter(str(address[0]))
            if connection is None:
                accepted.close()
                continue
            task = asyncio.get_running_loop().create_task(self._serve(accepted, connection))
            connection.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(partial(self._left, connection))

    def _left(self, connection: Connection, task: asyncio.Task[None]) -> None:
        if connection.task is task:  # else it was kept, and says itself when it has ended
            self._crowd.leave(connection)

    def _pause(self, error: OSError) -> None:
        """The process or the machine has run out of something: look again in a moment, do not spin."""
        assert self._socket is not None
        log.error("phonehome.accept-failed", error=error.strerror)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.call_later(_RETRY_ACCEPT_S, self._resume)

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    async def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # put out, or stopped: its end is all that was wanted
            protocol = self._factory(connection)
            if await self._shake_hands(accepted, connection.source, protocol):
                await self._handler(protocol)

    async def _shake_hands(self, accepted: socket.socket, source: str, protocol: P) -> bool:
        try:
            accepted.setblocking(False)  # the socket's own signature
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._deadline_s,
                ssl_shutdown_timeout=self._deadline_s,
            )
        except OSError as error:  # TLS errors and broken connections are of this kind
            self._crowd.counts["handshake"] += 1
            told = _TOLD.get(getattr(error, "reason", None) or "")
            if told is not None:
                self._on_refusal(source, f"TLS: {told}")
            return False
        return True
