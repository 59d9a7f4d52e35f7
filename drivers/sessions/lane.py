"""The compatibility lane: netmiko with Paramiko 4, for devices that asyncssh cannot talk to, and for telnet (D6).

netmiko alone would take any host key, leave a cut connection unnoticed until its read time-out and match prompts by
its own rules. So it is given our socket and our key check, and what it opens is read through `Dialogue`. Its blocking
calls run in at most `THREADS` threads; waiting for octets costs no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from threading import Event, Lock
from typing import TYPE_CHECKING, Final, Protocol, cast
from weakref import WeakKeyDictionary

from drivers.driver import Driver
from drivers.errors import DeviceBusy, NegotiationFailed
from drivers.sessions import libraries
from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.dial import KEEPALIVE_S, PROFILES, host_key_algorithms, place, same_key
from drivers.sessions.dialogue import ConnectionEnded, Dialogue
from drivers.sessions.ssh import TERMINAL_COLUMNS, TERMINAL_ROWS, ShellSession, open_shell
from drivers.sessions.transcript import Mask, Redact, Transcript, as_it_is, nowhere
from drivers.sessions.wire import connected_socket
from inventory.errors import AuthenticationFailed, DeviceError, IdentityMismatch, Unreachable

if TYPE_CHECKING:
    import paramiko
    from netmiko import BaseConnection

THREADS: Final = 16
SESSIONS: Final = 16
"""Sessions open at once; one more waits."""
LOGINS: Final = 8
"""Logins under way at once: half of the threads, so that open sessions are always served."""
_PIECE: Final = 65536
# Paramiko prints tracebacks of what it also raises; the errors raised are ours to report.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)
_POOL: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="lane")


@dataclass(frozen=True, slots=True)
class _Room:
    """What one event loop may use of the lane."""

    sessions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SESSIONS))
    logins: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOGINS))


_ROOMS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Room]] = WeakKeyDictionary()


def _room() -> _Room:
    return _ROOMS.setdefault(asyncio.get_running_loop(), _Room())


class _Telnet(Protocol):
    def fileno(self) -> int: ...
    def read_very_eager(self) -> bytes: ...
    def write(self, buffer: bytes) -> None: ...
    def close(self) -> None: ...


class _Channel(Protocol):
    eof_received: bool
    closed: bool

    def fileno(self) -> int: ...
    def recv_ready(self) -> bool: ...
    def recv(self, nbytes: int) -> bytes: ...
    def sendall(self, s: bytes) -> None: ...


class KeyCheck:
    """Paramiko asks here between key exchange and authentication; no credential has been sent yet."""

    def __init__(self, pinned: str | None) -> None:
        self._pinned = pinned
        self.shown = ""
        self.refused = False

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:
        """Learn the key, or compare it. Raises ConnectionRefusedError for another than the pinned one."""
        self.shown = f"{key.get_name()} {key.get_base64()}"
        if self._pinned is not None and not same_key(self._pinned, self.shown):
            self.refused = True
            raise ConnectionRefusedError("another host key")


class LaneStream:
    """Octets of a netmiko channel. Reading waits for its file descriptor; sending goes through the threads in order."""

    def __init__(self, fd: int, receive: Callable[[], bytes | None], send: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._receive = receive
        self._send = send
        self._reading: asyncio.Future[bytes | None] | None = None
        self._waiting: deque[bytes] = deque()
        self._sending = Lock()
        self._broken: Exception | None = None

    async def read(self, past: bytes = b"") -> bytes:
        """See `Stream.read`. A read that is cancelled loses nothing: the next one gets its octets."""
        while True:
            if self._reading is None:
                await self._readable()
                self._reading = self._loop.run_in_executor(_POOL, self._received)
            octets = await asyncio.shield(self._reading)
            self._reading = None
            if self._broken is not None:
                raise ConnectionEnded(str(self._broken))
            if octets is not None:
                return octets

    def write(self, octets: bytes) -> None:
        """See `Stream.write`."""
        if self._broken is not None:
            raise ConnectionEnded(str(self._broken))
        self._waiting.append(octets)
        self._loop.run_in_executor(_POOL, self._drain)

    async def _readable(self) -> None:
        ready = self._loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        try:
            self._loop.add_reader(self._fd, wake)
        except (OSError, ValueError) as error:
            raise ConnectionEnded("the connection was dropped") from error
        try:
            await ready
        finally:
            self._loop.remove_reader(self._fd)

    def _received(self) -> bytes | None:
        try:
            return self._receive()
        except (OSError, EOFError) as error:
            self._broken = error
            return b""

    def _drain(self) -> None:
        with self._sending:
            while self._waiting:
                try:
                    self._send(self._waiting.popleft())
                except (OSError, EOFError) as error:
                    self._broken = error
                    self._waiting.clear()


def _disabled(endpoint: Endpoint, transport: type[paramiko.Transport]) -> dict[str, list[str]]:
    """What Paramiko must not offer, so that it offers what the endpoint's profile allows and nothing else."""
    profile = PROFILES[endpoint.profile]
    allowed = {
        "kex": profile.key_exchange,
        "ciphers": profile.ciphers,
        "macs": profile.macs,
        "keys": host_key_algorithms(endpoint.profile, endpoint.host_key),
    }
    return {
        kind: [name for name in getattr(transport, f"_preferred_{kind}") if name not in names]
        for kind, names in allowed.items()
    }


