"""Shapers of FortiOS: bandwidths of interfaces, shaping profiles of one class, and policies that hold a part."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from drivers.dialects import Node
from drivers.shaping_rates import Shaped

FORTIOS_MARKS: Final = re.compile(r"(?i)(?:in|out)bandwidth|traffic-shaper|per-ip-shaper|shaping-profile")
_KBIT: Final = 1_000
_UNITS: Final = {"kbps": 1_000, "mbps": 1_000_000, "gbps": 1_000_000_000}
_INTERFACES: Final = "config system interface"
_PROFILES: Final = "config firewall shaping-profile"
_ENTRIES: Final = "config shaping-entries"
_SHAPERS: Final = "config firewall shaper traffic-shaper"
_POLICIES: Final = ("config firewall shaping-policy", "config firewall policy", "config firewall policy6")
_SIDES: Final = (("in", "ingress"), ("out", "egress"))
_ALL: Final = 100

Settings = Mapping[str, tuple[str, ...]]


def fortios(nodes: Sequence[Node]) -> Iterator[tuple[str, Shaped]]:
    """Each interface of a FortiGate that something holds. Bandwidths are kbit/s; 0 is none."""
    sections: dict[str, list[Node]] = {}
    for root in nodes:
        for node in root.walk():
            sections.setdefault(node.text, []).extend(node.children)
    shares = {_name(edit): _share(edit) for edit in sections.get(_PROFILES, ())}
    interfaces = [(_name(edit), _settings(edit)) for edit in sections.get(_INTERFACES, ())]
    for name, settings in interfaces:
        held = Shaped()
        for side, way in _SIDES:
            held = held.also(_side(side, _number(settings, f"{side}bandwidth"), settings, way, shares))
        if held != Shaped():
            yield name, held
    rates = {_name(edit): _shaper(_settings(edit)) for edit in sections.get(_SHAPERS, ())}
    names = [name for name, _ in interfaces]
    for section in _POLICIES:
        for edit in sections.get(section, ()):
            yield from _policy(section.removeprefix("config firewall "), edit, rates, names)


def _side(side: str, kbits: int, settings: Settings, way: str, shares: Mapping[str, int | None]) -> Shaped:
    """One direction of an interface: its bandwidth, or the share of it that a profile of one class leaves."""
    profile = next(iter(settings.get(f"{way}-shaping-profile", ())), None)
    unclear: tuple[str, ...] = ()
    bps = kbits * _KBIT or None
    if profile is not None and bps is None:
        unclear = (f"{side}: shaping-profile {profile} is a share of a bandwidth that the interface does not tell",)
    elif profile is not None and bps is not None:
        if profile not in shares:
            unclear = (f"{side}: shaping-profile {profile} is not in the configuration",)
        # Of several classes each is held apart, and all of them together by the interface's bandwidth.
        bps = bps * (shares.get(profile) or _ALL) // _ALL
    return Shaped(bps, None, unclear) if side == "in" else Shaped(None, bps, unclear)


def _share(profile: Node) -> int | None:
    """Percent that a profile leaves to all traffic: of its one class, which is the default; None with more."""
    entries = [
        _settings(entry) for section in profile.children if section.text == _ENTRIES for entry in section.children
    ]
    default = _settings(profile).get("default-class-id")
    if len(entries) != 1 or default is None or entries[0].get("class-id") != default:
        return None
    return _number(entries[0], "maximum-bandwidth-percentage") or None


def _policy(
    kind: str, edit: Node, rates: Mapping[str, int | None], interfaces: Sequence[str]
) -> Iterator[tuple[str, Shaped]]:
    """A policy holds the sessions that it matches: not those from the other side, nor the device's own."""
    if not any("shaper" in line.text for line in edit.children):
        return
    settings = _settings(edit)
    named = [
        (key, settings[key][0])
        for key in ("traffic-shaper", "traffic-shaper-reverse", "per-ip-shaper")
        if settings.get(key)
    ]
    if not named or settings.get("status") == ("disable",):
        return
    told = ", ".join(
        f"{key} {name}" + (f" of {bps} bit/s" if (bps := rates.get(name)) and key != "per-ip-shaper" else "")
        for key, name in named
    )
    touched = (*settings.get("srcintf", ()), *settings.get("dstintf", ()))
    for name in interfaces if "any" in touched else dict.fromkeys(touched):
        yield name, Shaped(unclear=(f"{kind} {_name(edit)} holds the sessions that it matches ({told})",))


def _shaper(settings: Settings) -> int | None:
    unit = next(iter(settings.get("bandwidth-unit", ())), "kbps")
    return _number(settings, "maximum-bandwidth") * _UNITS.get(unit, _KBIT) or None


def _name(edit: Node) -> str:
    return edit.text.partition(" ")[2].strip().strip('"')


def _settings(edit: Node) -> Settings:
    """The `set` lines of an entry by their word."""
    found = {}
    for line in edit.children:
        if line.text.startswith("set "):
            try:
                _, key, *values = shlex.split(line.text)
            except ValueError:
                continue
            found[key] = tuple(values)
    return found


def _number(settings: Settings, key: str) -> int:
    value = next(iter(settings.get(key, ())), "")
    return int(value) if value.isascii() and value.isdigit() else 0
