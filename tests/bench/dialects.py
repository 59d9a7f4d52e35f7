"""Dialects: lines parsed per second, and the CPU time of a whole plan with its proof, for configs of 8,000 lines.

Parsing stands beside a floor: the same lines split and put on a stack by their indentation, which understands nothing.
A plan stands beside parsing its two texts alone. CPU time is measured, because the machine may have other work.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

from drivers import plan
from drivers.dialects import NAMES, dialect
from drivers.registry import driver
from inventory.plans import ConfigText
from tests.bench.figure import Figure

FAMILIES: Final = {"indented": "ios", "block": "fortios", "statements": "seil", "key-value": "recipe"}


def measure(*, lines: int, rounds: int) -> list[Figure]:
    """Per dialect: parsing, and a plan in which every tenth place changes."""
    found = []
    for name in NAMES:
        base, intent = text(name, lines, "10.0"), text(name, lines, "10.9")
        count = base.count("\n")
        spoken, family = dialect(name), driver(FAMILIES[name])
        parsing = cpu_s(lambda spoken=spoken, base=base: spoken.parse(base), rounds)  # type: ignore[misc]
        floor = cpu_s(lambda base=base: stacked(base), rounds)  # type: ignore[misc]
        before, after = ConfigText.single(base), ConfigText.single(intent)
        planning = cpu_s(
            lambda family=family, before=before, after=after: plan.compute(family, before, after),  # type: ignore[misc]
            rounds,
        )
        found += [
            Figure(f"{name}: parsing", count / parsing, "lines/s", "split and stack of indentation", count / floor),
            Figure(f"{name}: plan with proof, {count:,} lines", planning, "s CPU", "parsing both", 2 * parsing),
        ]
    return found


def cpu_s(work: Callable[[], object], rounds: int) -> float:
    """Median seconds of processor time."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def stacked(text: str) -> list[tuple[int, str]]:
    """The least that any reader does: lines, their depth, and what is open."""
    opened: list[tuple[int, str]] = []
    for line in text.splitlines():
        start = line.lstrip()
        depth = len(line) - len(start)
        while opened and opened[-1][0] >= depth:
            opened.pop()
        opened.append((depth, start))
    return opened


def text(name: str, lines: int, changing: str) -> str:
    """A config of about so many lines; every tenth place holds an address of the network `changing`."""
    made: list[str] = []
    place = 0
    while len(made) < lines:
        place += 1
        network = changing if place % 10 == 0 else "10.0"
        made += PLACES[name](place, f"{network}.{place % 250}")
    return "\n".join([*made, ""])


def _ios(place: int, network: str) -> list[str]:
    return [
        f"interface Vlan{place}",
        f" description place {place}",
        f" ip address {network}.1 255.255.255.0",
        f" ip access-group A{place} in",
        " no ip redirects",
        "!",
        f"ip access-list extended A{place}",
        *(f" permit tcp {network}.0 0.0.0.255 any eq {port}" for port in range(8001, 8015)),
        " deny ip any any log",
        f"ip route {network}.128 255.255.255.128 192.0.2.{place % 250}",
        f"ip prefix-list P{place} seq 5 permit {network}.0/24",
    ]


def _fortios(place: int, network: str) -> list[str]:
    return [
        "config firewall address",
        f'    edit "place {place}"',
        f"        set subnet {network}.0 255.255.255.0",
        f'        set comment "place number {place}"',
        "    next",
        "end",
        "config firewall policy",
        f"    edit {place}",
        '        set srcintf "internal"',
        '        set dstintf "wan1"',
        f'        set srcaddr "place {place}"',
        '        set dstaddr "all"',
        "        set action accept",
        "    next",
        "end",
    ]


def _seil(place: int, network: str) -> list[str]:
    return [
        f"filter add f{place} interface pppoe0 direction in action pass protocol tcp src {network}.0/24 dst any enable",
        f"route add {network}.0/24 192.0.2.{place % 250}",
        f'ppp add p{place} ipcp enable identifier "u{place}" tcp-mss auto',
    ]


def _recipe(place: int, network: str) -> list[str]:
    return [
        f"filter.ipv4.{place}.action: pass",
        f"filter.ipv4.{place}.source.address: {network}.0/24",
        f"route.ipv4.{place}.destination: {network}.0/24",
        f'route.ipv4.{place}.gateway: "192.0.2.{place % 250}"',
    ]


PLACES: Final[dict[str, Callable[[int, str], list[str]]]] = {
    "indented": _ios,
    "block": _fortios,
    "statements": _seil,
    "key-value": _recipe,
}
