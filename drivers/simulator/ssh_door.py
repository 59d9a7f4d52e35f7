"""The front door of a simulated device: what happens to a TCP connection before there is a command line."""

from __future__ import annotations

import asyncio
import copy
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import asyncssh
from asyncssh.packet import SSHPacketLogger

from drivers.simulator.faults import Faults
from drivers.simulator.relay import Relay

KbdIntChallenge = bool | tuple[str, str, str, Sequence[tuple[str, bool]]]
SSH1_GREETING: Final = b"SSH-1.5-Cisco-1.25\r\n"
_IGNORE: Final = 2
_OLD: Final = {"encryption_algs": ["aes128-cbc", "3des-cbc"], "mac_algs": ["hmac-sha1"]}
_KEY_EXCHANGE: Final = {"sha1": "diffie-hellman-group14-sha1", "group1": "diffie-hellman-group1-sha1"}


class Gate(Protocol):
    """What the door needs to know of its device."""

    auth_methods: tuple[str, ...]

    @property
    def faults(self) -> Faults: ...

    def admits(self, username: str, password: str, method: str) -> bool:
        """Check a credential and record that it was shown."""


class Connection:
    """One TCP connection and how to end it."""

    def __init__(self) -> None:
        self.ssh: asyncssh.SSHServerConnection | None = None
        self.relay: Relay | None = None
        self.flush: Callable[[], None] = lambda: None

    def abort(self) -> None:
        """Drop it at once; what was written before is on its way."""
        self.flush()
        if self.ssh is not None:
            self.ssh.abort()

    def fall_silent(self) -> None:
        """Nothing passes any more. Raises ValueError for a connection that was opened without the switch for it."""
        if self.relay is None:
            raise ValueError("the line can fall silent only when the switch was thrown before it was opened")
        self.relay.fall_silent()


class _AsADevice(asyncssh.SSHServerConnection):
    """Without the empty packet that the library sends before each packet: no device does that. Nor does it work out
    lines of a log that nobody keeps, or its options anew for each user, which come from no file here: a fleet of them
    shares one core."""

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        if pkttype != _IGNORE:
            super().send_packet(pkttype, *args)

    async def reload_config(self) -> None:
        return

    def create_server_channel(
        self, encoding: str | None = "", errors: str = "", window: int = 0, max_pktsize: int = 0
    ) -> asyncssh.SSHServerChannel[bytes]:
        channel = super().create_server_channel(encoding, errors, window, max_pktsize)
        channel.__class__ = _OfADevice
        return channel

    def _log_packet(self, *_told: object) -> None:
        return


class _OfADevice(asyncssh.SSHServerChannel[bytes]):
    def _log_packet(self, *_told: object) -> None:
        return


class Door(asyncssh.SSHServer):
    """Authentication of one connection."""

    def __init__(self, gate: Gate, connection: Connection) -> None:
        self._gate = gate
        self._connection = connection
        self._kbdint_user = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection.ssh = conn
        # Not in use yet; the library makes its own class whatever it is asked for.
        conn.__class__ = _AsADevice

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return "password" in self._gate.auth_methods and not self._gate.faults.second_factor

    def validate_password(self, username: str, password: str) -> bool:
        admitted = self._gate.admits(username, password, "password")
        if admitted and self._gate.faults.onboarding == "ssh":
            raise asyncssh.PasswordChangeRequired("Your password has expired. New password: ")
        return admitted

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self._gate.auth_methods and self._gate.faults.onboarding != "ssh"

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> KbdIntChallenge:
        self._kbdint_user = username
        prompts = [("Password: ", False)]
        return "", "", "", [*prompts, ("Token code: ", False)] if self._gate.faults.second_factor else prompts

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return len(responses) == 1 and self._gate.admits(username, responses[0], "keyboard-interactive")


def algorithms(faults: Faults) -> dict[str, list[str]]:
    """Arguments of asyncssh for what the device can agree on."""
    chosen = _KEY_EXCHANGE.get(faults.key_exchange)
    return {} if chosen is None else {"kex_algs": [chosen], **_OLD}


async def speak(
    connected: socket.socket,
    alike: asyncssh.SSHServerConnectionOptions,
    door: Door,
    channel: Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]],
) -> asyncssh.SSHServerConnection:
    """As `asyncssh.run_server`, with options that all connections of a device have in common: they cost as much as a
    login. Raises as that does."""
    loop = asyncio.get_running_loop()
    options = copy.copy(alike)
    options.protocol_factory = lambda: door
    options.process_factory = channel
    waiter = options.waiter = loop.create_future()
    _, ssh = await loop.create_connection(
        lambda: asyncssh.SSHServerConnection(loop, options, wait="auth"), sock=connected
    )
    try:
        await waiter
    except BaseException:
        ssh.abort()
        await ssh.wait_closed()
        raise
    return ssh


def reset(connected: socket.socket) -> None:
    """End a TCP connection with a reset."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


async def stay_silent(connected: socket.socket, greeting: bytes = b"") -> None:
    """Hold the connection without a word but the greeting, until the client gives up."""
    connected.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        if greeting:
            await loop.sock_sendall(connected, greeting)
        while await loop.sock_recv(connected, 4096):
            pass
    except ConnectionError:
        return
    finally:
        connected.close()
