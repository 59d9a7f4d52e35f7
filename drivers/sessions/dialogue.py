"""The conversation with a command line: wait for its prompt, answer its questions, read what it says.

One implementation for every carrier; a carrier brings octets (`Stream`) and nothing else.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Literal, Protocol

from drivers.driver import Question, Shell
from drivers.errors import DeviceBusy, UnknownQuestion
from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.patience import Patience
from drivers.sessions.permission import permitted
from drivers.sessions.screen import Prompt, Screen
from drivers.sessions.transcript import Mask, Transcript, brief, nowhere
from inventory.errors import AuthenticationFailed, DeviceError, NotOnboarded, Unreachable
from inventory.secrets import MASK

_KEYS: Final = re.compile(r"[?\t]")
SETTLE_S: Final = 0.1
"""Silence after which a doubtful prompt is believed."""
PAGES: Final = 100_000
QUESTIONS: Final = 50
"""Questions answered for one line; `no username` asks once per user."""


class ConnectionEnded(Exception):
    """The device, or the wire, ended the channel."""


class OutputTooLong(Exception):
    """An answer exceeded `Limits.output_octets`."""


class AskedAgain(Exception):
    """The device repeats a question that was answered with a secret: it did not like the secret."""


class Stream(Protocol):
    """Octets to and from the shell of a device."""

    async def read(self, past: bytes = b"") -> bytes:
        """The next octets; empty at the end. Raises OSError or a library's error when the connection is cut.

        It may go on waiting while nothing but `past`, or the beginning of it, has come: an echo says nothing.
        """
        ...

    def write(self, octets: bytes) -> None:
        """Queue octets for sending. Raises as `read`."""
        ...


class Dialogue:
    """Knows where in the conversation we are. Not safe for two callers at once; a session has one."""

    def __init__(self, stream: Stream, shell: Shell, limits: Limits, mask: Mask, transcript: Transcript) -> None:
        self._stream = stream
        self._shell = shell
        self._limits = limits
        self._mask = mask
        self._transcript = transcript
        self._screen = Screen(shell)
        self._patience = Patience()
        self._echo = b""
        """What a device that echoes will repeat of what was typed last; empty once something has come."""
        self._prompt: Prompt | None = None
        self.prompt_line = ""
        """The prompt as last seen."""

    @property
    def privileged(self) -> bool:
        """Whether the present prompt may write."""
        return self._prompt is not None and self._prompt.end == self._shell.privileged

    @property
    def mode(self) -> str:
        """What the prompt says of the mode, such as `(config-if)`; empty at the top."""
        return self._prompt.mode if self._prompt else ""

    def last_words(self) -> str:
        """At most the last 200 characters of the device, masked."""
        return self._mask(self._screen.last_words())

    def rest(self) -> None:
        """The conversation is over."""
        self._patience.rest()

    async def begin(self, endpoint: Endpoint) -> None:
        """From an open channel to the first prompt: banners, in-channel login, forced questions.

        Raises Unreachable, AuthenticationFailed, NotOnboarded, DeviceBusy.
        """
        try:
            async with asyncio.timeout(self._limits.prompt_s):
                await self._first_prompt(endpoint)
        except TimeoutError as error:
            raise Unreachable(
                f"{endpoint.host} port {endpoint.port} let us in but showed no prompt within "
                f"{self._limits.prompt_s:g} s.",
                step="first prompt",
                last_words=self.last_words(),
            ) from error
        except ConnectionEnded as error:
            raise self._ended_at_login(endpoint) from error
        self._keep("<", self._screen.shown())

    async def enable(self, endpoint: Endpoint) -> None:
        """Become privileged, with one attempt. Raises AuthenticationFailed."""
        enable = self._shell.enable
        if enable is None or self.privileged:
            return
        password = endpoint.enable_password or endpoint.password
        asked = Question(enable.asks, password.reveal())
        try:
            said = await self.send(enable.command, timeout_s=self._limits.authentication_s, secret_answer=asked)
        except AskedAgain:
            said = self._screen.shown()
        if not self.privileged:
            raise AuthenticationFailed(
                f"{endpoint.host} port {endpoint.port} refused the privileged mode; one attempt was made.",
                step="enable",
                last_words=self._mask(said)[-200:],
                next_step="Store the enable password, or use an account that lands in the privileged mode.",
            )

    async def send(
        self,
        line: str,
        *,
        timeout_s: float,
        secret_answer: Question | None = None,
        command: bool = True,
        before: tuple[str, ...] = (),
    ) -> str:
        """Send one line and read to the next prompt; returns what was said, without echo and prompt.

        `command` False: the line stands inside a text that the device takes in as it is, such as a banner. `before`:
        the lines of that text which were sent already.

        Raises TimeoutError, ConnectionEnded, OutputTooLong, UnknownQuestion (after refusing the question).
        """
        self._keep(">", line)
        await self._type(line, command=command, before=before)
        unknown = await self._to_prompt(timeout_s, secret_answer)
        said = self._screen.output(self.prompt_line)
        self._keep("<", said)
        if unknown:
            raise UnknownQuestion(
                f"The device asked {self._mask(unknown)!r}, which nobody has told us how to answer; it was refused.",
                step="question",
                last_words=self._mask(said)[-200:],
                next_step="Take the line out of the change, or teach the family the answer.",
            )
        return said

    async def send_text(self, lines: list[str], *, timeout_s: float) -> str:
        """Send several lines that belong to one statement (a banner, a quoted value): one prompt follows them all."""
        for number, line in enumerate(lines[:-1]):
            self._keep(">", line)
            command = number == 0 or self._shell.quoted
            await self._write((self._literal(line) if command else line) + "\n")
        command = len(lines) == 1 or self._shell.quoted
        return await self.send(lines[-1], timeout_s=timeout_s, command=command, before=tuple(lines[:-1]))

    def _literal(self, line: str) -> str:
        """The keys to type for a command: a `?` of its text must not ask for help."""
        key = self._shell.literal
        return _KEYS.sub(lambda found: key + found[0], line) if key else line

    def _keep(self, direction: Literal["<", ">"], text: str) -> None:
        """Masking every line of a config costs more than reading it: only where somebody keeps the words."""
        if self._transcript is not nowhere:
            self._transcript(direction, self._mask(brief(self._transcript, text)))

    async def _type(self, line: str, *, command: bool, before: tuple[str, ...]) -> None:
        if self._prompt is None:
            raise ConnectionEnded("no prompt was ever seen")
        self._screen.expect(line, asking=not self._shell.is_read(line), before=before)
        typed = (self._literal(line) if command else line) + "\n"
        await self._write(typed)
        self._echo = f"{line}\r\n".encode("utf-8", "surrogateescape") if line else b""

    async def _write(self, text: str) -> None:
        await permitted()
        try:
            self._stream.write(text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise ConnectionEnded(str(error)) from error

    async def _to_prompt(self, timeout_s: float, secret_answer: Question | None) -> str:
        """Read to the next prompt; returns the unknown question that was refused on the way, or nothing."""
        refused = ""
        secret_given = False
        questions = pages = 0
        with self._patience.within(timeout_s):
            while True:
                ending = self._screen.ending(self._prompt)
                match ending.kind:
                    case "prompt":
                        self._learn(ending.line)
                        return refused
                    case "doubtful prompt" if not await self._more_within(SETTLE_S):
                        self._learn(ending.line)
                        return refused
                    case "pager" if pages < PAGES:
                        pages += 1
                        self._screen.drop_pager()
                        await self._write(" ")
                    case "question" if ending.question is not None and questions < QUESTIONS:
                        questions += 1
                        await self._answer(ending.question)
                    case "unknown question" if not await self._more_within(SETTLE_S):
                        questions += 1
                        if questions > QUESTIONS:
                            raise ConnectionEnded("the device goes on asking")
                        refused = refused or ending.line
                        await self._refuse()
                    case "nothing" if secret_answer is not None and secret_answer.asks.search(ending.line):
                        if secret_given:
                            raise AskedAgain
                        secret_given = True
                        await self._answer(secret_answer)
                    case "nothing":
                        await self._more()
                    case _:
                        continue

    async def _answer(self, question: Question) -> None:
        self._screen.drop_tail()
        await self._write(question.answer + ("\n" if question.enter else ""))

    async def _refuse(self) -> None:
        self._screen.drop_tail()
        self._transcript(">", self._shell.refusal)
        await self._write(self._shell.refusal + "\n")

    def _learn(self, line: str) -> None:
        if line == self.prompt_line:
            return
        prompt = Prompt.read(self._shell, line)
        assert prompt is not None
        if self._prompt is None or not prompt.mode or not prompt.is_same_device(self._prompt):
            self._prompt = prompt
        else:
            # Keep the longer host name: in configuration mode IOS cuts it to 20 characters.
            host = max(prompt.host, self._prompt.host, key=len)
            self._prompt = Prompt(host, prompt.mode, prompt.end)
        self.prompt_line = line

    async def _more(self) -> None:
        echo, self._echo = self._echo, b""
        octets = await self._stream.read(echo)
        if not octets:
            raise ConnectionEnded("the channel was closed")
        self._screen.feed(octets)
        if self._screen.octets > self._limits.output_octets:
            raise OutputTooLong

    async def _more_within(self, seconds: float) -> bool:
        """Whether anything came within `seconds` of silence."""
        try:
            async with asyncio.timeout(seconds):
                await self._more()
        except TimeoutError:
            return False
        return True

    async def _first_prompt(self, endpoint: Endpoint) -> None:
        greeting = list(self._shell.greeting)
        user_given = password_given = False
        while True:
            ending = self._screen.ending(None)
            line = ending.line
            if self._shell.onboarding is not None and self._shell.onboarding.search(self._screen.shown()[-2000:]):
                raise NotOnboarded(
                    f"{endpoint.host} port {endpoint.port} insists on a new password.",
                    step="first prompt",
                    last_words=self.last_words(),
                    next_step="Onboard the device first; a push changes no password.",
                )
            asked = next((q for q in greeting if q.asks.search(line)), None)
            if self._wants_credential(line) and await self._more_within(SETTLE_S):
                continue  # it was the beginning of a line of a banner
            if asked is not None:
                greeting.remove(asked)
                await self._answer(asked)
            elif not user_given and self._shell.user_asked is not None and self._shell.user_asked.search(line):
                user_given = True
                await self._answer(Question(self._shell.user_asked, endpoint.username))
            elif self._shell.password_asked is not None and self._shell.password_asked.search(line):
                if password_given:
                    raise self._refused_in_channel(endpoint)
                password_given = True
                self._transcript(">", MASK)
                await self._answer(Question(self._shell.password_asked, endpoint.password.reveal()))
            elif user_given and self._shell.user_asked is not None and self._shell.user_asked.search(line):
                raise self._refused_in_channel(endpoint)
            elif ending.kind == "pager":
                self._screen.drop_pager()
                await self._write(" ")
            elif ending.kind == "doubtful prompt" and not await self._more_within(SETTLE_S):
                self._learn(line)
                return
            elif ending.kind != "doubtful prompt":
                await self._more()

    def _wants_credential(self, line: str) -> bool:
        asks = (self._shell.user_asked, self._shell.password_asked)
        return any(pattern is not None and pattern.search(line) for pattern in asks)

    def _refused_in_channel(self, endpoint: Endpoint) -> AuthenticationFailed:
        return AuthenticationFailed(
            f"{endpoint.host} port {endpoint.port} asked for the password again inside the session.",
            step="login in the channel",
            last_words=self.last_words(),
            next_step="Correct the credential; it is not tried again by itself.",
        )

    def _ended_at_login(self, endpoint: Endpoint) -> DeviceError:
        where = f"{endpoint.host} port {endpoint.port}"
        words = self.last_words()
        if self._shell.busy is not None and self._shell.busy.search(words):
            return DeviceBusy(
                f"{where} has no session left for us.",
                step="first prompt",
                last_words=words,
                next_step="Wait for a session to end, or end one that somebody left open.",
            )
        return AuthenticationFailed(
            f"{where} accepted the login and closed the session at once; the password may have expired.",
            step="first prompt",
            last_words=words,
            next_step="Log in by hand and look; if the device was just restarting, wait a little.",
        )
