"""Where an adapter may be dialled: its push endpoint, judged before a packet goes there (arms-protocol §12).

The endpoint is the adapter's own word, so it could name any host of ours. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from inventory.errors import BadInput

MAX_URL = 127
_NEXT = "The adapter names https://address:port/ with its own address."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A literal address and a port; requests always go to the path `/` (§5.4)."""

    address: IPv4Address | IPv6Address
    port: int

    @property
    def url(self) -> str:
        """Canonical form, IPv6 in brackets."""
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"https://{host}:{self.port}/"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read what an adapter says, or what we kept. Raises BadInput for anything but https://literal:port/."""
        try:
            parts = urlsplit(text)
            port, host = parts.port, parts.hostname or ""
            address = ipaddress.ip_address(host)
        except ValueError:
            raise BadInput(
                "it is no https URL with a literal address", field="push-endpoint", next_step=_NEXT
            ) from None
        plain = not (parts.query or parts.fragment or parts.username or "%" in host) and parts.path in {"", "/"}
        if parts.scheme != "https" or not port or not plain or len(text) > MAX_URL:
            raise BadInput("it is not https://address:port/", field="push-endpoint", next_step=_NEXT)
        return cls(address, port)


def why_not(endpoint: Endpoint, source: str, *, ports: str, networks: Sequence[str]) -> str | None:
    """Why it may not be dialled, or None. `source` is where the request came from, `ports` is `first-last`."""
    first, _, last = ports.partition("-")
    if not int(first) <= endpoint.port <= int(last or first):
        return f"port {endpoint.port} is outside arms.push_ports ({ports})"
    if endpoint.address == literal(source):
        return None
    if any(endpoint.address in ipaddress.ip_network(network) for network in networks):
        return None
    return f"its address is not {source}, where the request came from, nor in arms.push_networks"


def literal(source: str) -> IPv4Address | IPv6Address | None:
    """The address of a connection, without its zone, IPv4 also when it came mapped; None for what is none."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
