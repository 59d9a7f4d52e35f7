"""Shapers and policers of Cisco IOS: policy maps on interfaces, and what came before them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.dialects import Node
from drivers.shaping_rates import Shaped, least

IOS_MARKS: Final = re.compile(r"(?i)service-policy|traffic-shape|rate-limit")
_SHAPE: Final = re.compile(r"(?i)shape average (\d+)(?: \d+)*(?: account .*)?")
_PEAK: Final = re.compile(r"(?i)shape peak (\d+)(?: (\d+)(?: (\d+))?)?(?: account .*)?")
_POLICE: Final = re.compile(r"(?i)police (?:cir |rate )?(\d+)(?! pps)(?: bps)?(?: .*)?")
_LETS_THROUGH: Final = re.compile(r"(?i)(?:.* )?exceed-action (?!drop\b)\S.*")
"""What exceeds the rate is marked or passed on, not thrown away."""
_HOLDS: Final = re.compile(r"(?i)(?:shape|police)\b.*")
_POLICY: Final = re.compile(r"(?i)policy-map (?:type qos )?(\S+)")
_CLASS: Final = re.compile(r"(?i)class (\S.*)")
_NESTED: Final = re.compile(r"(?i)service-policy (\S+)")
_SERVICE: Final = re.compile(r"(?i)service-policy (input|output) (\S+)")
_OLD_SHAPE: Final = re.compile(r"(?i)traffic-shape rate (\d+)(?: \d+)*")
_OLD_GROUP: Final = re.compile(r"(?i)traffic-shape (?!rate )\S.*")
_RATE_LIMIT: Final = re.compile(r"(?i)rate-limit (input|output) (\d+) .*")
_PART_LIMIT: Final = re.compile(r"(?i)rate-limit (input|output) (?!\d)\S.*")
_DEFAULT: Final = "class-default"


@dataclass(frozen=True, slots=True)
class _Held:
    """What a policy does to all that it is given: a rate, or why none can be told."""

    bps: int | None = None
    unclear: str = ""


def ios(nodes: Sequence[Node]) -> Iterator[tuple[str, Shaped]]:
    """Each interface of a Cisco configuration that something holds."""
    maps = {named[1]: node for node in nodes if (named := _POLICY.fullmatch(node.text))}
    policies = {name: _whole(name, node, maps) for name, node in maps.items()}
    for node in nodes:
        word, _, name = node.text.partition(" ")
        if word.lower() == "interface":
            held = Shaped()
            for line in node.children:
                held = held.also(_of_line(line.text, policies))
            if held != Shaped():
                yield name.strip(), held


def _of_line(line: str, policies: Mapping[str, _Held]) -> Shaped:
    service, limit, old = _SERVICE.fullmatch(line), _RATE_LIMIT.fullmatch(line), _OLD_SHAPE.fullmatch(line)
    if service:
        held = policies.get(service[2], _Held(unclear=f"policy-map {service[2]} is not in the configuration"))
        return _shaped(service[1], held)
    if limit and not _LETS_THROUGH.fullmatch(line):
        return _shaped(limit[1], _Held(int(limit[2])))
    if old:
        return _shaped("output", _Held(int(old[1])))
    part = _PART_LIMIT.fullmatch(line)
    if part or _OLD_GROUP.fullmatch(line):
        return _shaped(part[1] if part else "output", _Held(unclear=f"`{line}` holds a part of the traffic"))
    return Shaped()


def _shaped(direction: str, held: _Held) -> Shaped:
    told = direction.lower()
    unclear = (f"{told}: {held.unclear}",) if held.unclear else ()
    return Shaped(held.bps, None, unclear) if told == "input" else Shaped(None, held.bps, unclear)


def _whole(name: str, policy: Node, maps: Mapping[str, Node]) -> _Held:
    """What a policy holds all traffic to: its class-default, where no other class takes traffic away from it."""
    classes = {named[1].strip(): one for one in policy.children if (named := _CLASS.fullmatch(one.text))}
    default = next((one for told, one in classes.items() if told.lower() == _DEFAULT), None)
    others = [told for told in classes if told.lower() != _DEFAULT]
    if others:
        holds = any(_HOLDS.fullmatch(line.text) for one in classes.values() for line in one.children)
        return _Held(unclear=f"policy-map {name} holds classes of its own ({', '.join(others[:3])})" if holds else "")
    below = () if default is None else default.children
    lines = [line.text for line in below]
    # A policer that throws nothing away holds nothing.
    holding = [
        line.text
        for line in below
        if _HOLDS.fullmatch(line.text) and not any(_LETS_THROUGH.fullmatch(one.text) for one in line.walk())
    ]
    rates = [_rate(line) for line in holding]
    odd = next((line for line in holding if _rate(line) is None), None)
    if odd is not None:
        return _Held(unclear=f"policy-map {name}: `{odd}` is no rate in bit/s")
    if rates:
        return _Held(least(*rates))
    nested = next((found[1] for line in lines if (found := _NESTED.fullmatch(line))), None)
    if nested is not None and any(_HOLDS.fullmatch(one.text) for one in _below(maps.get(nested))):
        return _Held(unclear=f"policy-map {name} leaves it to policy-map {nested}")
    return _Held()


def _below(node: Node | None) -> Iterator[Node]:
    return iter(()) if node is None else node.walk()


def _rate(line: str) -> int | None:
    """The rate of a shaper or policer, in bit/s; None where it is given in another way.

    `shape peak` sends the excess burst in every interval, too: rate × (1 + Be ÷ Bc), and Be is as large as Bc unless
    the line says otherwise.
    """
    average, police, peak = _SHAPE.fullmatch(line), _POLICE.fullmatch(line), _PEAK.fullmatch(line)
    if average or police:
        found = average or police
        assert found is not None
        return int(found[1])
    if peak is None:
        return None
    mean, committed = int(peak[1]), int(peak[2] or 1)
    excess = int(peak[3]) if peak[3] else committed
    return mean * (committed + excess) // committed if committed else None
