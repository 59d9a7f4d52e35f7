"""Devices that ask, page and print what they should not (devices-ios-fortios §A.9, D.1, D.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import asyncssh
import pytest

from drivers.driver import Driver
from drivers.errors import DeviceBusy, UnknownQuestion
from drivers.fortios import DRIVER as FORTIOS
from drivers.ios import DRIVER as IOS
from drivers.sessions.carriers import connector
from drivers.sessions.contract import CliSession, Endpoint, Limits
from inventory.errors import AuthenticationFailed, NotOnboarded
from inventory.secrets import Secret

LOG = "*Nov 23 05:00:00.001: %LINK-3-UPDOWN: Interface GigabitEthernet0/2, changed state to down"
Script = Callable[["Far"], Awaitable[None]]
LIMITS = Limits(
    connect_s=5.0, handshake_s=5.0, authentication_s=5.0, prompt_s=5.0, command_s=5.0, read_config_s=5.0, line_s=5.0
)


class Far:
    """The device's end of a shell, as a script plays it."""

    def __init__(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self._process = process
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self._process.stdout.write(text)

    async def line(self, *, echo: bool = True) -> str:
        """One line typed by the client, echoed like a terminal does."""
        text = (await self._process.stdin.readline()).rstrip("\r\n")
        if self._process.stdin.at_eof() and not text:
            raise EOFError
        self.heard.append(text)
        if echo:
            self.say(f"{text}\r\n")
        return text

    async def key(self) -> str:
        typed = await self._process.stdin.read(1)
        self.heard.append(typed)
        return typed

    async def serve(self, prompt: str, answers: dict[str, str]) -> None:
        """An ordinary device from here on."""
        while True:
            self.say(prompt)
            self.say(answers.get(await self.line(), ""))


class Door(asyncssh.SSHServer):
    """Lets `op` in by the given way of asking."""

    def __init__(self, prompts: tuple[str, ...]) -> None:
        self._prompts = prompts
        self.answers: list[str] = []

    def begin_auth(self, username: str) -> bool:
        return bool(self._prompts)

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [(prompt, False) for prompt in self._prompts]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        self.answers += responses
        return True


@asynccontextmanager
async def device(
    script: Script, prompts: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Endpoint, list[Far], list[Door]]]:
    """A server that plays `script` on every shell."""
    shells: list[Far] = []
    doors: list[Door] = []

    def door() -> Door:
        doors.append(Door(prompts))
        return doors[-1]

    async def play(process: asyncssh.SSHServerProcess[str]) -> None:
        shells.append(Far(process))
        with suppress(EOFError, asyncssh.Error, OSError, asyncio.IncompleteReadError):
            await script(shells[-1])
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=door,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=play,
        line_editor=False,
    )
    try:
        yield Endpoint("127.0.0.1", server.get_port(), "op", Secret("correct horse")), shells, doors
    finally:
        server.close()
        await server.wait_closed()


async def log_in(endpoint: Endpoint, driver: Driver = IOS, limits: Limits = LIMITS) -> CliSession:
    return await connector(limits)(driver, endpoint)


@pytest.fixture(params=["scrapli", "asyncssh"])
def ios(request: pytest.FixtureRequest) -> Driver:
    return replace(IOS, carrier=request.param)


