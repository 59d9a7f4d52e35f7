"""Access lists of IOS as rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.cutoff.packets import Network, Ports, Rule, masked, network, wildcard
from drivers.dialects.tree import Node

_NUMBERED: Final = re.compile(r"(?:ip )?access-list (\d+) (permit|deny|remark)\b(.*)")
_NAMED: Final = re.compile(r"(?:ip|ipv6) access-list (?:(?:standard|extended|role-based) )?(\S+)$")
_RULE: Final = re.compile(r"(?:\d+ )?(permit|deny)\b(.*?)(?: sequence \d+)?$")
_PORTS: Final = {"ssh": 22, "telnet": 23, "www": 80, "domain": 53, "443": 443, "bgp": 179, "ntp": 123, "tacacs": 49}
_NEVER_BEGINS: Final = ("established", "reflect", "time-range", "fragments", "tracked")
_STANDARD: Final = (*range(1, 100), *range(1300, 2000))


def access_lists(nodes: Sequence[Node]) -> dict[str, list[Rule]]:
    """Rules by name of the list, in their order; lists without rules are left out: they let everything pass."""
    groups = _groups(nodes)
    lists: dict[str, list[Rule]] = {}
    for node in nodes:
        numbered, named = _NUMBERED.match(node.text), _NAMED.match(node.text)
        if numbered and numbered[2] != "remark":
            standard = int(numbered[1]) in _STANDARD
            rule = _rule(node.text, numbered[2], numbered[3].split(), groups, standard=standard)
            lists.setdefault(numbered[1], []).append(rule)
        elif named and not numbered:
            standard = " standard " in f"{node.text} " or (named[1].isdigit() and int(named[1]) in _STANDARD)
            for child in node.children:
                found = _RULE.match(child.text)
                if found:
                    line = f"{node.text} / {child.text}"
                    rule = _rule(line, found[1], found[2].split(), groups, standard=standard)
                    lists.setdefault(named[1], []).append(rule)
    return lists


def _groups(nodes: Sequence[Node]) -> dict[str, tuple[Network, ...]]:
    groups: dict[str, tuple[Network, ...]] = {}
    for node in nodes:
        found = re.fullmatch(r"object-group (?:network|v6-network) (\S+)", node.text)
        if found:
            nets = [_member(child.text.split(), groups) for child in node.children]
            groups[found[1]] = tuple(net for some in nets for net in some)
    return groups


def _member(words: Sequence[str], groups: Mapping[str, tuple[Network, ...]]) -> tuple[Network, ...]:
    if words[:1] == ["any"]:
        words = ["0.0.0.0/0"]
    if words[:1] == ["group-object"] and len(words) > 1:
        return groups.get(words[1], ())
    if words[:1] == ["host"]:
        words = words[1:]
    found = masked(words[0], words[1]) if len(words) > 1 else network(words[0]) if words else None
    return () if found is None else (found,)


def _rule(
    line: str, action: str, words: list[str], groups: Mapping[str, tuple[Network, ...]], *, standard: bool
) -> Rule:
    rest = list(words)
    protocols = None
    if not standard and rest:
        first = rest.pop(0)
        if first in {"object-group", "object"} and rest:
            rest.pop(0)
        elif first not in {"ip", "ipv6", "any"}:
            protocols = frozenset({first})
    sources = _where(rest, groups)
    source_ports = None if standard else _ports(rest)
    destinations = None if standard else _where(rest, groups)
    destination_ports = None if standard else _ports(rest)
    if any(word in _NEVER_BEGINS for word in rest):
        sources = ()
    return Rule(line, action == "permit", protocols, sources, destinations, source_ports, destination_ports)


def _where(rest: list[str], groups: Mapping[str, tuple[Network, ...]]) -> tuple[Network, ...] | None:
    if not rest:
        return None
    first = rest.pop(0)
    if first == "any":
        return None
    if first in {"object-group", "addrgroup"} and rest:
        return groups.get(rest.pop(0), ())
    if first == "host" and rest:
        found = network(rest.pop(0))
    elif rest and re.fullmatch(r"\d+(?:\.\d+){3}", rest[0]):
        found = wildcard(first, rest.pop(0))
    else:
        found = network(first)
    return () if found is None else (found,)


def _ports(rest: list[str]) -> Ports | None:
    if not rest or rest[0] not in {"eq", "range", "gt", "lt", "neq"}:
        return None
    operator = rest.pop(0)
    numbers: list[int] = []
    while rest and (rest[0].isdigit() or rest[0] in _PORTS):
        word = rest.pop(0)
        numbers.append(_PORTS[word] if word in _PORTS else int(word))
    if not numbers:  # a name that we do not know is no port of ours
        if rest:
            rest.pop(0)
        return ()
    first = numbers[0]
    match operator:
        case "range":
            return ((first, numbers[-1]),)
        case "gt":
            return ((first + 1, 65535),)
        case "lt":
            return ((0, first - 1),)
        case "neq":
            return ((0, first - 1), (first + 1, 65535))
        case _:
            return tuple((one, one) for one in numbers)
