"""Classes of what comes in by our way that are dropped, or policed to nothing (modular QoS of IOS)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from drivers.cutoff.ios_model import Model
from drivers.cutoff.packets import EPHEMERAL, Packet, candidates, passes
from drivers.cutoff.way import Findings, Way
from drivers.dialects.tree import Node
from inventory.plans import Finding

_DROPS: Final = re.compile(r"drop$|police\b.*\bconform-action drop\b|police (?:cir |rate )?\d{1,5}\b")
"""Below 100 kbit/s a shell hardly answers."""
_POLICY: Final = "service-policy input "


def policed(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Policies that are new on an interface of our way and drop what we send; `_behind` tells of those that change."""
    for name in names:
        was, now = old.interfaces[name], new.interfaces.get(name)
        own = way.address_ip or (was.networks[0][0] if was.networks else None)
        if now is None or own is None:
            continue
        packets = [
            Packet(source, own, "tcp", EPHEMERAL, port)
            for source in candidates(old.let_in(), way.source_ip)
            for port in way.ports
            if source.version == own.version
        ]
        for line in now.lines:
            if line.startswith(_POLICY) and line not in was.lines:
                policy = new.top.get(f"policy-map {line.removeprefix(_POLICY)}")
                drop = next((found for one in packets if (found := _dropped(new, policy, one))), "")
                if drop:
                    yield Finding(f"interface {name} / {line} / {drop}", "drops what comes in by our way")


def _dropped(model: Model, policy: Node | None, packet: Packet) -> str:
    """The class that drops the packet; empty if none does."""
    for one in policy.children if policy else ():
        said = one.text.split()
        if said[:1] == ["class"] and _takes(model, said[1:2], packet):
            return one.text if any(_DROPS.match(child.text) for child in one.children) else ""
    return ""


def _takes(model: Model, named: Sequence[str], packet: Packet) -> bool:
    """Whether a class of this name takes the packet."""
    if named == ["class-default"]:
        return True
    for text, node in model.top.items():
        found = re.fullmatch(r"class-map (?:match-(any|all) )?(\S+)", text)
        if found and [found[2]] == named:
            met = [_matches(model, child.text, packet) for child in node.children if child.text.startswith("match ")]
            return any(met) if found[1] == "any" else bool(met) and all(met)
    return False


def _matches(model: Model, said: str, packet: Packet) -> bool:
    """Whether one condition of a class holds; of marks and lengths we know nothing, and say no."""
    found = re.fullmatch(r"match access-group (?:name )?(\S+)", said)
    if found:
        return passes(model.lists.of(found[1]), packet, otherwise=False)
    return bool(re.fullmatch(r"match (?:any|protocol (?:ip|tcp|ssh))", said))
