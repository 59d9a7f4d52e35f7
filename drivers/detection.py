"""Which family an unknown device is of: asked in the words of each, over the lane, which reaches the oldest too (D6).

Only what reads is typed, by each family's own identification. A family is proposed when it alone recognises the answer:
what several take for theirs is left to a person.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from drivers import ios
from drivers.device import CommandLineDevice, Wait
from drivers.devices import over_ssh
from drivers.driver import Driver, Question, Shell
from drivers.push import Identity
from drivers.registry import all_drivers
from drivers.sessions.admission import here
from drivers.sessions.contract import CliSession, Endpoint, Limits
from drivers.sessions.lane import open_lane
from inventory.errors import CommandRejected, Conflict, DeviceError

UNKNOWN: Final = Driver(
    family="unknown",
    title="an unknown device",
    dialect="indented",
    carrier="asyncssh",
    shell=Shell(
        prompt=re.compile(
            r"(?P<host>[\w.\-@/:+~]{0,64})(?P<mode>(?: ?\([\w.\-@/:+ ]{1,40}\)){0,2}) ?(?P<end>[>#$%])\s*"
        ),
        privileged="#",
        pager=re.compile(r"(?i)^\W*(?:--\s?more\s?--|more|press any key)\W*$"),
        reads=re.compile(r"(?:show|get)\b"),
        any_question=re.compile(r"\[(?:yes/no|y/n|no|yes)\]\s*[:?]?\s*$|\(y/n\)\s*[:?]?\s*$"),
        refusal="n",
        greeting=(Question(re.compile(r"\(Press 'a' to accept\):?\s*$"), "a", enter=False),),
        user_asked=ios.SHELL.user_asked,
        password_asked=ios.SHELL.password_asked,
        onboarding=re.compile(r"(?i)forced to change your password|please input a new password"),
    ),
)
"""A command line of which nothing is known but that it has a prompt."""
_TWINS: Final = {"recipe-ssh": "seil-ssh"}
"""Families that say of themselves what another one does; the model tells them apart."""


@dataclass(frozen=True, slots=True)
class Detected:
    """A device and the driver that recognised it; `host_key` as it was shown, empty over telnet."""

    driver: Driver
    identity: Identity
    host_key: str


async def detect(endpoint: Endpoint, *, wait: Wait, limits: Limits | None = None) -> Detected:
    """Log in once, and ask. `wait` is `Clock.wait`.

    Raises Conflict when no family recognises it or more than one does, else as `drivers.sessions.lane.open_lane`.
    """
    limits = limits or Limits()
    if endpoint.transport == "ssh":
        endpoint = replace(endpoint, transport="lane")
    gate = here()
    session = await gate.open(gate.seat(), endpoint, partial(open_lane, UNKNOWN, endpoint, limits))
    found: list[tuple[Driver, Identity]] = []
    try:
        for device in _candidates(endpoint, wait, limits):
            recognised = await _recognised(device, session)
            if recognised is not None:
                found.append((device.driver, recognised))
    except DeviceError:
        if not found:  # else it was recognised before a question of another family ended the session
            raise
    finally:
        await session.close()
    if len(found) == 1:
        return Detected(*found[0], session.host_key)
    where = f"{endpoint.host} port {endpoint.port}"
    if not found:
        raise Conflict(
            f"{where} lets us in, and no family recognises what it says.",
            next_step="Look by hand what it is; a driver from outside may speak to it (docs/drivers.md).",
        )
    families = [driver.family for driver, _ in found]
    raise Conflict(
        f"{where} lets us in, and more than one family takes it for its own: {', '.join(families)}.",
        next_step="Look by hand what it is and register it under that model, or uninstall the driver that is mistaken.",
        facts={
            "families": families,
            "said": [f"{driver.title}: {one.model} {one.version}".rstrip() for driver, one in found],
        },
    )


def _candidates(endpoint: Endpoint, wait: Wait, limits: Limits) -> Iterator[CommandLineDevice]:
    for family, known in sorted(all_drivers().items()):
        if known.shell is not None and family not in _TWINS:
            yield over_ssh(family, endpoint, None, wait=wait, limits=limits)


async def _recognised(device: CommandLineDevice, session: CliSession) -> Identity | None:
    with contextlib.suppress(CommandRejected):  # it asked something, and was refused
        found = await device.recognise(session)
        if found.serial or found.distribution_id:
            return found
    return None
