"""Which library carries a family's sessions (D6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from drivers.driver import Driver
from drivers.sessions.cli import open_cli
from drivers.sessions.contract import CliSession, Endpoint, Limits
from drivers.sessions.ssh import open_ssh
from drivers.sessions.transcript import Redact, Transcript, as_it_is, nowhere


def connector(
    limits: Limits, *, redact: Redact = as_it_is, transcript: Transcript = nowhere
) -> Callable[[Driver, Endpoint], Awaitable[CliSession]]:
    """Opens sessions with these limits, each over the carrier that its driver names. Errors as `ssh.open_ssh`."""

    async def connect(driver: Driver, endpoint: Endpoint) -> CliSession:
        opener = open_cli if driver.carrier == "scrapli" else open_ssh
        return await opener(driver, endpoint, limits, redact=redact, transcript=transcript)

    return connect