@cache
def _transport() -> type[paramiko.Transport]:
    """Paramiko's transport, which asks for the authentication service once, as some servers insist on.

    Its own handler begins to listen for the answer to a request after the request was sent: a device that answers
    faster than that was heard by nobody, and the login ended as a time-out. Ours listens before.
    """
    from paramiko import ServiceRequestingTransport  # noqa: PLC0415 – 2 s of imports that few daemons need
    from paramiko.auth_handler import AuthOnlyHandler  # noqa: PLC0415

    class Listening(AuthOnlyHandler):  # type: ignore[misc]  # Paramiko ships no types
        _answered: Event | None = None

        @property
        def auth_event(self) -> Event | None:
            return self._answered

        @auth_event.setter
        def auth_event(self, _late: Event | None) -> None:
            """What is put here comes after the request; what was there before it stays."""

        def send_auth_request(self, *request: object, **more: object) -> object:
            self._answered = Event()
            return super().send_auth_request(*request, **more)

    class Requesting(ServiceRequestingTransport):  # type: ignore[misc]  # as above
        def get_auth_handler(self) -> Listening:
            return Listening(self)

    chosen: type[paramiko.Transport] = Requesting
    return chosen


def _ssh(endpoint: Endpoint, limits: Limits, sock: socket.socket, check: KeyCheck) -> BaseConnection:
    """A netmiko connection without any opinion on the device, at an open shell. Blocks; runs in a thread."""
    from netmiko.terminal_server import TerminalServerSSH  # noqa: PLC0415 – as above
    from paramiko import SSHClient  # noqa: PLC0415

    class Connection(TerminalServerSSH):
        def _build_ssh_client(self) -> SSHClient:
            client = SSHClient()
            client.set_missing_host_key_policy(check)
            return client

        def _connect_params_dict(self) -> dict[str, object]:
            return {**super()._connect_params_dict(), "transport_factory": _transport()}

    connection = Connection(
        host=endpoint.host,
        port=endpoint.port,
        username=endpoint.username,
        password=endpoint.password.reveal(),
        device_type="terminal_server",
        disabled_algorithms=_disabled(endpoint, _transport()),
        conn_timeout=limits.handshake_s,
        banner_timeout=limits.handshake_s,
        auth_timeout=limits.authentication_s,
        blocking_timeout=limits.prompt_s,
        keepalive=KEEPALIVE_S,
        sock=sock,
        auto_connect=False,
    )
    try:
        connection.establish_connection(width=TERMINAL_COLUMNS, height=TERMINAL_ROWS)
    finally:
        connection.password = ""
    return connection


def _telnet(endpoint: Endpoint, sock: socket.socket) -> BaseConnection:
    """The same over telnet; the login follows in the channel."""
    from netmiko.terminal_server import TerminalServerTelnet  # noqa: PLC0415 – as above

    class Connection(TerminalServerTelnet):
        def establish_connection(self, width: int = TERMINAL_COLUMNS, height: int = TERMINAL_ROWS) -> None:
            from netmiko._telnetlib.telnetlib import Telnet  # noqa: PLC0415 – as above

            self.remote_conn = Telnet()  # type: ignore[no-untyped-call]  # netmiko's copy of a module without types
            self.remote_conn.sock = sock

    connection = Connection(
        host=endpoint.host, port=endpoint.port, device_type="terminal_server_telnet", auto_connect=False
    )
    connection.establish_connection()
    return connection


