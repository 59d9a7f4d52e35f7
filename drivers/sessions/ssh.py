"""CliSession straight over asyncssh: the least memory and CPU, no opinion about the device's modes (D6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncssh

from drivers.driver import Driver, Shell
from drivers.errors import UnknownQuestion
from drivers.sessions.contract import Endpoint, Limits, LineResult
from drivers.sessions.dial import hang_up
from drivers.sessions.dialogue import ConnectionEnded, Dialogue, OutputTooLong
from drivers.sessions.permission import NotPermittedError, permitted
from drivers.sessions.plain_ssh import make_plain_channel
from drivers.sessions.transcript import Mask, Redact, Transcript, as_it_is, nowhere
from drivers.sessions.wire import dial
from inventory.errors import DeviceError, OutcomeUnknown, Truncated, Unreachable

TERMINAL_COLUMNS = 511
TERMINAL_ROWS = 24
_MOST = 1 << 20


class ChannelStream(asyncssh.SSHClientSession[bytes]):
    """The octets of one asyncssh shell channel."""

    def __init__(self) -> None:
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._paused = False
        self._more: asyncio.Future[None] | None = None
        self._past = b""
        self._ended = False
        self._error: Exception | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Called when the channel is open."""
        make_plain_channel(chan)
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Called with what the device has sent; what nobody reads is left to it from `_MOST` octets on."""
        if datatype is not None:
            return
        self._pieces.append(data)
        self._held += len(data)
        if self._held > _MOST and not self._paused and self._channel is not None:
            self._paused = True
            self._channel.pause_reading()
        if self._more is not None and self._beyond():
            self._wake()

    def eof_received(self) -> bool:
        """Called when the device has nothing more to say. The channel stays open for what we say."""
        self._ended = True
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the channel is gone."""
        if not self._ended:
            self._error = exc
        self._ended = True
        self._wake()

    async def read(self, past: bytes = b"") -> bytes:
        """See `Stream.read`."""
        self._past = past
        while not self._ended and not self._beyond():
            self._more = asyncio.get_running_loop().create_future()
            try:
                await self._more
            finally:
                self._more = None
        if not self._pieces and self._error is not None:
            raise ConnectionEnded(str(self._error)) from self._error
        octets = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        if self._paused and self._channel is not None:
            self._paused = False
            self._channel.resume_reading()
        return octets

    def write(self, octets: bytes) -> None:
        """See `Stream.write`."""
        assert self._channel is not None
        self._channel.write(octets)

    def _beyond(self) -> bool:
        """Whether anything has come that is not the beginning of what is waited past."""
        if self._held > len(self._past):
            return True
        return self._held > 0 and not self._past.startswith(b"".join(self._pieces))

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


