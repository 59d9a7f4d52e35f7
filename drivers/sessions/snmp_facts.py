"""What a device says of itself over SNMP: description, name, uptime, and which family that is (devices-seil §8).

One request, one answer: all facts are of the same moment. The library asks once, so we ask again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gufo.snmp import SnmpError
from gufo.snmp.aio import SnmpSession

from inventory.errors import Unreachable
from inventory.secrets import Secret

DESCRIPTION: Final = "1.3.6.1.2.1.1.1.0"
OBJECT_ID: Final = "1.3.6.1.2.1.1.2.0"
UPTIME: Final = "1.3.6.1.2.1.1.3.0"
NAME: Final = "1.3.6.1.2.1.1.5.0"

_FAMILIES: Final = (
    (re.compile(r"^Cisco (?:IOS|Internetwork Operating System)"), "ios"),
    (re.compile(r"(?i)^forti(?:gate|os)"), "fortios"),
    (re.compile(r"^SEIL(?: CA10|/X4|/x86 Ayame)"), "recipe"),
    (re.compile(r"^SA-W2"), "recipe"),
    (re.compile(r"^SEIL"), "seil"),
    (re.compile(r"FRRouting"), "frr"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """The system group of an agent (RFC 3418). `family` is what the description tells; None if it tells none."""

    description: str
    object_id: str
    name: str
    uptime_cs: int
    family: str | None


def family_of(description: str) -> str | None:
    """The family that a description names; None for an unknown one. FortiOS describes itself by an operator's text."""
    return next((family for mark, family in _FAMILIES if mark.search(description)), None)


async def facts(host: str, port: int, community: Secret, *, timeout_s: float = 2.0, attempts: int = 3) -> Facts:
    """Ask an agent who it is, v2c. Raises Unreachable after the last attempt: a wrong community is silence, too."""
    wanted = [DESCRIPTION, OBJECT_ID, UPTIME, NAME]
    for _ in range(attempts):
        try:
            async with SnmpSession(addr=host, port=port, community=community.reveal(), timeout=timeout_s) as session:
                said = await session.get_many(wanted)
        except (TimeoutError, OSError, SnmpError):
            continue
        description = _text(said.get(DESCRIPTION))
        uptime = said.get(UPTIME)
        return Facts(
            description=description,
            object_id=_text(said.get(OBJECT_ID)),
            name=_text(said.get(NAME)),
            uptime_cs=uptime if isinstance(uptime, int) else 0,
            family=family_of(description),
        )
    raise Unreachable(
        f"The SNMP agent {host}:{port} did not say who it is in {attempts} attempts.",
        step="facts",
        next_step="Check the address, the community and that the agent is on.",
    )


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
