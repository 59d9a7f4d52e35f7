"""What simulated devices answer to ping and traceroute: only the documentation prefixes are there to answer."""

from __future__ import annotations

import ipaddress
from typing import Final

_ANSWERS: Final = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)


def answers(address: str) -> bool | None:
    """Whether an address answers; None for one that is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return any(found in network for network in _ANSWERS if network.version == found.version)


def number_after(words: tuple[str, ...], name: str, otherwise: int) -> int:
    """The number that follows a word."""
    at = words.index(name) + 1 if name in words else len(words)
    return int(words[at]) if at < len(words) and words[at].isdigit() else otherwise


def ios_ping(words: tuple[str, ...]) -> str:
    """`ping A repeat N size M` of IOS."""
    heard = answers(words[0]) if words else None
    if heard is None:
        return "% Unrecognized host or address, or protocol not running.\n\n"
    count, size = number_after(words, "repeat", 5), number_after(words, "size", 100)
    good = count if heard else 0
    times = ", round-trip min/avg/max = 1/2/4 ms" if good else ""
    return (
        "Type escape sequence to abort.\n"
        f"Sending {count}, {size}-byte ICMP Echos to {words[0]}, timeout is 2 seconds:\n"
        f"{'!' * good + '.' * (count - good)}\nSuccess rate is {100 * good // count} percent ({good}/{count}){times}\n"
    )


def ios_traceroute(words: tuple[str, ...]) -> str:
    """`traceroute A` of IOS: two nodes, one that keeps silent between them."""
    heard = answers(words[0]) if words else None
    if heard is None:
        return "% Unrecognized host or address.\n\n"
    last = f"  3 {words[0]} 8 msec\n" if heard else "  3  *\n"
    return (
        f"Type escape sequence to abort.\nTracing the route to {words[0]}\n"
        "VRF info: (vrf in name/id, vrf out name/id)\n"
        f"  1 192.0.2.254 4 msec\n  2  *\n{last}"
    )


def forti_ping(address: str, count: int, size: int) -> str | None:
    """`execute ping` of FortiOS; None for what is no address."""
    heard = answers(address)
    if heard is None:
        return None
    rows = [f"{size + 8} bytes from {address}: icmp_seq={n} ttl=255 time=0.3 ms" for n in range(count if heard else 0)]
    lost = 0 if heard else 100
    return "\n".join(
        [
            f"PING {address} ({address}): {size} data bytes",
            *rows,
            "",
            f"--- {address} ping statistics ---",
            f"{count} packets transmitted, {len(rows)} packets received, {lost}% packet loss",
            "",
        ]
    )


def forti_traceroute(address: str) -> str | None:
    """`execute traceroute` of FortiOS."""
    heard = answers(address)
    if heard is None:
        return None
    last = f" 3  {address}  1.020 ms" if heard else " 3  *"
    return (
        f"traceroute to {address} ({address}), 32 hops max, 3 probe packets per hop, 84 byte packets\n"
        f" 1  192.0.2.254  0.420 ms\n 2  *\n{last}\n"
    )


def seil_probe(command: str) -> str | None:
    """`ping A count N` and `traceroute A` of SEIL; None for any other command."""
    verb, *words = command.split()
    if verb == "ping" and words:
        return forti_ping(words[0], number_after(tuple(words), "count", 3), 56) or f"invalid address: {words[0]}"
    if verb == "traceroute" and words:
        return forti_traceroute(words[0]) or f"invalid address: {words[0]}"
    return None
