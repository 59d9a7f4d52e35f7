"""Reads the keys of recipe for `adapter`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from drivers.cutoff import adapter
from drivers.cutoff.adapter_model import Forwarding, Model, Read, Route, Setting
from drivers.cutoff.adapter_parts import a_filter, ports
from drivers.cutoff.packets import whole_number
from drivers.cutoff.way import Findings, Way
from drivers.dialects.key_value import KEY_VALUE
from drivers.dialects.tree import Tree

_INTERFACE: Final = re.compile(r"interface\.([a-z]+\d+)(?:p\d)?\.(.+)")
_FILTER: Final = {
    "interface": "interface",
    "direction": "direction",
    "action": "action",
    "protocol": "protocol",
    "source.address": "src",
    "source.port": "srcport",
    "destination.address": "dst",
    "destination.port": "dstport",
    "state": "state",
}
_ENTRY: Final = re.compile(r"((?:route|filter|nat|ipsec)\.[a-z0-9.-]+?\.)([0-9]+)\.(.+)")
_Lists = dict[str, dict[str, dict[str, Setting]]]
"""Entries by the head of their list, `filter.ipv4.`, and by their index."""
_RESOLVER: Final = re.compile(r"resolver\.\d+\.address")
_DOOR: Final = re.compile(
    r"sshd\.(?:service|password-authentication|hostkey|authorized-keys\..*)|login\.admin\.encrypted-password"
)
_BRIDGE: Final = re.compile(r"bridge\.bridge\d+\.|interface\.bridge\d+\.member\.")
_FORWARD: Final = re.compile(r"filter\.forward\.ipv4\.\d+\.direction")
_ADDRESSES: Final = re.compile(r"ipv[46]\.address(?:\.\d+)?")
_RENAMED: Final = {"ipv4.source": "source", "ipv4.destination": "destination", "ipv4.unnumbered": "unnumbered"}


def judge(before: Tree, after: Tree, way: Way) -> Findings:
    """See `drivers.cutoff.findings`."""
    known = Read()
    return adapter.judge(read(before, known), read(after, known), way)


def read(tree: Tree, known: Read) -> Model:
    """The model of a text."""
    pairs = {}
    for node in KEY_VALUE.canonical(tree).nodes:
        key, _, value = node.text.partition(": ")
        pairs[key] = Setting(value.strip('"'), node.text)
    model = Model(read=known)
    for key, setting in pairs.items():
        _pair(model, key, setting)
    lists = _lists(pairs)
    for head in ("route.ipv4.", "route.ipv6."):
        for _, entry in _listed(lists, head):
            _route(model, entry, "0.0.0.0/0" if head == "route.ipv4." else "::/0")
    for head, filters in (("filter.ipv4.", model.filters), ("filter.ipv6.", model.filters6)):
        for index, entry in _listed(lists, head):
            parts = {ours: entry[theirs].value for theirs, ours in _FILTER.items() if theirs in entry}
            line = entry.get("action", next(iter(entry.values()))).line
            filters.append(a_filter(line if line else index, parts, known))
    for _, entry in _listed(lists, "nat.ipv4.snapt."):
        _snapt(model, entry)
    for kind, outside in (("static", "global"), ("dnat", "destination.address"), ("static", "external.address")):
        for _, entry in _listed(lists, f"nat.ipv4.{kind}."):
            if outside in entry and "interface" in entry | {"interface": entry[outside]}:
                over = _value(entry, "interface")
                listen = ports(_value(entry, "destination.port") or _value(entry, "listen.port"))
                model.forwardings.append(
                    Forwarding(entry[outside].line, over, _value(entry, "protocol"), listen, entry[outside].value)
                )
    hops = {route.gateway for route in model.routes}
    for key, setting in pairs.items():
        if key.startswith("arp.") and setting.value in hops:
            model.harmful[setting.line] = Setting("names another station as the gateway", setting.line)
    for _, entry in _listed(lists, "ipsec.security-policy."):
        far, near = _value(entry, "destination.address"), _value(entry, "source.address")
        if far in {"", "any", "0.0.0.0/0"} and not near.startswith(("10.", "192.168.", "172.")):
            line = next(iter(entry.values())).line
            model.harmful[line] = Setting("takes every packet into a tunnel, ours too", line)
    return model


def _pair(model: Model, key: str, setting: Setting) -> None:
    found = _INTERFACE.fullmatch(key)
    if found:
        settings = model.interfaces.setdefault(found[1], {})
        name = _RENAMED.get(found[2], found[2])
        settings[f"address {found[2]}" if _ADDRESSES.fullmatch(found[2]) else name] = setting
        return
    head = key.partition(".")[0]
    if head in {"bgp", "ospf", "ospf6", "rip", "ripng"}:
        model.dynamic[key] = setting
    elif head in {"ike", "ipsec"}:
        model.tunnels[key] = setting
    elif head == "resolver":
        if key == "resolver.service":
            model.resolvers["service"] = setting
        elif _RESOLVER.fullmatch(key):
            model.resolvers[f"address {setting.value}"] = setting
    elif _DOOR.fullmatch(key):
        model.door[key] = setting
    elif head in {"dialup-device", "dialup-network"} and "keepalive" not in key:
        model.dialup[key] = setting
    elif _BRIDGE.match(key) and setting.value in {"ge0", "ge4"}:
        model.harmful[setting.line] = Setting("puts the line under a bridge", setting.line)
    elif _FORWARD.match(key) and setting.value in {"out", "inout"}:
        model.harmful[setting.line] = Setting("sends what the adapter says elsewhere", setting.line)


def _lists(pairs: Mapping[str, Setting]) -> _Lists:
    found: _Lists = {}
    for key, setting in pairs.items():
        entry = _ENTRY.match(key)
        if entry:
            head, index, rest = entry.groups()
            found.setdefault(head, {}).setdefault(index, {})[rest] = setting
    return found


def _listed(lists: _Lists, head: str) -> list[tuple[str, dict[str, Setting]]]:
    """Entries of a list by their index, in its order."""
    return sorted(lists.get(head, {}).items(), key=lambda one: (whole_number(one[0], 10**9), one[0]))


def _value(entry: Mapping[str, Setting], key: str) -> str:
    found = entry.get(key)
    return "" if found is None else found.value


def _route(model: Model, entry: Mapping[str, Setting], everywhere: str) -> None:
    destination = _value(entry, "destination")
    net = model.read.network(everywhere if destination == "default" else destination)
    distance = _value(entry, "distance") or "1"
    leads = entry.get("gateway") or entry.get("router-advertisement-interface")
    if net is not None and leads is not None:
        line = f"{entry['destination'].line}, {leads.line}"
        watched = "on" if _value(entry, "keepalive.service") == "enable" else ""
        model.routes.append(Route(line, net, leads.value, whole_number(distance, 1), watched))


def _snapt(model: Model, entry: Mapping[str, Setting]) -> None:
    line = next(iter(entry.values())).line
    listen = entry.get("listen.port")
    model.forwardings.append(
        Forwarding(line, _value(entry, "interface"), _value(entry, "protocol"), ports(listen.value) if listen else None)
    )
