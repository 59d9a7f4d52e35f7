"""Which library carries a family's sessions (D6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from drivers.driver import Carrier, Driver
from drivers.errors import NegotiationFailed
from drivers.sessions import libraries
from drivers.sessions.admission import Seat, here
from drivers.sessions.contract import CliSession, Endpoint, Limits
from drivers.sessions.exec import open_exec
from drivers.sessions.lane import open_lane
from drivers.sessions.ssh import open_ssh
from drivers.sessions.transcript import Redact, Transcript, as_it_is, nowhere


class Opener(Protocol):
    """Opens a session on an endpoint, with the promises and errors of `ssh.open_ssh`."""

    def __call__(
        self,
        driver: Driver,
        endpoint: Endpoint,
        limits: Limits,
        *,
        redact: Redact = as_it_is,
        transcript: Transcript = nowhere,
    ) -> Awaitable[CliSession]: ...


def _opener(carrier: Carrier) -> Opener:
    """Raises Conflict where the library installed is not the one that was proven."""
    if carrier == "asyncssh":
        return open_ssh
    if carrier == "exec":
        return open_exec
    libraries.require(libraries.SCRAPLI)
    from drivers.sessions.cli import open_cli  # noqa: PLC0415 – another major of scrapli fails at its import

    return open_cli


def connector(
    limits: Limits, *, redact: Redact = as_it_is, transcript: Transcript = nowhere
) -> Callable[[Driver, Endpoint], Awaitable[CliSession]]:
    """Opens sessions with these limits, each over the carrier that its driver or its endpoint names.

    What is too much at once waits (`admission`). Where asyncssh shares no algorithm with a device that is allowed more
    than the modern profile, the lane is tried, and kept for the further sessions of this connector. Errors as
    `ssh.open_ssh`, and Conflict where the library of a carrier is not the proven one.
    """
    seat: Seat | None = None
    in_lane: set[tuple[str, int]] = set()

    async def login(driver: Driver, endpoint: Endpoint) -> CliSession:
        place = (endpoint.host, endpoint.port)
        if endpoint.transport != "ssh" or place in in_lane:
            return await open_lane(driver, endpoint, limits, redact=redact, transcript=transcript)
        try:
            return await _opener(driver.carrier)(driver, endpoint, limits, redact=redact, transcript=transcript)
        except NegotiationFailed:
            if endpoint.profile == "modern":
                raise
            session = await open_lane(driver, endpoint, limits, redact=redact, transcript=transcript)
            in_lane.add(place)
            return session

    async def connect(driver: Driver, endpoint: Endpoint) -> CliSession:
        nonlocal seat
        gate = here()
        seat = seat or gate.seat(driver.family)
        return await gate.open(seat, endpoint, partial(login, driver, endpoint))

    return connect