class ShellSession:
    """What both carriers share: the contract of `CliSession` on top of a dialogue.

    A carrier tells how to close politely (at most 2 s) and how to drop the connection.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        shell: Shell,
        mask: Mask,
        host_key: str,
        *,
        close: Callable[[], Awaitable[None]],
        abort: Callable[[], None],
    ) -> None:
        self._dialogue = dialogue
        self._shell = shell
        self._mask = mask
        self._host_key = host_key
        self._close = close
        self._abort = abort
        self._open = True

    @property
    def host_key(self) -> str:
        """See `CliSession.host_key`."""
        return self._host_key

    @property
    def terminal(self) -> bool:
        """See `CliSession.terminal`."""
        return True

    @property
    def mode(self) -> str:
        """See `CliSession.mode`."""
        return self._dialogue.mode

    @property
    def privileged(self) -> bool:
        """See `CliSession.privileged`."""
        return self._dialogue.privileged

    async def command(self, command: str, *, timeout_s: float) -> str:
        """See `CliSession.command`."""
        try:
            return await self._dialogue.send(command, timeout_s=timeout_s)
        except (TimeoutError, ConnectionEnded, OutputTooLong) as error:
            raise self._lost(command, error, timeout_s) from error
        except NotPermittedError:
            await self.abort()
            raise

    async def lines(self, lines: Sequence[str], *, timeout_s: float) -> Sequence[LineResult]:
        """See `CliSession.lines`."""
        results: list[LineResult] = []
        self._mask.learn("\n".join(lines))
        for number, line, physical in _statements(lines, self._shell):
            try:
                said = await self._dialogue.send_text(physical, timeout_s=timeout_s)
            except UnknownQuestion as error:
                results.append(LineResult(number, line, error.message, failed=True, shown=self._mask(line)))
                break
            except (TimeoutError, ConnectionEnded, OutputTooLong) as error:
                raise self._lost(f"line {number}", error, timeout_s) from error
            except NotPermittedError:
                await self.abort()
                raise
            refusal = self._shell.refused(said)
            results.append(
                LineResult(number, line, self._mask(said), failed=refusal is not None, shown=self._mask(line))
            )
            if refusal is not None:
                break
        return results

    async def close(self) -> None:
        """See `CliSession.close`."""
        if not self._open:
            return
        self._open = False
        self._dialogue.rest()
        try:
            async with asyncio.timeout(5.0):
                await permitted()
                await self._close()
        except (TimeoutError, OSError, asyncssh.Error, NotPermittedError):
            self._abort()

    async def abort(self) -> None:
        """See `CliSession.abort`."""
        self._open = False
        self._dialogue.rest()
        self._abort()

    def _lost(self, command: str, error: Exception, timeout_s: float) -> DeviceError:
        """Drop the connection and say what that means for the device."""
        self._open = False
        self._abort()
        words = self._dialogue.last_words()
        why = f"no prompt within {timeout_s:g} s" if isinstance(error, TimeoutError) else "the connection was lost"
        if isinstance(error, OutputTooLong):
            why = "the answer exceeded the size limit"
        if self._shell.is_read(command):
            return Truncated(
                f"The answer to `{self._mask(command)}` is incomplete: {why}.",
                step="read",
                last_words=words,
                next_step="The reading was discarded; read again.",
            )
        return OutcomeUnknown(
            f"`{self._mask(command)}` was sent and its effect was not seen: {why}.",
            step="write",
            last_words=words,
            next_step="Read the device back before anything else is sent.",
        )


def _statements(lines: Sequence[str], shell: Shell) -> list[tuple[int, str, list[str]]]:
    """Lines grouped so that each group ends where the device shows a prompt again.

    Gives the number of the group's first line, that line, and the physical lines.
    """
    found: list[tuple[int, str, list[str]]] = []
    group: list[str] = []
    first, mark, number = 0, None, 0
    for number, line in enumerate(lines, 1):
        physical = line.split("\n")
        if not group:
            first, mark = number, shell.open_mark(physical[0])
            rest = physical[1:]
        else:
            rest = physical
        group += physical
        if mark is not None and any(mark in text for text in rest):
            mark = None
        if mark is None and not (shell.quoted and _open_quote("\n".join(group))):
            found.append((first, group[0], group))
            group = []
    if group:
        found.append((first, group[0], group))
    return found


def _open_quote(text: str) -> bool:
    """Whether a quotation mark is still open at the end of a FortiOS statement."""
    quote = ""
    skip = False
    for character in text:
        if skip:
            skip = False
        elif character == "\\" and quote != "'":
            skip = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
    return bool(quote)


async def open_shell(dialogue: Dialogue, shell: Shell, endpoint: Endpoint, limits: Limits) -> None:
    """First prompt, privileged mode, and the family's opening commands."""
    await dialogue.begin(endpoint)
    try:
        await dialogue.enable(endpoint)
        for command in shell.on_open:
            await dialogue.send(command, timeout_s=limits.command_s)
    except (TimeoutError, ConnectionEnded, OutputTooLong) as error:
        raise Unreachable(
            f"{endpoint.host} port {endpoint.port} fell silent while the session was set up.",
            step="session set-up",
            last_words=dialogue.last_words(),
        ) from error


async def open_ssh(
    driver: Driver,
    endpoint: Endpoint,
    limits: Limits,
    *,
    redact: Redact = as_it_is,
    transcript: Transcript = nowhere,
) -> ShellSession:
    """A logged-in session, at its privileged prompt where the family has one.

    The host key is compared with `endpoint.host_key` before any credential is sent; if that is None the key is
    learnt: take it from `host_key` and store it. Raises Unreachable (NegotiationFailed, DeviceBusy),
    AuthenticationFailed, IdentityMismatch, NotOnboarded.
    """
    connection, caller = await dial(endpoint, limits)
    return await open_shell_on(
        connection, caller.host_key, driver, endpoint, limits, redact=redact, transcript=transcript
    )


async def open_shell_on(
    connection: asyncssh.SSHClientConnection,
    host_key: str,
    driver: Driver,
    endpoint: Endpoint,
    limits: Limits,
    *,
    redact: Redact,
    transcript: Transcript,
) -> ShellSession:
    """A shell on a connection that is authenticated; the connection is dropped if there is none."""
    shell = driver.command_line
    mask = Mask((endpoint.password, endpoint.enable_password), redact)
    try:
        async with asyncio.timeout(limits.prompt_s):
            _, stream = await connection.create_session(
                ChannelStream, term_type="vt100", term_size=(TERMINAL_COLUMNS, TERMINAL_ROWS), encoding=None
            )
        assert isinstance(stream, ChannelStream)
        dialogue = Dialogue(stream, shell, limits, mask, transcript)
        await open_shell(dialogue, shell, endpoint, limits)
    except (TimeoutError, OSError, asyncssh.Error) as error:
        connection.abort()
        raise Unreachable(
            f"{endpoint.host} port {endpoint.port} opened no shell: {error}.", step="session set-up"
        ) from error
    except BaseException:
        connection.abort()
        raise

    async def close() -> None:
        for command in shell.leave:
            stream.write(command.encode() + b"\n")
        await hang_up(connection)

    return ShellSession(dialogue, shell, mask, host_key, close=close, abort=connection.abort)
