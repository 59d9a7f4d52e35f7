"""CliSession without a terminal: one exec channel per command, each line of the answer with a status code (SEIL).

Preferred where a device passes the probe: no echo, no pager, no prompt to guess, and every answer has an end mark
(devices-seil §2.7). Only `success` and `exit(0).` count as good; what the other codes mean is not published.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import asyncssh

from drivers.driver import Driver
from drivers.sessions.contract import CliSession, Endpoint, Limits, LineResult
from drivers.sessions.dial import hang_up
from drivers.sessions.permission import NotPermittedError, permitted
from drivers.sessions.ssh import open_shell_on
from drivers.sessions.transcript import Direction, Mask, Redact, Transcript, as_it_is, brief, nowhere
from drivers.sessions.wire import dial
from inventory.errors import DeviceError, OutcomeUnknown, Truncated

PROBE: Final = "show system"
_CODE: Final = re.compile(r"^([0-9A-Fa-f]{8}): ?(.*)$")
_EXIT: Final = re.compile(r"^exit\((-?\d+)\)\.?$")
_READER: Final = "user"
"""The account that may not write (devices-seil §2.1)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer taken apart. `status` is None until its `exit(n).` has come."""

    text: str
    status: int | None
    coded: bool
    """Whether its lines had status codes at all."""

    @classmethod
    def read(cls, octets: bytes) -> Answer:
        """Take an answer apart. A code with a first octet other than 0, or no `success`, is a failure."""
        shown: list[str] = []
        status: int | None = None
        coded = success = False
        worst = 0
        for line in octets.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n"):
            found = _CODE.match(line)
            text = line if found is None else found[2]
            if found is not None:
                coded = True
                worst = max(worst, int(found[1][:2], 16))
            ended = _EXIT.match(text)
            if found is not None and ended is not None:
                status = int(ended[1])
            elif text == "success" and found is not None:
                success = True
            elif line:
                success = False  # the word stood in the middle: it was a line of the answer
                shown.append(text)
        if status is not None and (worst or not success):
            status = status or 1
        return cls("\n".join(shown), status, coded)


class ExecSession:
    """Commands in channels of their own over one connection."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        host_key: str,
        driver: Driver,
        endpoint: Endpoint,
        limits: Limits,
        *,
        redact: Redact,
        transcript: Transcript,
    ) -> None:
        self._connection = connection
        self._host_key = host_key
        self._shell = driver.command_line
        self._limits = limits
        self._mask = Mask((endpoint.password, endpoint.enable_password), redact)
        self._transcript = transcript
        self._may_write = endpoint.username != _READER
        self._open = True

    @property
    def host_key(self) -> str:
        """See `CliSession.host_key`."""
        return self._host_key

    @property
    def terminal(self) -> bool:
        """See `CliSession.terminal`."""
        return False

    @property
    def mode(self) -> str:
        """See `CliSession.mode`: there are none."""
        return ""

    @property
    def privileged(self) -> bool:
        """See `CliSession.privileged`: told by the account, since there is no prompt."""
        return self._may_write

    async def command(self, command: str, *, timeout_s: float) -> str:
        """See `CliSession.command`. A failure by status code alone is told as a last line `error: exit(n)`."""
        answer = await self._ask(command, "", timeout_s)
        if answer.status == 0 or self._shell.refused(answer.text) is not None:
            return answer.text
        return f"{answer.text}\nerror: exit({answer.status})".lstrip("\n")

    async def lines(self, lines: Sequence[str], *, timeout_s: float) -> Sequence[LineResult]:
        """See `CliSession.lines`. What stands below the first line of a statement goes to the command's input."""
        self._mask.learn("\n".join(lines))
        results: list[LineResult] = []
        number = 1
        for line in lines:
            command, _, given = line.partition("\n")
            answer = await self._ask(command, given, timeout_s)
            said, shown = self._mask(answer.text), self._mask(command)
            results.append(LineResult(number, command, said, failed=answer.status != 0, shown=shown))
            number += line.count("\n") + 1
            if answer.status != 0:
                break
        return results

    async def close(self) -> None:
        """See `CliSession.close`."""
        if self._open:
            self._open = False
            await hang_up(self._connection)

    async def abort(self) -> None:
        """See `CliSession.abort`."""
        self._open = False
        self._connection.abort()

    async def probe(self, timeout_s: float) -> bool:
        """Whether the device answers this way at all."""
        try:
            return (await self._ask(PROBE, "", timeout_s)).coded
        except DeviceError:
            return False

    async def _permitted(self) -> None:
        try:
            await permitted()
        except NotPermittedError:
            await self.abort()
            raise

    async def _ask(self, command: str, given: str, timeout_s: float) -> Answer:
        await self._permitted()
        self._keep(">", f"{command}\n{given}".rstrip("\n"))
        received = bytearray()
        why = "the connection was lost"
        try:
            async with asyncio.timeout(timeout_s):
                process = await self._connection.create_process(command, term_type=None, encoding=None)
                with closing(process):
                    if given:
                        await self._permitted()  # opening the channel took a while
                        process.stdin.write(given.encode("utf-8", "surrogateescape") + b"\n")
                    else:
                        process.stdin.write_eof()
                    while octets := await process.stdout.read(65536):
                        received += octets
                        if given and b": " in received:  # the first code says that the text was taken
                            given = ""
                            process.stdin.write_eof()
                        if len(received) > self._limits.output_octets:
                            why = "the answer exceeded the size limit"
                            break
        except TimeoutError:
            why = f"no end within {timeout_s:g} s"
        except (OSError, asyncssh.Error) as error:
            why = str(error) or why
        answer = Answer.read(bytes(received))
        self._keep("<", answer.text)
        cut = answer.status is None or len(received) > self._limits.output_octets
        if cut and (command != PROBE or (answer.coded and answer.status is None)):
            raise self._lost(command, why, answer)
        return answer

    def _keep(self, direction: Direction, text: str) -> None:
        if self._transcript is not nowhere:
            self._transcript(direction, self._mask(brief(self._transcript, text)))

    def _lost(self, command: str, why: str, answer: Answer) -> DeviceError:
        self._open = False
        self._connection.abort()
        words = self._mask(answer.text)[-200:]
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


async def open_exec(
    driver: Driver,
    endpoint: Endpoint,
    limits: Limits,
    *,
    redact: Redact = as_it_is,
    transcript: Transcript = nowhere,
) -> CliSession:
    """As `drivers.sessions.ssh.open_ssh`, with the same promises and errors: without a terminal where the device passes
    the probe, else in a shell over the same connection."""
    connection, caller = await dial(endpoint, limits)
    session = ExecSession(connection, caller.host_key, driver, endpoint, limits, redact=redact, transcript=transcript)
    try:
        if await session.probe(limits.command_s):
            return session
    except BaseException:
        connection.abort()
        raise
    return await open_shell_on(
        connection, caller.host_key, driver, endpoint, limits, redact=redact, transcript=transcript
    )
