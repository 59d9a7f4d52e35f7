"""What a line of an IOS device refers to, and that in turn: a filter is another one when a list behind it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from drivers.cutoff.ios_model import Model
from drivers.dialects.tree import Node

Named = tuple[str, str]
"""Kind and name."""

_STANDS: Final[Mapping[str, re.Pattern[str]]] = {
    "policy-map": re.compile(r"policy-map (?:type \S+ )?(\S+)$"),
    "class-map": re.compile(r"class-map (?:type \S+ )?(?:match-\S+ )?(\S+)$"),
    "route-map": re.compile(r"route-map (\S+) (?:permit|deny)\b"),
    "access-list": re.compile(r"(?:ip |ipv6 )?access-list (?:standard |extended )?(\S+)"),
    "prefix-list": re.compile(r"(?:ip|ipv6) prefix-list (\S+)"),
    "as-path": re.compile(r"(?:ip|bgp) as-path access-list (\S+)"),
    "community-list": re.compile(r"(?:ip|bgp) (?:large-|ext)?community-list (?:standard |expanded )?(\S+)"),
}
_REFERS: Final = (
    ("policy-map", re.compile(r"service-policy (?:type \S+ )?(?:input |output )?(\S+)$")),
    ("class-map", re.compile(r"class (?:type \S+ )?(\S+)$")),
    ("class-map", re.compile(r"match class-map (\S+)")),
    ("access-list", re.compile(r"match (?:not )?access-group (?:name )?(\S+)")),
    ("prefix-list", re.compile(r"match ip(?:v6)? (?:address|next-hop|route-source) prefix-list (.+)")),
    ("access-list", re.compile(r"match ip(?:v6)? (?:address|next-hop|route-source) (?!prefix-list)(.+)")),
    ("as-path", re.compile(r"match as-path (.+)")),
    ("community-list", re.compile(r"match community (.+)")),
    ("route-map", re.compile(r"(?:neighbor \S+ route-map (\S+) in|(?:ip |ipv6 )?(?:local )?policy route-map (\S+))$")),
    ("prefix-list", re.compile(r"neighbor \S+ prefix-list (\S+) in$|distribute-list prefix (\S+) in\b")),
    ("route-map", re.compile(r"distribute-list route-map (\S+) in\b")),
    ("access-list", re.compile(r"(?:neighbor \S+ )?distribute-list (?!prefix |route-map )(\S+) in\b")),
    ("as-path", re.compile(r"neighbor \S+ filter-list (\S+) in$")),
    ("route-map", re.compile(r"call (\S+)$")),
    ("route-map", re.compile(r"(?:ip|ipv6) protocol \S+ route-map (\S+)$")),
)
_TOLD: Final = re.compile(r"neighbor \S+ route-map (\S+) out$")
_SAYS: Final = re.compile(r"(?:\d+ )?(?:description|remark)\b|ip prefix-list \S+ description\b")
"""What decides nothing."""


def changed_behind(old: Model, new: Model, node: Node) -> Iterator[str]:
    """Names of what the lines of a statement lead to, and that stands differently now."""
    for one, was, now in _behind(old, new, list(_named(node))):
        if was != now:
            yield " ".join(one)


def told_less_behind(old: Model, new: Model, node: Node) -> Iterator[str]:
    """Names of what decides about the routes that neighbours hear of, and that lets fewer of them out now."""
    told = [("route-map", found[1]) for each in node.walk() if (found := _TOLD.match(each.text))]
    for one, was, now in _behind(old, new, told):
        come = [each.text for each in now if each not in was]
        if not all(each in now for each in was) or any(" deny" in text for text in come):
            yield " ".join(one)


def _behind(old: Model, new: Model, waiting: list[Named]) -> Iterator[tuple[Named, list[Node], list[Node]]]:
    """Whatever these names lead to, as it stood and as it stands, each once."""
    seen: set[Named] = set()
    while waiting:
        one = waiting.pop(0)
        if one in seen:
            continue
        seen.add(one)
        was, now = _standing(old, one), _standing(new, one)
        waiting += [further for each in was for further in _named(each)]
        yield one, [_deciding(each) for each in was], [_deciding(each) for each in now]


def _named(node: Node) -> Iterator[Named]:
    for each in node.walk():
        for kind, pattern in _REFERS:
            found = pattern.match(each.text)
            for group in found.groups() if found else ():
                yield from ((kind, name) for name in (group or "").split())


def _standing(model: Model, named: Named) -> list[Node]:
    kind, name = named
    pattern = _STANDS[kind]
    return [node for node in model.nodes if (found := pattern.match(node.text)) and found[1] == name]


def _deciding(node: Node) -> Node:
    return Node(
        "" if _SAYS.match(node.text) else node.text,
        tuple(_deciding(child) for child in node.children if not _SAYS.match(child.text)),
    )