def explain(error: BaseException, endpoint: Endpoint, check: KeyCheck, limits: Limits) -> DeviceError:
    """The error of ours that a failed login in the lane is, by its cause."""
    where = place(endpoint)
    if check.refused:
        return IdentityMismatch(
            f"{where} showed another host key than the one on record; no credential was sent.",
            step="host key",
            next_step="If the device was replaced, approve its new serial number and key together.",
        )
    causes = [error, *(cause for cause in (error.__context__, error.__cause__) if cause is not None)]
    kinds = {type(cause).__name__ for cause in causes}
    said = str(causes[-1]).strip().splitlines()[-1:] or [type(causes[-1]).__name__]
    if kinds & {"AuthenticationException", "BadAuthenticationType", "NetmikoAuthenticationException"}:
        if "timeout" in said[0].lower():
            return Unreachable(
                f"{where} did not finish the authentication within {limits.authentication_s:g} s.",
                step="authentication",
            )
        return AuthenticationFailed(
            f"{where} refused the password of {endpoint.username}; one attempt was made.",
            step="authentication",
            next_step="Correct the credential; it is not tried again by itself.",
        )
    if kinds & {"IncompatiblePeer"}:
        return NegotiationFailed(
            f"{where} and profile {endpoint.profile} have no algorithm in common: {said[0]}.",
            step="handshake",
            next_step="Allow the device the profile `compat` or `legacy`, if your policy permits it.",
        )
    if not check.shown and (kinds & {"EOFError", "ConnectionResetError"} or "reset" in said[0]):
        return DeviceBusy(
            f"{where} closed the connection before the key exchange; all its terminal lines may be in use.",
            step="handshake",
            next_step="Wait for a line to fall free, or end a session that somebody left open.",
        )
    phase = "authentication" if check.shown else "handshake"
    return Unreachable(f"{where} did not finish the {phase}: {said[0]}.", step=phase)


async def open_lane(
    driver: Driver,
    endpoint: Endpoint,
    limits: Limits,
    *,
    redact: Redact = as_it_is,
    transcript: Transcript = nowhere,
) -> ShellSession:
    """As `drivers.sessions.ssh.open_ssh`, with the same promises and errors, for any family.

    Over telnet there is no host key, and the password crosses the wire in clear. Raises Conflict where netmiko or
    Paramiko are other majors than the proven ones.
    """
    libraries.require(libraries.NETMIKO, libraries.PARAMIKO)
    shell = driver.command_line
    room = _room()
    await room.sessions.acquire()
    try:
        async with room.logins:
            connection, check = await _connect(endpoint, limits)
    except BaseException:
        room.sessions.release()
        raise

    gone = False

    def drop() -> None:
        nonlocal gone
        if not gone:
            gone = True
            room.sessions.release()
            _POOL.submit(_end, connection)

    async def close() -> None:
        nonlocal gone
        for command in shell.leave:
            stream.write(command.encode() + b"\n")
        if not gone:
            gone = True
            room.sessions.release()
            await asyncio.get_running_loop().run_in_executor(_POOL, _end, connection)

    try:
        stream = _stream(connection, endpoint, shell.telnet_line_end)
        mask = Mask((endpoint.password, endpoint.enable_password), redact)
        dialogue = Dialogue(stream, shell, limits, mask, transcript)
        await open_shell(dialogue, shell, endpoint, limits)
    except BaseException:
        drop()
        raise
    return ShellSession(dialogue, shell, mask, check.shown, close=close, abort=drop)


async def _connect(endpoint: Endpoint, limits: Limits) -> tuple[BaseConnection, KeyCheck]:
    sock = await connected_socket(endpoint, limits)
    sock.setblocking(True)
    check = KeyCheck(endpoint.host_key)
    loop = asyncio.get_running_loop()
    if endpoint.transport == "telnet":
        work = loop.run_in_executor(_POOL, _telnet, endpoint, sock)
    else:
        work = loop.run_in_executor(_POOL, _ssh, endpoint, limits, sock, check)
    try:
        async with asyncio.timeout(limits.handshake_s + limits.authentication_s + limits.prompt_s):
            return await asyncio.shield(work), check
    except Exception as error:
        _give_up(work, sock)
        raise explain(error, endpoint, check, limits) from error
    except BaseException:
        _give_up(work, sock)
        raise


def _give_up(work: asyncio.Future[BaseConnection], sock: socket.socket) -> None:
    """End a login that nobody waits for any more: without its socket the thread comes back by itself."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
    work.add_done_callback(lambda done: None if done.cancelled() or done.exception() else _end(done.result()))


def _end(connection: BaseConnection) -> None:
    """Close what netmiko holds. Blocks while Paramiko's own thread ends; runs in a thread."""
    with contextlib.suppress(OSError, EOFError):
        if connection.protocol == "telnet":
            cast(_Telnet, connection.remote_conn).close()
        else:
            connection.paramiko_cleanup()


def _stream(connection: BaseConnection, endpoint: Endpoint, telnet_line_end: str) -> LaneStream:
    if endpoint.transport == "telnet":
        telnet, end = cast(_Telnet, connection.remote_conn), telnet_line_end.encode()

        def from_telnet() -> bytes | None:
            return telnet.read_very_eager() or None

        return LaneStream(telnet.fileno(), from_telnet, lambda octets: telnet.write(octets.replace(b"\n", end)))
    channel = cast(_Channel, connection.remote_conn)

    def from_ssh() -> bytes | None:
        if channel.recv_ready() or channel.eof_received or channel.closed:
            return channel.recv(_PIECE)
        return None

    return LaneStream(channel.fileno(), from_ssh, channel.sendall)
