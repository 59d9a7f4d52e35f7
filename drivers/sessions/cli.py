"""CliSession over scrapli (version 1, asyncssh transport): its IOS privilege machine, our key check and our reading.

scrapli alone would check the host key after sending the password, take any line that looks like a prompt for one,
hang at a pager, retry a wrong enable password and call a connect time-out a failed authentication. So it is given our
socket and our asyncssh client, and its channel is replaced by one that reads through `Dialogue` (D6, D7).
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncssh
from scrapli.channel.async_channel import AsyncChannel
from scrapli.channel.base_channel import BaseChannelArgs
from scrapli.driver.core import AsyncIOSXEDriver
from scrapli.driver.network.base_driver import PrivilegeLevel
from scrapli.exceptions import ScrapliException
from scrapli.transport.base import AsyncTransport

from drivers.driver import Driver
from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.dial import Caller, explain, hang_up, options
from drivers.sessions.dialogue import AskedAgain, ConnectionEnded, Dialogue, OutputTooLong
from drivers.sessions.lent import give_up, inode
from drivers.sessions.ssh import ShellSession
from drivers.sessions.transcript import Mask, Redact, Transcript, as_it_is, nowhere
from drivers.sessions.wire import connected_socket
from inventory.errors import Unreachable

_HOST: Final = r"[\w.\-@/:+]{1,63}"
_EXEC, _PRIVILEGED, _CONFIGURATION = "exec", "privilege_exec", "configuration"


def privilege_levels() -> dict[str, PrivilegeLevel]:
    """IOS modes as scrapli's machine wants them; prompts of devices-ios-fortios §A.1."""

    def level(name: str, pattern: str, before: str, down: str, up: str) -> PrivilegeLevel:
        return PrivilegeLevel(
            pattern=pattern,
            name=name,
            previous_priv=before,
            deescalate=down,
            escalate=up,
            escalate_auth=False,
            escalate_prompt="",
        )

    return {
        _EXEC: level(_EXEC, rf"^{_HOST}>\s*$", "", "", ""),
        _PRIVILEGED: level(_PRIVILEGED, rf"^{_HOST}#\s*$", _EXEC, "disable", "enable"),
        _CONFIGURATION: level(
            _CONFIGURATION,
            rf"^{_HOST}\((?!tcl\))[\w.\-@/:+ ]{{1,40}}\)#\s*$",
            _PRIVILEGED,
            "end",
            "configure terminal",
        ),
        "tclsh": level("tclsh", r"^([\w.\-@/+>:]+\(tcl\)[>#]|\+>)\s*$", _PRIVILEGED, "tclquit", "tclsh"),
    }


class TransportStream:
    """Octets of a scrapli transport, with its errors made ours."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def read(self, past: bytes = b"") -> bytes:
        """See `Stream.read`."""
        try:
            octets: bytes = await self._transport.read()
        except (ScrapliException, asyncssh.Error, OSError) as error:
            raise ConnectionEnded(str(error)) from error
        return octets

    def write(self, octets: bytes) -> None:
        """See `Stream.write`."""
        try:
            self._transport.write(octets)
        except ScrapliException as error:
            raise ConnectionEnded(str(error)) from error


class ExactChannel(AsyncChannel):
    """scrapli's channel with our reading; its own log of everything read, which knows no secrets, falls away."""

    def __init__(self, transport: AsyncTransport, dialogue: Dialogue, command_s: float) -> None:
        super().__init__(transport, BaseChannelArgs())
        self.dialogue = dialogue
        self._command_s = command_s

    async def get_prompt(self) -> str:
        """The prompt that was seen last; nothing is sent for it."""
        return self.dialogue.prompt_line

    async def send_input(
        self, channel_input: str, *, strip_prompt: bool = True, eager: bool = False, eager_input: bool = False
    ) -> tuple[bytes, bytes]:
        """One line and its answer."""
        said = (await self.dialogue.send(channel_input, timeout_s=self._command_s)).encode()
        return said, said


class PrivilegeDriver(AsyncIOSXEDriver):
    """scrapli's IOS driver whose `enable` is tried once."""

    our_channel: ExactChannel
    endpoint: Endpoint

    async def _escalate(self, escalate_priv: PrivilegeLevel) -> None:
        if escalate_priv.name == _PRIVILEGED:
            await self.our_channel.dialogue.enable(self.endpoint)
        else:
            await super()._escalate(escalate_priv)


def _driver(driver: Driver, endpoint: Endpoint, limits: Limits, ssh: dict[str, object]) -> PrivilegeDriver:
    async def on_open(connection: PrivilegeDriver) -> None:
        await connection.our_channel.dialogue.begin(endpoint)
        await connection.acquire_priv(_PRIVILEGED)
        for command in driver.command_line.on_open:
            await connection.send_command(command)

    async def on_close(connection: PrivilegeDriver) -> None:
        await connection.acquire_priv(_PRIVILEGED)
        connection.our_channel.transport.write(b"exit\n")

    return PrivilegeDriver(
        host=endpoint.host,
        port=endpoint.port,
        auth_username=endpoint.username,
        auth_strict_key=False,  # its own check would come after the password; ours is in `ssh`
        privilege_levels=privilege_levels(),
        transport="asyncssh",
        transport_options={"asyncssh": ssh},
        timeout_socket=limits.handshake_s + limits.authentication_s + 5,  # ours strike first, by phase
        timeout_transport=0,
        timeout_ops=0,
        on_open=on_open,
        on_close=on_close,
    )


async def open_cli(
    driver: Driver,
    endpoint: Endpoint,
    limits: Limits,
    *,
    redact: Redact = as_it_is,
    transcript: Transcript = nowhere,
) -> ShellSession:
    """As `drivers.sessions.ssh.open_ssh`, with the same promises and errors, for IOS."""
    shell = driver.command_line
    mask = Mask((endpoint.password, endpoint.enable_password), redact)
    sock = await connected_socket(endpoint, limits)
    known = inode(sock)
    deadline = asyncio.timeout(limits.handshake_s)
    caller = Caller(endpoint, limits, deadline)
    ssh: dict[str, object] = {**options(endpoint, caller), "sock": sock}
    connection = _driver(driver, endpoint, limits, ssh)
    dialogue = Dialogue(TransportStream(connection.transport), shell, limits, mask, transcript)
    channel = ExactChannel(connection.transport, dialogue, limits.command_s)
    connection.channel = connection.our_channel = channel
    connection.endpoint = endpoint
    entered = connection.on_open
    connection.on_open = None

    def abort() -> None:
        ssh_connection = connection.transport.session
        if ssh_connection is not None:
            ssh_connection.abort()
        give_up(sock, known)

    try:
        async with deadline:
            await connection.open()
    except (TimeoutError, OSError, asyncssh.Error, ScrapliException) as error:
        abort()
        cause = error.__cause__ if isinstance(error, ScrapliException) and error.__cause__ else error
        raise explain(cause, endpoint, caller, limits) from error
    except BaseException:
        abort()
        raise
    try:
        assert entered is not None
        await entered(connection)
    except (TimeoutError, ConnectionEnded, OutputTooLong, AskedAgain, ScrapliException) as error:
        abort()
        raise Unreachable(
            f"{endpoint.host} port {endpoint.port} fell silent while the session was set up.",
            step="session set-up",
            last_words=dialogue.last_words(),
        ) from error
    except BaseException:
        abort()
        raise

    ssh_connection = connection.transport.session

    async def close() -> None:
        await connection.close()
        await hang_up(ssh_connection)

    return ShellSession(dialogue, shell, mask, caller.host_key, close=close, abort=abort)