async def test_a_login_that_asks_again_in_the_channel_is_answered_once(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("\r\nUser Access Verification\r\n\r\nUsername: ")
        await far.line()
        far.say("Password: ")
        await far.line(echo=False)
        await far.serve("\r\nr1#", {})

    async with device(script) as (endpoint, shells, _):
        session = await log_in(endpoint, ios)
        assert shells[0].heard[:2] == ["op", "correct horse"]
        await session.abort()


async def test_a_password_that_is_asked_again_in_the_channel_is_not_repeated(ios: Driver) -> None:
    async def script(far: Far) -> None:
        while True:
            far.say("Password: ")
            await far.line(echo=False)
            far.say("\r\n% Login invalid\r\n\r\n")

    async with device(script) as (endpoint, shells, _):
        with pytest.raises(AuthenticationFailed):
            await log_in(endpoint, ios)
        assert shells[0].heard == ["correct horse"]


async def test_a_second_factor_is_named_and_gets_no_password() -> None:
    async def script(far: Far) -> None:
        await far.serve("r1#", {})

    async with device(script, prompts=("Password: ", "Token: ")) as (endpoint, _, doors):
        with pytest.raises(AuthenticationFailed, match="second factor"):
            await log_in(endpoint)
        assert all(door.answers == [] for door in doors)


async def test_a_device_without_a_free_session_says_so(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("\r\nCLI session limit reached\r\n")

    async with device(script) as (endpoint, _, _):
        with pytest.raises(DeviceBusy) as busy:
            await log_in(endpoint, ios)
        assert "limit reached" in busy.value.last_words


async def test_a_banner_full_of_prompts_and_wrong_octets_is_read_past(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("core-1#\r\ncore-1>\r\nPassword: is not asked here\r\n\x1b[2J\x1b[0mcore#\r\n")
        await far.serve("r1#", {"show clock": "12:00\r\n"})

    async with device(script) as (endpoint, _, _):
        session = await log_in(endpoint, ios)
        assert await session.command("show clock", timeout_s=10) == "12:00"
        await session.abort()


async def test_an_unknown_question_is_refused_and_reported(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("r1#")
        while True:
            line = await far.line()
            if line == "crypto key generate rsa":
                far.say("% Do you really want to replace them? [yes/no]: ")
                far.say(f"answer was {await far.line()}\r\n")
            far.say("r1#")

    async with device(script) as (endpoint, shells, _):
        session = await log_in(endpoint, ios)
        with pytest.raises(UnknownQuestion, match="replace them"):
            await session.command("crypto key generate rsa", timeout_s=10)
        results = await session.lines(["hostname x", "crypto key generate rsa", "shutdown"], timeout_s=10)
        assert [result.failed for result in results] == [False, True]
        assert shells[0].heard.count("no") == 2
        assert "shutdown" not in shells[0].heard
        await session.abort()


async def test_a_known_confirmation_is_given(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("r1#")
        while True:
            if await far.line() == "no username hanako":
                far.say("This operation will remove all username related configurations.\r\nDo you want to continue? ")
                far.say("[confirm]")
                await far.line()
            far.say("r1#")

    async with device(script) as (endpoint, shells, _):
        session = await log_in(endpoint, ios)
        results = await session.lines(["no username hanako"], timeout_s=10)
        assert [result.failed for result in results] == [False]
        assert shells[0].heard[-1] == ""
        await session.abort()


async def test_what_a_reading_shows_is_not_answered_even_if_it_looks_like_a_question(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("r1#")
        while True:
            if await far.line() == "show running-config":
                far.say("version 15.2\r\nbanner motd ^Creally? [yes/no]:")
                await asyncio.sleep(0.3)
                far.say(" ^C\r\nend\r\n")
            far.say("r1#")

    async with device(script) as (endpoint, shells, _):
        session = await log_in(endpoint, ios)
        assert (await session.command("show running-config", timeout_s=10)).endswith("\nend")
        assert "no" not in shells[0].heard
        await session.abort()


async def test_a_broadcast_after_the_prompt_does_not_confuse_the_next_command(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("r1#")
        while True:
            line = await far.line()
            if line == "reload cancel":
                far.say("r1#\r\n\r\n***\r\n*** --- SHUTDOWN ABORTED ---\r\n***\r\n\r\n")
            elif line == "show clock":
                far.say("12:00\r\nr1#")
            else:
                far.say("r1#")

    async with device(script) as (endpoint, _, _):
        session = await log_in(endpoint, ios)
        await session.command("reload cancel", timeout_s=10)
        assert await session.command("show clock", timeout_s=10) == "12:00"
        await session.abort()


async def test_a_first_password_is_left_to_onboarding() -> None:
    async def script(far: Far) -> None:
        far.say("You are forced to change your password. Please input a new password.\r\nNew Password: ")
        await far.line()

    async with device(script) as (endpoint, shells, _):
        with pytest.raises(NotOnboarded):
            await log_in(endpoint, FORTIOS)
        assert [text for text in shells[0].heard if text] == []


@pytest.mark.parametrize(
    "prompt", ["FGT # ", "fw-with-a-very-long-n~ # ", "fw(Primary) # ", "fw(Primary) (global) # ", "FGT $ "]
)
async def test_every_fortigate_prompt_is_known(prompt: str) -> None:
    async def script(far: Far) -> None:
        await far.serve(prompt, {"get system status": "Serial-Number: FGT1\r\n"})

    async with device(script) as (endpoint, _, _):
        session = await log_in(endpoint, FORTIOS)
        assert await session.command("get system status", timeout_s=10) == "Serial-Number: FGT1"
        assert session.privileged is ("$" not in prompt)
        await session.abort()


@pytest.mark.parametrize("asked", ["Enter your Password:", "Username:"])
async def test_a_banner_that_comes_in_pieces_is_given_no_credential(ios: Driver, asked: str) -> None:
    async def script(far: Far) -> None:
        far.say(f"\r\n{asked}")
        await asyncio.sleep(0.02)  # the rest of the line comes in another packet
        far.say(" is what you will be asked for elsewhere\r\n")
        await far.serve("r1#", {})

    async with device(script) as (endpoint, shells, _):
        session = await log_in(endpoint, ios)
        await session.close()

    assert "correct horse" not in shells[0].heard
    assert "op" not in shells[0].heard


async def test_a_log_message_behind_the_first_prompt_is_no_obstacle(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say(f"\r\nr1#\r\n{LOG}\r\n")
        await far.line()
        await far.serve("r1#", {"show clock": "05:00:00.001 UTC\r\n"})

    async with device(script) as (endpoint, _, _):
        session = await log_in(endpoint, ios)
        assert await session.command("show clock", timeout_s=5.0) == "05:00:00.001 UTC"
        await session.close()


async def test_a_new_password_that_is_asked_for_in_the_login_is_left_to_onboarding() -> None:
    async def script(far: Far) -> None:
        await far.serve("r1#", {})

    async with device(script, ("New password: ",)) as (endpoint, shells, doors):
        with pytest.raises(NotOnboarded, match="asks for a new password"):
            await log_in(endpoint)

    assert doors[0].answers == []
    assert shells == []


async def test_a_log_message_behind_a_new_host_name_hides_no_prompt(ios: Driver) -> None:
    async def script(far: Far) -> None:
        far.say("r1#")
        while (typed := await far.line()) != "hostname nagoya-9":
            far.say("r1(config)#" if typed == "configure terminal" or len(far.heard) > 4 else "r1#")
        far.say(f"nagoya-9(config)#\r\n{LOG}\r\n")
        await far.line()
        await far.serve("nagoya-9(config)#", {})

    async with device(script) as (endpoint, _, _):
        session = await log_in(endpoint, ios)
        await session.command("configure terminal", timeout_s=5.0)
        results = await session.lines(("hostname nagoya-9", "no ip http server"), timeout_s=5.0)
        await session.abort()

    assert [result.failed for result in results] == [False, False]


async def test_a_banner_before_the_login_and_one_behind_it_are_both_accepted() -> None:
    async def script(far: Far) -> None:
        for banner in ("Authorised use only", "Welcome # "):
            far.say(f"{banner}\r\n(Press 'a' to accept):")
            await far.key()
            far.say("\r\n")
        await far.serve("fw-01 # ", {})

    async with device(script) as (endpoint, shells, _):
        session = await log_in(endpoint, FORTIOS)
        await session.abort()

    assert shells[0].heard[:2] == ["a", "a"]
