"""The way to a device, and what was found on it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from inventory.plans import Finding


@dataclass(frozen=True, slots=True)
class Way:
    """What is known of our way to a device; empty where it is not.

    `path` is arms, ssh or rest; `address` and `port` are where we reach the device, `interface` the one that has the
    address, `source` our own address as the device sees it, `user` the account that logs in.
    """

    path: str = ""
    address: str = ""
    port: int = 0
    source: str = ""
    interface: str = ""
    user: str = ""

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports of the device that must go on answering us."""
        return (self.port,) if self.port else (22,)

    @property
    def source_ip(self) -> IPv4Address | IPv6Address | None:
        """Our address as a value; None if it is not known or is a name."""
        return _ip(self.source)

    @property
    def address_ip(self) -> IPv4Address | IPv6Address | None:
        """The device's address as a value; None if it is not known or is a name."""
        return _ip(self.address)


Findings = Iterator[Finding]

MANAGING: Final = re.compile(
    r"(?i)(?<![a-z])(?:mgmt|mgt|mngt|mgnt|mng|management|manage[rd]?|managing|oob|out-of-band|controller|kajitori|admin|noc|netops)"
    r"(?![a-z])"
)
"""Names and descriptions that people give to what managing goes through."""
UPWARDS: Final = re.compile(r"(?i)(?<![a-z])(?:wan|uplink|upstream|internet|isp|transit|outside|external)(?![a-z])")
"""Names and descriptions of the side towards us."""


def on_device(way: Way, own: Collection[IPv4Address | IPv6Address]) -> Way:
    """The way as the device sees it: an address that none of its interfaces has belongs to a translation before it,
    and so does the port."""
    if way.address_ip is None or way.address_ip in own:
        return way
    return replace(way, address="", port=0)


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
