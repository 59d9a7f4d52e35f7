"""Access lists of IOS as rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from drivers.cutoff.packets import Network, Ports, Rule, masked, network, whole_number, wildcard
from drivers.dialects.tree import Node

_NUMBERED: Final = re.compile(r"(?:ip )?access-list (\d+) (permit|deny|remark)\b(.*)")
_NAMED: Final = re.compile(r"(?:ip|ipv6) access-list (?:(?:standard|extended|role-based) )?(\S+)$")
_RULE: Final = re.compile(r"(?:\d+ )?(permit|deny)\b(.*?)(?: sequence \d+)?$")
_PORTS: Final = {"ssh": 22, "telnet": 23, "www": 80, "domain": 53, "443": 443, "bgp": 179, "ntp": 123, "tacacs": 49}
_NEVER_BEGINS: Final = ("established", "reflect", "time-range", "fragments", "tracked")
_STANDARD: Final = (*range(1, 100), *range(1300, 2000))


@dataclass(frozen=True, slots=True)
class _Line:
    """A rule as it stands, before anybody has asked what it matches."""

    line: str
    action: str
    rest: str
    standard: bool


class AccessLists:
    """Rules by name of the list, in their order; lists without rules are left out: they let everything pass.

    A device has many lists, and few of them are on our way: a list is read when it is asked for.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._lines: dict[str, list[_Line]] = {}
        self._rules: dict[str, list[Rule]] = {}
        for name, line in _lines(nodes):
            self._lines.setdefault(name, []).append(line)

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def of(self, name: str) -> list[Rule]:
        """The rules of a list; none if there is no such list."""
        if name not in self._rules:
            found = self._lines.get(name, ())
            self._rules[name] = [
                _rule(one.line, one.action, one.rest.split(), self._groups, standard=one.standard) for one in found
            ]
        return self._rules[name]

    def same(self, name: str, other: AccessLists) -> bool:
        """Whether a list decides here as it does there, by its lines and by the groups that they may name."""
        return self._lines.get(name) == other._lines.get(name) and self._groups == other._groups

    @cached_property
    def _groups(self) -> dict[str, tuple[Network, ...]]:
        return _groups(self._nodes)


def _lines(nodes: Sequence[Node]) -> Iterator[tuple[str, _Line]]:
    for node in nodes:
        if "access-list " not in node.text:
            continue
        numbered, named = _NUMBERED.match(node.text), _NAMED.match(node.text)
        if numbered and numbered[2] != "remark":
            standard = whole_number(numbered[1]) in _STANDARD
            yield numbered[1], _Line(node.text, numbered[2], numbered[3], standard)
        elif named and not numbered:
            standard = " standard " in f"{node.text} " or (whole_number(named[1]) in _STANDARD)
            for child in node.children:
                found = _RULE.match(child.text)
                if found:
                    yield named[1], _Line(f"{node.text} / {child.text}", found[1], found[2], standard)


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
        numbers.append(_PORTS[word] if word in _PORTS else whole_number(word))
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
