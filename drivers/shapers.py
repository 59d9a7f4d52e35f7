"""Shapers and policers of whole interfaces, read from a running configuration (metering specification §4, `shaped`).

Only what surely holds for everything that passes an interface is told: a policy with classes beside class-default, a
share in percent, or a rate limit with a filter says nothing of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drivers.dialects import Node, dialect
from inventory.errors import ConfigSyntax

_MARKS: Final = re.compile(r"(?i)service-policy|traffic-shape|rate-limit|(?:in|out)bandwidth")
"""A text without any of these words need not be parsed."""
_SHAPE: Final = re.compile(r"(?i)shape average (\d+)(?: \d+)*(?: account .*)?")
_POLICE: Final = re.compile(r"(?i)police (?:cir |rate )?(\d+)(?: bps)?(?: .*)?")
_POLICY: Final = re.compile(r"(?i)policy-map (?:type qos )?(\S+)")
_OTHER_CLASS: Final = re.compile(r"(?i)class (?!class-default$)\S.*")
_SERVICE: Final = re.compile(r"(?i)service-policy (input|output) (\S+)")
_OLD_SHAPE: Final = re.compile(r"(?i)traffic-shape rate (\d+)(?: \d+)*")
_RATE_LIMIT: Final = re.compile(r"(?i)rate-limit (input|output) (\d+) .*")
_BANDWIDTH: Final = re.compile(r"set (in|out)bandwidth (\d+)")
_KBIT: Final = 1_000
_NAME: Final = re.compile(r"([A-Za-z-]+) ?([0-9].*)?")


@dataclass(frozen=True, slots=True)
class Shaped:
    """What an interface is held to, in bit/s, as its device counts; None: not held."""

    in_bps: int | None = None
    out_bps: int | None = None

    def tightest(self, into: int | None, out: int | None) -> Shaped:
        """The tighter of what is known and of two further rates."""
        return Shaped(_least(self.in_bps, into), _least(self.out_bps, out))


def shapers(spoken: str, text: str) -> dict[str, Shaped]:
    """Rates by interface as the configuration names it. `spoken` is the dialect; of others than IOS and FortiOS, and of
    a text that cannot be read, nothing is known.
    """
    if spoken not in {"indented", "block"} or not _MARKS.search(text):
        return {}
    try:
        nodes = dialect(spoken).parse(text).nodes
    except ConfigSyntax:
        return {}
    return dict(_ios(nodes) if spoken == "indented" else _fortios(nodes))


def of_interface(found: Mapping[str, Shaped], name: str) -> Shaped:
    """Of the interface that a counter source calls `name`: IOS writes `Gi0/1` there and the long name in its config."""
    held = Shaped()
    for told, one in found.items():
        if _same(told, name):
            held = held.tightest(one.in_bps, one.out_bps)
    return held


def _ios(nodes: Sequence[Node]) -> Iterator[tuple[str, Shaped]]:
    policies = {}
    for node in nodes:
        named = _POLICY.fullmatch(node.text)
        if named:
            policies[named[1]] = _whole_rate(node)
    for node in nodes:
        word, _, name = node.text.partition(" ")
        if word.lower() == "interface":
            held = Shaped()
            for line in node.children:
                held = _held(held, line.text, policies)
            if held != Shaped():
                yield name.strip(), held


def _held(held: Shaped, line: str, policies: Mapping[str, int | None]) -> Shaped:
    service, limit, old = _SERVICE.fullmatch(line), _RATE_LIMIT.fullmatch(line), _OLD_SHAPE.fullmatch(line)
    rate = None
    direction = "output"
    if service:
        direction, rate = service[1].lower(), policies.get(service[2])
    elif limit and "access-group" not in line.lower():
        direction, rate = limit[1].lower(), int(limit[2])
    elif old:
        rate = int(old[1])
    return held.tightest(rate, None) if direction == "input" else held.tightest(None, rate)


def _whole_rate(policy: Node) -> int | None:
    """What a policy holds all traffic to: its class-default, where there is no other class."""
    if any(_OTHER_CLASS.fullmatch(one.text) for one in policy.children):
        return None
    rates = [
        int(rate[1])
        for one in policy.children
        if one.text.lower() == "class class-default"
        for line in one.children
        for rate in (_SHAPE.fullmatch(line.text), _POLICE.fullmatch(line.text))
        if rate
    ]
    return min(rates, default=None)


def _fortios(nodes: Sequence[Node]) -> Iterator[tuple[str, Shaped]]:
    """`inbandwidth` and `outbandwidth` of interfaces, in kbit/s; 0 is none."""
    for root in nodes:
        for section in root.walk():
            if section.text != "config system interface":
                continue
            for edit in section.children:
                held = Shaped()
                for line in edit.children:
                    found = _BANDWIDTH.fullmatch(line.text)
                    if found and int(found[2]):
                        rate = int(found[2]) * _KBIT
                        held = replace(held, in_bps=rate) if found[1] == "in" else replace(held, out_bps=rate)
                if held != Shaped():
                    yield edit.text.partition(" ")[2].strip().strip('"'), held


def _least(*rates: int | None) -> int | None:
    return min((one for one in rates if one), default=None)


def _same(told: str, name: str) -> bool:
    """Whether two names are of one interface: equal, or the same number and one kind written shorter than the other."""
    if told == name:
        return True
    long, short = _NAME.fullmatch(told), _NAME.fullmatch(name)
    if long is None or short is None or not long[2] or long[2] != short[2]:
        return False
    a, b = sorted((long[1].lower(), short[1].lower()), key=len)
    return len(a) > 1 and b.startswith(a)
