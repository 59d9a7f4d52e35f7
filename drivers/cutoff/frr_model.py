"""What of a FRRouting configuration carries our session: its spelling of interfaces, routes and access lists.

Source: docs.frrouting.org, Basic Commands, Zebra, Static Route Commands, VRF, Filtering (FRRouting 8.4 to 10.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from drivers.cutoff.ios_model import Interface, Model, Route
from drivers.cutoff.packets import Address, Network, Rule, address, network, whole_number, wildcard
from drivers.dialects.indented_model import held_by
from drivers.dialects.tree import Tree

_ADDRESS: Final = re.compile(r"ipv?6? address (\S+/\d+)")
_ROUTE: Final = re.compile(r"(?:ip|ipv6) route (\S+/\d+) (?:from \S+ )?(\S.*)")
_DROPS: Final = frozenset({"blackhole", "reject", "null0"})
_SAID_OF: Final = frozenset({"tag", "label", "table", "vrf", "nexthop-vrf", "color", "bfd-profile", "segments"})
"""Words of a route that one more word belongs to."""
_RULE: Final = re.compile(r"(?:ipv6 )?access-list (\S+) (?:seq \d+ )?(permit|deny) (.+)")


@dataclass(frozen=True)
class FrrInterface(Interface):
    """An interface as FRRouting prints it: any number of addresses, its table behind its name."""

    @cached_property
    def networks(self) -> tuple[tuple[Address, Network], ...]:
        """Addresses with their networks."""
        found = []
        for line in self.lines:
            said = _ADDRESS.match(line)
            own, net = (address(said[1]), network(said[1])) if said else (None, None)
            if own is not None and net is not None:
                found.append((own, net))
        return tuple(found)

    @property
    def vrf(self) -> str:
        """Its routing table; empty for the default one."""
        return self.name.partition(" vrf ")[2]


@dataclass(frozen=True)
class FrrModel(Model):
    """One configuration, read for our purpose."""

    @classmethod
    def of(cls, tree: Tree) -> FrrModel:
        """The state that a router would be in after taking the text."""
        nodes = tree.once(held_by).comparable()
        named = [(node.text[10:].strip(), node) for node in nodes if node.text.startswith("interface ")]
        return cls(nodes, {name: FrrInterface(name, tuple(one.text for one in node.children)) for name, node in named})

    def spelled(self, name: str) -> str:
        """The interface as it heads its section, with its table if it has one."""
        return next((known for known in self.interfaces if known.split(" ")[0] == name), name)

    def let_in(self) -> list[Rule]:
        """Rules of the lists of the lines."""
        return [rule for name in sorted(set(self.classes())) for rule in self.rules(name)]

    def classes(self) -> list[str]:
        """Names of the lists that say who may use the lines."""
        said = [line.text for node in self.nodes if node.text == "line vty" for line in node.children]
        return [line.split()[-1] for line in said if re.match(r"(?:ipv6 )?access-class \S+$", line)]

    def rules(self, name: str) -> list[Rule]:
        """The rules of a list in the order of their numbers; none if there is no such list."""
        return self._rules.get(name, [])

    @cached_property
    def _rules(self) -> dict[str, list[Rule]]:
        found: dict[str, list[tuple[int, Rule]]] = {}
        for node in self.nodes:
            rule = _RULE.fullmatch(node.text)
            if rule:
                seq = re.search(r" seq (\d+) ", node.text)
                at = whole_number(seq[1], 10**9) if seq else 10**9
                made = Rule(node.text, rule[2] == "permit", sources=_matched(rule[3].split()))
                found.setdefault(rule[1], []).append((at, made))
        return {name: [rule for _, rule in sorted(rules, key=lambda one: one[0])] for name, rules in found.items()}

    def _routes(self) -> Iterator[Route]:
        for node in self.nodes:
            inside = node.text.removeprefix("vrf ") if node.text.startswith("vrf ") else ""
            for one in node.children if inside else (node,):
                route = _route(one.text, inside)
                if route is not None:
                    yield route


def _route(text: str, inside: str) -> Route | None:
    """A static route of the table `inside`; None for anything else, and for one of a table that nobody looks into."""
    found = _ROUTE.match(text)
    prefix = network(found[1]) if found else None
    if found is None or prefix is None:
        return None
    bare, said, words = list[str](), dict[str, str](), iter(found[2].split())
    for word in words:
        if word in _SAID_OF:
            said[word] = next(words, "")
        elif word != "onlink":
            bare.append(word)
    distance = whole_number(bare.pop(), 1) if len(bare) > 1 and bare[-1].isdigit() else 1
    if "table" in said or not bare:
        return None
    exits = next((word for word in bare if address(word) is None), "")
    drops = exits.lower() in _DROPS
    line = f"vrf {inside} / {text}" if inside else text
    elsewhere = said.get("nexthop-vrf", "")
    # Where the hop stands in another table, it is another hop.
    via = "Null0" if drops else f"{bare[0]} {elsewhere}".strip()
    return Route(line, inside or said.get("vrf", ""), prefix, via, "" if drops else exits, distance, "")


def _matched(words: Sequence[str]) -> tuple[Network, ...] | None:
    """What a rule matches of sources: `any`, a network, or a host or a wildcard as Cisco writes them."""
    if words[0] == "ip":
        words = words[1:]
    if words[:1] == ["any"] or not words:
        return None
    if words[0] == "host" and len(words) > 1:
        found = network(words[1])
    elif len(words) > 1 and address(words[1]) is not None and "/" not in words[0]:
        found = wildcard(words[0], words[1])
    else:
        found = network(words[0])
    return () if found is None else (found,)
