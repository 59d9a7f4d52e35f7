"""Where a source address is, from a list that an operator may give; which adapters a duty keeps in Japan.

There is no consent to use outside Japan (MPC-10.1 (3), MPC-10.4 (3), SMF-9.1 (3)).
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput

HOME: Final = "JP"


@dataclass(frozen=True, slots=True)
class Locations:
    """Networks with their country; none lies in another."""

    starts: tuple[tuple[int, int], ...]
    """Version and first address of each, ascending."""
    ends: tuple[int, ...]
    countries: tuple[str, ...]

    def country(self, source: str) -> str | None:
        """ISO 3166 code of the country of an address; None: no network of the list holds it, or it is no address."""
        try:
            address = ip_address(source)
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        at = bisect_right(self.starts, (address.version, int(address))) - 1
        if at < 0 or self.starts[at][0] != address.version or int(address) > self.ends[at]:
            return None
        return self.countries[at]


def parse(lines: Iterable[str]) -> Locations:
    """Read `network,country` lines, such as `192.0.2.0/24,JP`; empty ones and those that begin with `#` are left out,
    and so is a header. Raises BadInput that names the line, also for a network that lies in another."""
    found: list[tuple[int, int, int, str, int]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("\ufeff")
        if not text or text.startswith("#") or text.casefold() == "network,country":
            continue
        found.append((*_network(text, number), number))
    found.sort()
    for before, after in itertools.pairwise(found):
        if before[0] == after[0] and after[1] <= before[2]:
            raise _fault(after[4], f"lies in the network of line {before[4]}")
    return Locations(
        tuple((version, first) for version, first, *_ in found),
        tuple(last for _, _, last, *_ in found),
        tuple(country for _, _, _, country, _ in found),
    )


def _network(text: str, number: int) -> tuple[int, int, int, str]:
    written, _, country = (one.strip() for one in text.partition(","))
    try:
        network = ip_network(written)
    except ValueError:
        raise _fault(number, "has no network such as 192.0.2.0/24") from None
    if not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise _fault(number, "has no country code of two letters")
    first, last = (
        int(IPv4Address(one) if network.version == 4 else IPv6Address(one)) for one in (network[0], network[-1])
    )
    return network.version, first, last, country.upper()


def _fault(number: int, words: str) -> BadInput:
    return BadInput(
        f"line {number} of the locations {words}",
        field="arms.locations",
        next_step="Write one network,country a line; no network lies in another.",
    )


def bound_to_japan(service: Service, device_class: DeviceClass | None) -> str | None:
    """The rule that keeps an adapter in Japan; None: it is free of that duty, as class III is."""
    if service == "smfsx":
        return "SMF-9.1"
    rules: dict[DeviceClass | None, str] = {"I": "MPC-10.1", "II": "MPC-10.4"}
    return rules.get(device_class)
