"""Queueing by classes of SEIL: CBQ of the command line (X1, X2, B1, BPV4), `qos` of the recipe (X4, CA10, Ayame).

A class that may not borrow holds its own traffic; one that may is held by its parent. Source: devices-seil §3.4, §4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from drivers.dialects import Node
from drivers.shaping_rates import Shaped

SEIL_MARKS: Final = re.compile(r"(?m)^\s*(?:cbq|qos\.service)\b")
_LINK: Final = re.compile(r"cbq link-bandwidth (\d+)(G|M)bps")
_QUEUE: Final = re.compile(r"interface (\S+) queue (\S+)")
_UNIT: Final = {"G": 1_000_000_000, "M": 1_000_000}
_MBIT: Final = 1_000_000
_OWN: Final = re.compile(r"qos\.interface\.([^.]+)\.(interface|default-class|class\..+)")
_CLASS: Final = re.compile(r"class\.([^.]+)\.(parent|bandwidth|borrow)")
_MARKED: Final = re.compile(r"qos\.filter\.ipv[46]\.[^.]+\.marking\.qos-class")
_ROOT: Final = "root"

Class = Mapping[str, str]


def statements(nodes: Sequence[Node]) -> Iterator[tuple[str, Shaped]]:
    """Interfaces that queue by class: the root class, and so all of them, is held to the link's bandwidth."""
    link = next((found for node in nodes if (found := _LINK.fullmatch(node.text))), None)
    queues = {found[1]: found[2] for node in nodes if (found := _QUEUE.fullmatch(node.text))}
    for name, queue in queues.items():
        if queue != "cbq":
            continue
        if link is None:
            yield name, Shaped(unclear=("out: cbq without a link-bandwidth in the configuration",))
        else:
            yield name, Shaped(None, int(link[1]) * _UNIT[link[2]])


def recipe(nodes: Sequence[Node]) -> Iterator[tuple[str, Shaped]]:
    """Interfaces whose classes hold all of their traffic: where none may borrow up to the root, their sum."""
    values = dict(_pair(node.text) for node in nodes if not node.text.startswith("#"))
    if values.get("qos.service") != "enable":
        return
    marked = {value for key, value in values.items() if _MARKED.fullmatch(key)}
    interfaces: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        found = _OWN.fullmatch(key)
        if found:
            interfaces.setdefault(found[1], {})[found[2]] = value
    for own in interfaces.values():
        name = own.get("interface")
        if name:
            yield name, _held(own, marked)


def _held(own: Mapping[str, str], marked: set[str]) -> Shaped:
    classes: dict[str, dict[str, str]] = {}
    for key, value in own.items():
        found = _CLASS.fullmatch(key)
        if found:
            classes.setdefault(found[1], {})[found[2]] = value
    used = {own.get("default-class", _ROOT)} | (marked & classes.keys())
    holders = [_holder(name, classes) for name in sorted(used)]
    if None in holders:
        return Shaped(unclear=("out: qos classes share the interface, and no rate of theirs holds all of it",))
    outer = {name for name in holders if name and not (set(_above(name, classes)) & set(holders))}
    return Shaped(None, sum(int(classes[name]["bandwidth"]) for name in outer) * _MBIT)


def _holder(name: str, classes: Mapping[str, Class]) -> str | None:
    """The class that holds what is put into `name`: the nearest that may not borrow; None: only the root."""
    for each in (name, *_above(name, classes)):
        one = classes.get(each, {})
        if one.get("borrow") == "disable" and one.get("bandwidth", "").isdigit():
            return each
    return None


def _above(name: str, classes: Mapping[str, Class]) -> Iterator[str]:
    """The parents of a class, the nearest first, up to the root; a circle ends."""
    seen = {name}
    while (name := classes.get(name, {}).get("parent", _ROOT)) in classes and name not in seen:
        seen.add(name)
        yield name


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip().strip('"')
